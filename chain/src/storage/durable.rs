//! The mark of what is durable.
//!
//! After a loss of power RocksDB finds the end of its log torn and goes on from the last sound
//! record; that is what we want, since consensus gives the lost blocks again. But it does the same
//! when the log is damaged further up, and silently loses blocks that were made durable long ago.
//! So every [`Store::sync`](super::Store::sync) notes the number of the head in a file of its own,
//! and a start that finds an older head refuses.
//!
//! The file `durable` holds one line, `assent-durable 1 NUMBER CRC`, where CRC is the first 8
//! hexadecimal digits of the SHA-256 of what stands before it.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::Path;

use alloy_primitives::hex;
use sha2::{Digest, Sha256};

use super::StorageError;

const NAME: &str = "durable";
const TEMPORARY: &str = "durable.new";

fn line(number: u64) -> String {
    let text = format!("assent-durable 1 {number}");
    let digest = Sha256::digest(text.as_bytes());
    format!("{text} {}\n", hex::encode(&digest[..4]))
}

/// Writes the mark: into a new file, which replaces the old one once it is on disk.
pub(super) fn write(directory: &Path, number: u64) -> Result<(), StorageError> {
    let path = directory.join(TEMPORARY);
    let attempt = || {
        let mut file = File::create(&path)?;
        file.write_all(line(number).as_bytes())?;
        file.sync_all()?;
        fs::rename(&path, directory.join(NAME))?;
        File::open(directory)?.sync_all()
    };
    attempt().map_err(|source| StorageError::File { path: path.clone(), source })
}

/// Reads the mark. `Ok(None)`: nothing was ever made durable. `Err` with the file's text if it is
/// not a mark.
pub(super) fn read(directory: &Path) -> Result<Result<Option<u64>, String>, StorageError> {
    let path = directory.join(NAME);
    let text = match fs::read(&path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Ok(None)),
        Err(source) => return Err(StorageError::File { path, source }),
    };
    let number = text.split(' ').nth(2).and_then(|number| number.parse().ok());
    match number {
        Some(number) if line(number) == text => Ok(Ok(Some(number))),
        _ => Ok(Err(text)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn reads_what_it_wrote_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(read(directory.path()).unwrap(), Ok(None));
        for number in [0, 17, u64::MAX] {
            write(directory.path(), number).unwrap();
            assert_eq!(read(directory.path()).unwrap(), Ok(Some(number)));
        }
        assert_eq!(line(17), "assent-durable 1 17 429564dc\n");
        for text in ["", "assent-durable 1 18 429564dc\n", "assent-durable 1 17 429564dc"] {
            fs::write(directory.path().join(NAME), text).unwrap();
            assert_eq!(read(directory.path()).unwrap(), Err(text.to_owned()));
        }
    }
}
