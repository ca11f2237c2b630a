//! Bytes that nobody honest sends or stores: mutations of valid encodings, for the fuzz tests of all crates.
//!
//! A mutation is a pure function of a corpus of valid encodings and of a script, which is a byte string. So whoever
//! makes scripts (a seeded generator, a fuzzer that watches coverage, a shrinker) finds the same bytes for the same
//! script, and small changes of the script are small changes of the result.
//!
//! ```text
//! script   mode (1)   0: the rest of the script, as it is   1: noise, seeded by the rest
//!                     else: which encoding (1), then edits until the script ends
//! edit     kind (1)   place (2)   arguments
//! ```
//! Whatever is missing at the end of a script is zero. It does not know what the bytes mean.

use crate::sim::Rng;

/// Most edits of one encoding: more of them make noise, which is had more cheaply.
const MAX_EDITS: usize = 12;

/// Most bytes of noise.
const MAX_NOISE: u64 = 2048;

/// Half of the places are within so many bytes of the beginning, where tags, counts and lengths stand.
const FRONT: usize = 96;

/// No edit makes the result longer than this, except for what the corpus itself holds.
const MAX_BYTES: usize = 1024 * 1024;

/// Integers that decoders get wrong: none, one, the ends of the types, and their signs.
const INTERESTING: [u64; 12] =
    [0, 1, 2, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0xffff_ffff, 0x7fff_ffff_ffff_ffff, 0xffff_ffff_ffff_ffff];

/// Reads a script; zeros behind its end.
struct Script<'a>(&'a [u8]);

impl Script<'_> {
    fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((byte, rest)) => {
                self.0 = rest;
                *byte
            }
            None => 0,
        }
    }

    fn take(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.byte()).collect()
    }

    /// A place in something of this length, its end included.
    fn place(&mut self, length: usize) -> usize {
        let value = usize::from(u16::from_be_bytes([self.byte(), self.byte()]));
        let places = length + 1;
        if value.is_multiple_of(2) { value / 2 % places.min(FRONT) } else { value * places / 0x1_0000 }
    }

    fn entry<'c>(&mut self, corpus: &'c [Vec<u8>]) -> &'c [u8] {
        let which = usize::from(self.byte());
        corpus.get(which % corpus.len().max(1)).map(Vec::as_slice).unwrap_or_default()
    }
}

/// The bytes that a script makes of a corpus. An empty script gives its first encoding, unchanged.
#[must_use]
pub fn mutate(corpus: &[Vec<u8>], script: &[u8]) -> Vec<u8> {
    if script.is_empty() {
        return corpus.first().cloned().unwrap_or_default();
    }
    let mut script = Script(script);
    match script.byte() % 16 {
        0 => script.0.to_vec(),
        1 => noise(&mut script),
        _ => {
            let mut bytes = script.entry(corpus).to_vec();
            for _ in 0..MAX_EDITS {
                if script.0.is_empty() {
                    break;
                }
                edit(&mut bytes, corpus, &mut script);
            }
            bytes
        }
    }
}

fn noise(script: &mut Script<'_>) -> Vec<u8> {
    let seed = script.0.iter().fold(0u64, |seed, byte| seed.wrapping_mul(0x0100_0000_01b3) ^ u64::from(*byte));
    let mut rng = Rng::new(seed);
    let length = rng.below(MAX_NOISE);
    (0..length).map(|_| rng.next().to_be_bytes()[0]).collect()
}

/// One edit. Each leaves alone what is too short for it.
fn edit(bytes: &mut Vec<u8>, corpus: &[Vec<u8>], script: &mut Script<'_>) {
    let (kind, at) = (script.byte() % 11, script.place(bytes.len()));
    match kind {
        0 => {
            let bit = script.byte() % 8;
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << bit;
            }
        }
        1 => {
            let value = script.byte();
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
        }
        2 => {
            let up = script.byte().is_multiple_of(2);
            if let Some(byte) = bytes.get_mut(at) {
                *byte = if up { byte.wrapping_add(1) } else { byte.wrapping_sub(1) };
            }
        }
        3 => bytes.truncate(at),
        4 => {
            let count = usize::from(script.byte() % 16);
            insert(bytes, at, &script.take(count));
        }
        5 => {
            let end = at.saturating_add(usize::from(script.byte())).min(bytes.len());
            bytes.drain(at..end);
        }
        6 => overwrite_integer(bytes, at, script),
        7 => {
            let end = at.saturating_add(usize::from(script.byte())).min(bytes.len());
            let copy = bytes[at..end].to_vec();
            let to = script.place(bytes.len());
            insert(bytes, to, &copy);
        }
        8 => {
            let other = script.entry(corpus);
            let from = script.place(other.len());
            bytes.truncate(at);
            bytes.extend_from_slice(&other[from..]);
        }
        9 => {
            let other = script.entry(corpus);
            let from = script.place(other.len());
            let end = from.saturating_add(usize::from(script.byte())).min(other.len());
            for (byte, new) in bytes.iter_mut().skip(at).zip(&other[from..end]) {
                *byte = *new;
            }
        }
        _ => {
            let other = script.entry(corpus);
            insert(bytes, at, other);
        }
    }
}

