//! Secret keys on disk.
//!
//! One JSON object: `{"version":1,"type":"ed25519","secret":"0x..","public":"0x.."}`. The file
//! belongs to its owner alone (mode 0600) and is refused otherwise. Version 1 keeps the secret in
//! the clear. No error text holds anything that was read from the file but version, type and
//! public key.

use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use alloy_primitives::hex;
use assent_consensus::PublicKey;
use serde::{Deserialize, Deserializer, de};
use zeroize::Zeroizing;

use crate::{SecretKey, format::parse_public_key};

/// The version of the file format that is written.
const VERSION: u64 = 1;

/// The type of key in it.
const TYPE: &str = "ed25519";

/// The largest key file that is read; a real one has some 200 bytes.
const MAX_KEY_FILE_BYTES: usize = 4096;

/// Why a key file cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// There is no such file.
    #[error("there is no key file {}: restore it from a backup, or make a new key", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// Saving would replace a key.
    #[error("{} exists, and a key is never overwritten: move it away first", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// Others than the owner have access to the file.
    #[error(
        "the key file {} has mode {mode:04o}: others than its owner have access to it. Run: chmod \
         600 {}",
        path.display(),
        quoted(path)
    )]
    Permissions {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The path is a folder or a device.
    #[error("{} is not a regular file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// The file is not a key file.
    #[error(
        "{} is not a key file (line {line}, column {column}): expected {{\"version\":1,\
         \"type\":\"ed25519\",\"secret\":\"0x<64 hexadecimal digits>\",\"public\":\"0x<64 \
         hexadecimal digits>\"}}",
        path.display()
    )]
    Format {
        /// The file.
        path: PathBuf,
        /// Where it stops to be one.
        line: usize,
        /// Where it stops to be one.
        column: usize,
    },
    /// The file was written by a later version of this program.
    #[error(
        "{} has version {found} of the key file format, and this program knows version {VERSION}: \
         use the program that wrote it",
        path.display()
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// What it says.
        found: u64,
    },
    /// The file holds another type of key.
    #[error("{} holds a key of type {found:?}, expected {TYPE:?}", path.display())]
    Type {
        /// The file.
        path: PathBuf,
        /// What it says.
        found: String,
    },
    /// Public and secret key do not belong together.
    #[error(
        "{} says that its public key is {found}, but its secret belongs to {expected}: the file is \
         damaged or was edited; restore it from a backup",
        path.display()
    )]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// The public key of the secret.
        expected: PublicKey,
        /// The public key that it says.
        found: PublicKey,
    },
    /// The system refuses.
    #[error("cannot {action} the key file {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// What the system says.
        source: io::Error,
    },
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+,=@%".contains(&byte);
    if text.bytes().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

/// The content of a file.
#[derive(Deserialize)]
struct KeyFile {
    #[serde(rename = "type")]
    kind: String,
    secret: Secret,
    public: String,
}

#[derive(Deserialize)]
struct VersionOnly {
    version: u64,
}

/// 32 secret bytes as hexadecimal digits, whose errors do not repeat them.
struct Secret(Zeroizing<[u8; 32]>);

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Secret;

            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str("0x and 64 hexadecimal digits")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Secret, E> {
                let mut bytes = Zeroizing::new([0; 32]);
                text.strip_prefix("0x")
                    .and_then(|digits| hex::decode_to_slice(digits, bytes.as_mut_slice()).ok())
                    .ok_or_else(|| E::custom("not 0x and 64 hexadecimal digits"))?;
                Ok(Secret(bytes))
            }
        }
        from.deserialize_str(Visitor)
    }
}

