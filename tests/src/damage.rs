//! Damage to the files of a node that does not run, as disks, crashes and hands do it: bits that flip, ends that
//! are missing, files that are gone or of an older time.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};

/// Where in a file.
#[derive(Clone, Copy, Debug)]
pub enum At {
    /// So many bytes behind its beginning.
    Start(usize),
    /// In the middle.
    Middle,
    /// So many bytes before its end.
    End(usize),
}

impl At {
    fn offset(self, length: usize) -> Result<usize> {
        let offset = match self {
            Self::Start(bytes) => Some(bytes),
            Self::Middle => Some(length / 2),
            Self::End(bytes) => length.checked_sub(bytes),
        };
        offset.filter(|offset| *offset <= length).with_context(|| format!("{self:?} is not in {length} bytes"))
    }
}

/// Flips one bit.
pub fn flip(file: &Path, at: At) -> Result<()> {
    let mut bytes = read(file)?;
    let offset = at.offset(bytes.len())?;
    let byte = bytes.get_mut(offset).with_context(|| format!("{at:?} is the end of {}", file.display()))?;
    *byte ^= 0x10;
    write(file, &bytes)
}

/// Cuts off what is behind a place.
pub fn cut(file: &Path, at: At) -> Result<()> {
    let mut bytes = read(file)?;
    let length = at.offset(bytes.len())?;
    ensure!(length < bytes.len(), "nothing is cut off {}", file.display());
    bytes.truncate(length);
    write(file, &bytes)
}

/// Removes a file or a folder with all that is in it; it must be there.
pub fn remove(path: &Path) -> Result<()> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    removed.with_context(|| format!("cannot remove {}", path.display()))
}

/// Copies a folder with all that is in it to a place where nothing is.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let path = entry?.path();
        let name = path.file_name().with_context(|| format!("{} has no name", path.display()))?;
        if path.is_dir() {
            copy(&path, &to.join(name))?;
        } else {
            fs::copy(&path, to.join(name)).with_context(|| format!("cannot copy {}", path.display()))?;
        }
    }
    Ok(())
}

/// Puts a copy of a file or folder in the place of another.
pub fn replace(place: &Path, by: &Path) -> Result<()> {
    remove(place)?;
    if by.is_dir() {
        return copy(by, place);
    }
    fs::copy(by, place).with_context(|| format!("cannot copy {}", by.display()))?;
    Ok(())
}

/// The files in a folder whose names begin and end so, in the order of their names; at least one.
pub fn files(folder: &Path, beginning: &str, end: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if path.is_file() && name.starts_with(beginning) && name.ends_with(end) {
            found.push(path);
        }
    }
    found.sort();
    ensure!(!found.is_empty(), "no file {beginning}*{end} is in {}", folder.display());
    Ok(found)
}

/// The last of [`files`]: the newest, where names have numbers.
pub fn newest(folder: &Path, beginning: &str, end: &str) -> Result<PathBuf> {
    files(folder, beginning, end)?.pop().context("at least one was found")
}

/// Which slots of the signer's mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slots {
    /// The one that was written last.
    Newest,
    /// The one before.
    Older,
    /// Both.
    Both,
}

const SLOT_BYTES: usize = 1024;
/// Where a slot has its sequence number, the magic before it.
const SEQUENCE: std::ops::Range<usize> = 14..22;
/// Where a slot has what its checksum covers, and nothing that is the same in each.
const MARK: usize = 60;

/// Overwrites the end of slots of `signer.mark`, as a write that was torn does.
pub fn tear_mark(file: &Path, slots: Slots) -> Result<()> {
    let mut bytes = read(file)?;
    let sequence = |number: usize| -> Option<u64> {
        let slot = bytes.get(number * SLOT_BYTES..(number + 1) * SLOT_BYTES)?;
        Some(u64::from_be_bytes(slot.get(SEQUENCE)?.try_into().ok()?))
    };
    let first = sequence(0).with_context(|| format!("{} has no slot", file.display()))?;
    let newest = usize::from(sequence(1).is_some_and(|second| second > first));
    let torn = match slots {
        Slots::Newest => vec![newest],
        Slots::Older => vec![1 - newest],
        Slots::Both => vec![0, 1],
    };
    for number in torn {
        let start = number * SLOT_BYTES + MARK;
        let rest = bytes.get_mut(start..(number + 1) * SLOT_BYTES);
        rest.with_context(|| format!("{} has no slot {number}", file.display()))?.fill(0xff);
    }
    write(file, &bytes)
}

fn read(file: &Path) -> Result<Vec<u8>> {
    fs::read(file).with_context(|| format!("cannot read {}", file.display()))
}

/// Into the file that is there, with its permissions.
fn write(file: &Path, bytes: &[u8]) -> Result<()> {
    let written = File::options().write(true).truncate(true).open(file);
    let written = written.and_then(|mut file| std::io::Write::write_all(&mut file, bytes));
    written.with_context(|| format!("cannot write {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bit_is_flipped_and_ends_are_cut() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("file");
        fs::write(&file, [0; 8])?;
        flip(&file, At::Start(1))?;
        flip(&file, At::Middle)?;
        flip(&file, At::End(1))?;
        assert_eq!(fs::read(&file)?, [0, 0x10, 0, 0, 0x10, 0, 0, 0x10]);
        cut(&file, At::End(6))?;
        assert_eq!(fs::read(&file)?, [0, 0x10]);
        assert!(flip(&file, At::Start(2)).is_err());
        assert!(flip(&file, At::End(3)).is_err());
        assert!(cut(&file, At::Start(2)).is_err());
        Ok(())
    }

    #[test]
    fn the_newest_slot_is_the_one_with_the_higher_number() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("signer.mark");
        let mut bytes = vec![0; 2 * SLOT_BYTES];
        bytes[SEQUENCE.end - 1] = 4;
        bytes[SLOT_BYTES + SEQUENCE.end - 1] = 5;
        for (slots, torn) in [(Slots::Newest, [false, true]), (Slots::Older, [true, false]), (Slots::Both, [true; 2])] {
            fs::write(&file, &bytes)?;
            tear_mark(&file, slots)?;
            let now = fs::read(&file)?;
            assert_eq!([now[MARK] == 0xff, now[SLOT_BYTES + MARK] == 0xff], torn, "{slots:?}");
        }
        Ok(())
    }

    #[test]
    fn a_folder_is_replaced_by_a_copy_of_another() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let (old, new) = (folder.path().join("old"), folder.path().join("new"));
        fs::create_dir_all(old.join("inner"))?;
        fs::write(old.join("inner/a"), "1")?;
        fs::create_dir(&new)?;
        fs::write(new.join("b"), "2")?;
        replace(&new, &old)?;
        assert_eq!(fs::read_to_string(new.join("inner/a"))?, "1");
        assert!(!new.join("b").exists());
        assert_eq!(files(&new.join("inner"), "a", "")?.len(), 1);
        assert!(files(&new.join("inner"), "b", "").is_err());
        Ok(())
    }
}
