//! Where the private key comes from: a file that only its owner can read, or the environment; never the
//! command line.

use std::path::Path;

use alloy_primitives::{B256, hex};
use alloy_signer_local::PrivateKeySigner;
use anyhow::{Result, anyhow, bail};
use assent_genesis::{KeyFileError, read_private_file};

use crate::cli::UsageError;

/// The variable of the environment that holds a private key.
pub(super) const VARIABLE: &str = "ASSENT_PRIVATE_KEY";

/// Why `--private-key` is refused.
pub(super) const NEVER_AN_ARGUMENT: &str = "\
a private key is never taken from the command line: every user of this machine sees it in the list of processes, \
and the shell keeps it in its history. If it is worth anything, move its funds to a new key. Put the key into a file \
of mode 0600 and say --private-key-file FILE, or into the environment as ASSENT_PRIVATE_KEY";

/// The signer with the key of a file, or else of the environment.
pub(super) fn load(file: Option<&Path>, variable: Option<String>) -> Result<PrivateKeySigner> {
    match (file, variable) {
        (Some(path), _) => from_file(path),
        (None, Some(text)) => parse(&text).ok_or_else(|| {
            anyhow!("{VARIABLE} is no private key: expected 0x and 64 hexadecimal digits (its content is not shown)")
        }),
        (None, None) => Err(UsageError(format!(
            "who sends? expected --private-key-file FILE with 0x and 64 hexadecimal digits (mode 0600), or the same in \
             the environment as {VARIABLE}"
        ))
        .into()),
    }
}

fn from_file(path: &Path) -> Result<PrivateKeySigner> {
    let text = match read_private_file(path) {
        // That text is about validators' and nodes' keys.
        Err(KeyFileError::Format { .. }) => bail!("{}: too long for a private key", path.display()),
        text => text?,
    };
    let is_json = text.trim_ascii_start().starts_with(b"{");
    std::str::from_utf8(&text).ok().and_then(parse).ok_or_else(|| {
        let what = if is_json {
            "a JSON file. The keys of validators and nodes (ed25519) cannot sign transactions, and encrypted keystores \
             are not read"
        } else {
            "something else (it is not shown)"
        };
        anyhow!(
            "{} holds no private key: expected nothing but 0x and 64 hexadecimal digits, got {what}",
            path.display()
        )
    })
}

/// The signer of a private key in hexadecimal digits, with or without 0x. No error, so that none can show it.
fn parse(text: &str) -> Option<PrivateKeySigner> {
    let text = text.trim();
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let mut bytes = B256::ZERO;
    hex::decode_to_slice(digits, bytes.as_mut_slice()).ok()?;
    // Zero and what is above the order of the curve are no keys.
    PrivateKeySigner::from_bytes(&bytes).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::{fs, os::unix::fs::PermissionsExt};

    use alloy_primitives::address;

    use super::*;

    const KEY: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

    #[test]
    fn keys_are_digits_with_or_without_prefix() {
        let expected = address!("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
        for text in [KEY, &KEY[2..], &format!(" {KEY}\n")] {
            assert_eq!(parse(text).unwrap().address(), expected);
        }
        for text in ["", "0x", &KEY[..64], &format!("{KEY}00"), &"0".repeat(64), &"f".repeat(64), "0x0xac"] {
            assert!(parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn the_file_wins_and_must_be_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let other = format!("0x{}", "11".repeat(32));
        fs::write(&path, KEY).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = load(Some(&path), None).unwrap_err().to_string();
        assert!(error.contains("chmod 600"), "{error}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let expected = parse(KEY).unwrap().address();
        assert_eq!(load(Some(&path), Some(other.clone())).unwrap().address(), expected);
        assert_ne!(load(None, Some(other)).unwrap().address(), expected);
        let error = load(None, None).unwrap_err();
        assert!(error.is::<UsageError>() && error.to_string().contains(VARIABLE), "{error}");
    }

    #[test]
    fn no_error_shows_the_content() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        for content in [format!("{KEY}5"), format!("{{\"secret\":\"{KEY}\"}}"), KEY.repeat(100)] {
            fs::write(&path, &content).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            let from_file = format!("{:?}", load(Some(&path), None).unwrap_err());
            let from_variable = format!("{:?}", load(None, Some(content.clone())).unwrap_err());
            for error in [from_file, from_variable] {
                assert!(!error.contains(&KEY[2..20]), "{error}");
            }
        }
    }
}