impl SecretKey {
    /// Reads a key file. Refuses one that others than its owner have access to.
    pub fn load(path: &Path) -> Result<Self, KeyFileError> {
        let text = read_private_file(path)?;
        let format = |error: serde_json::Error| KeyFileError::Format {
            path: path.to_owned(),
            line: error.line(),
            column: error.column(),
        };
        let VersionOnly { version } = serde_json::from_slice(&text).map_err(format)?;
        if version != VERSION {
            return Err(KeyFileError::Version { path: path.to_owned(), found: version });
        }
        let file: KeyFile = serde_json::from_slice(&text).map_err(format)?;
        if file.kind != TYPE {
            return Err(KeyFileError::Type { path: path.to_owned(), found: file.kind });
        }
        let found = parse_public_key(&file.public).ok_or_else(|| KeyFileError::Format {
            path: path.to_owned(),
            line: 1,
            column: 0,
        })?;
        let key = Self::from_seed(&file.secret.0);
        let expected = key.public();
        if expected != found {
            return Err(KeyFileError::Mismatch { path: path.to_owned(), expected, found });
        }
        Ok(key)
    }

    /// Writes a new key file with mode 0600 and waits until file and folder entry are on the disk.
    /// Never replaces a file.
    pub fn save(&self, path: &Path) -> Result<(), KeyFileError> {
        let failed = |action| move |source| KeyFileError::Io { path: path.to_owned(), action, source };
        let mut file = match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(KeyFileError::Exists { path: path.to_owned() });
            }
            opened => opened.map_err(failed("create"))?,
        };
        let written = file.write_all(self.file_text().as_bytes()).and_then(|()| file.sync_all());
        if let Err(error) = written {
            // Half a key is of no use, and would be in the way of the next attempt.
            fs::remove_file(path).map_err(failed("remove the incomplete rest of"))?;
            return Err(failed("write")(error));
        }
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed("sync the folder of"))
    }

    fn file_text(&self) -> Zeroizing<String> {
        let mut digits = Zeroizing::new([0; 64]);
        hex::encode_to_slice(self.expose_seed().as_slice(), digits.as_mut_slice()).expect("32 bytes have 64 digits");
        // Large enough from the start: growing would leave copies of the secret behind.
        let mut text = Zeroizing::new(String::with_capacity(512));
        text.push_str("{\"version\":1,\"type\":\"ed25519\",\"secret\":\"0x");
        text.extend(digits.iter().map(|digit| char::from(*digit)));
        text.push_str("\",\"public\":\"");
        text.push_str(&hex::encode_prefixed(self.public().0));
        text.push_str("\"}\n");
        text
    }
}