fn insert(bytes: &mut Vec<u8>, at: usize, new: &[u8]) {
    if bytes.len() + new.len() <= MAX_BYTES {
        bytes.splice(at..at, new.iter().copied());
    }
}

/// Overwrites a field of 1, 2, 4 or 8 bytes with an integer that decoders get wrong, or with the number of bytes
/// behind it.
fn overwrite_integer(bytes: &mut [u8], at: usize, script: &mut Script<'_>) {
    let (form, which) = (script.byte(), usize::from(script.byte()));
    let width = 1usize << (form % 4);
    let Some(field) = at.checked_add(width).and_then(|end| bytes.get(at..end)).map(<[u8]>::len) else { return };
    let behind = (bytes.len() - at - field) as u64;
    let value = match which % (INTERESTING.len() + 2) {
        0 => behind,
        1 => behind.saturating_add(1),
        other => INTERESTING[other - 2],
    };
    let mut digits = value.to_be_bytes()[8 - width..].to_vec();
    if form & 0x80 != 0 {
        digits.reverse();
    }
    bytes[at..at + width].copy_from_slice(&digits);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn corpus() -> Vec<Vec<u8>> {
        vec![(0..200).collect(), vec![0xaa; 40], Vec::new()]
    }

    fn scripts() -> impl Iterator<Item = Vec<u8>> {
        let mut rng = Rng::new(7);
        (0..20_000).map(move |_| {
            let length = rng.below(64);
            (0..length).map(|_| rng.next().to_be_bytes()[0]).collect()
        })
    }

    #[test]
    fn a_script_always_makes_the_same_bytes_and_never_too_many() {
        for script in scripts() {
            let bytes = mutate(&corpus(), &script);
            assert_eq!(bytes, mutate(&corpus(), &script));
            assert!(bytes.len() <= MAX_BYTES + 200);
        }
        assert_eq!(mutate(&corpus(), &[]), corpus()[0]);
        assert_eq!(mutate(&corpus(), &[2]), corpus()[0]);
        assert_eq!(mutate(&corpus(), &[2, 1]), corpus()[1]);
        assert_eq!(mutate(&corpus(), &[0, 7, 8]), [7, 8]);
        assert!(mutate(&[], &[2, 0, 4, 0, 0, 3, 1, 2, 3]).len() == 3);
    }

    #[test]
    fn each_kind_of_damage_happens() {
        let original = &corpus()[0];
        let made: Vec<Vec<u8>> = scripts().map(|script| mutate(&corpus(), &script)).collect();
        let has = |what: &dyn Fn(&[u8]) -> bool| made.iter().any(|bytes| what(bytes));
        let differing = |bytes: &[u8]| bytes.iter().zip(original).filter(|(a, b)| a != b).count();
        assert!(has(&|bytes| bytes == original.as_slice()), "untouched");
        assert!(has(&|bytes| bytes.len() == 200 && differing(bytes) == 1), "one byte");
        assert!(has(&|bytes| bytes.len() < 200 && !bytes.is_empty() && original.starts_with(bytes)), "cut");
        assert!(has(&|bytes| bytes.len() > 200 && bytes.starts_with(&original[..20])), "longer");
        assert!(has(&|bytes| bytes.starts_with(&original[..20]) && bytes.ends_with(&[0xaa; 20])), "spliced");
        assert!(has(&|bytes| bytes.windows(8).any(|window| window == [0xff; 8])), "an integer at its end");
        assert!(has(&|bytes| bytes.is_empty()), "empty");
    }
}