/// The bytes of a regular file that only its owner has access to, for secrets of any kind. Looks at the
/// opened file, not at the path, so that it cannot be exchanged in between.
pub fn read_private_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, KeyFileError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => KeyFileError::Missing { path: path.to_owned() },
        _ => KeyFileError::Io { path: path.to_owned(), action: "read", source },
    };
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(KeyFileError::NotAFile { path: path.to_owned() });
    }
    let mode = metadata.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(KeyFileError::Permissions { path: path.to_owned(), mode });
    }
    let mut text = Zeroizing::new(Vec::with_capacity(MAX_KEY_FILE_BYTES + 64));
    file.take(MAX_KEY_FILE_BYTES as u64 + 1).read_to_end(&mut text).map_err(failed)?;
    if text.len() > MAX_KEY_FILE_BYTES {
        return Err(KeyFileError::Format { path: path.to_owned(), line: 1, column: text.len() });
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn saved() -> (tempfile::TempDir, PathBuf, SecretKey) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("validator.json");
        let key = SecretKey::from_seed(&[7; 32]);
        key.save(&path).unwrap();
        (folder, path, key)
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn saved_keys_are_private_and_load_again() {
        let (_folder, path, key) = saved();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
        assert_eq!(SecretKey::load(&path).unwrap().expose_seed(), key.expose_seed());
    }

    #[test]
    fn the_file_format_is_frozen() {
        let (_folder, path, _) = saved();
        let expected = concat!(
            r#"{"version":1,"type":"ed25519","#,
            r#""secret":"0x0707070707070707070707070707070707070707070707070707070707070707","#,
            r#""public":"0xea4a6c63e29c520abef5507b132ec5f9954776aebebe7b92421eea691446d22c"}"#,
            "\n"
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), expected);
    }

    #[test]
    fn only_the_owner_may_have_access() {
        let (_folder, path, _) = saved();
        for mode in [0o600, 0o400] {
            set_mode(&path, mode);
            assert!(SecretKey::load(&path).is_ok(), "{mode:o}");
        }
        for mode in [0o640, 0o620, 0o610, 0o604, 0o602, 0o601, 0o644, 0o666, 0o777] {
            set_mode(&path, mode);
            let error = SecretKey::load(&path).unwrap_err();
            assert!(matches!(error, KeyFileError::Permissions { mode: m, .. } if m == mode));
            let hint = format!("Run: chmod 600 {}", path.display());
            assert!(error.to_string().ends_with(&hint), "{error}");
        }
    }

    #[test]
    fn hints_quote_paths_for_the_shell() {
        assert_eq!(quoted(Path::new("/a/b-1.json")), "/a/b-1.json");
        assert_eq!(quoted(Path::new("/a b/it's")), r"'/a b/it'\''s'");
    }

    #[test]
    fn a_key_is_never_overwritten() {
        let (_folder, path, key) = saved();
        let error = SecretKey::from_seed(&[8; 32]).save(&path).unwrap_err();
        assert!(matches!(error, KeyFileError::Exists { .. }), "{error}");
        assert_eq!(SecretKey::load(&path).unwrap().public(), key.public());
    }

    #[test]
    fn missing_files_and_folders_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let missing = SecretKey::load(&folder.path().join("none")).unwrap_err();
        assert!(matches!(missing, KeyFileError::Missing { .. }), "{missing}");
        let directory = SecretKey::load(folder.path()).unwrap_err();
        assert!(matches!(directory, KeyFileError::NotAFile { .. }), "{directory}");
        let nowhere = SecretKey::from_seed(&[7; 32]).save(&folder.path().join("no/key")).unwrap_err();
        assert!(matches!(nowhere, KeyFileError::Io { action: "create", .. }), "{nowhere}");
    }

    #[test]
    fn damaged_files_are_refused_without_showing_the_secret() {
        let (_folder, path, _) = saved();
        let text = fs::read_to_string(&path).unwrap();
        let secret = "07".repeat(32);
        let other = hex::encode(SecretKey::from_seed(&[8; 32]).public().0);
        let public = hex::encode(SecretKey::from_seed(&[7; 32]).public().0);
        // (content, what the error says)
        let cases = [
            (String::new(), "is not a key file (line 1, column 0)"),
            (text[..60].to_owned(), "is not a key file (line 1"),
            (text.replace("secret", "sekret"), "is not a key file"),
            (text.replace(&secret, &secret[2..]), "is not a key file"),
            (text.replace(&secret, &"zz".repeat(32)), "is not a key file"),
            (text.replace("\"version\":1", &format!("\"version\":\"0x{secret}\"")), "not a key file"),
            (text.replace(&public, "00"), "is not a key file"),
            (text.replace("\"version\":1", "\"version\":2"), "has version 2 of the key file format"),
            (text.replace("ed25519", "bls"), "holds a key of type \"bls\", expected \"ed25519\""),
            (text.replace(&public, &other), "but its secret belongs to 0xea4a6c63"),
            (format!("{text}{}", " ".repeat(MAX_KEY_FILE_BYTES)), "is not a key file"),
            (format!("{text}x"), "is not a key file"),
        ];
        for (content, expected) in cases {
            fs::write(&path, &content).unwrap();
            let error = SecretKey::load(&path).unwrap_err();
            let shown = format!("{error} {error:?}");
            assert!(shown.contains(expected), "{content}: {shown}");
            assert!(!shown.contains(&secret[2..]), "{shown}");
        }
    }
}
