//! Values in Solidity's ABI encoding, as text.
//!
//! The data is anybody's: places may overlap, so that a few bytes name the same array again and again. So there is a
//! budget of values and characters; what is beyond it is left out and said to be.

use alloy_primitives::{Address, I256, U256, hex};

use super::kind::{Field, Kind};
use super::text::shown_bytes;

/// Values that are shown of one encoding.
const MAX_VALUES: usize = 512;
/// Characters that all of them together may take, about.
const MAX_CHARACTERS: usize = 16 * 1024;
/// Characters of one string, and bytes of one byte string.
const MAX_TEXT: usize = 2_048;

const WORD: usize = 32;

/// The values of these fields, one text each; `None`: the data is not an encoding of them.
pub(crate) fn read(fields: &[&Field], data: &[u8]) -> Option<Vec<String>> {
    let mut reader = Reader { data, values: MAX_VALUES, characters: MAX_CHARACTERS };
    let mut at = 0;
    let mut texts = Vec::with_capacity(fields.len());
    for field in fields {
        texts.push(reader.placed(&field.kind, 0, at, false)?);
        at += field.kind.words() * WORD;
    }
    Some(texts)
}

/// A value that stands in one word, such as an indexed parameter of an event.
pub(crate) fn read_word(kind: &Kind, word: &[u8; WORD]) -> Option<String> {
    elementary(kind, word)
}

struct Reader<'a> {
    data: &'a [u8],
    values: usize,
    characters: usize,
}

impl Reader<'_> {
    fn word(&self, at: usize) -> Option<[u8; WORD]> {
        self.data.get(at..)?.first_chunk().copied()
    }

    /// A number that counts bytes or elements of the data.
    fn size(&self, at: usize) -> Option<usize> {
        let number = U256::from_be_bytes(self.word(at)?);
        usize::try_from(number).ok().filter(|number| *number <= self.data.len())
    }

    /// A value at `at`, or where the word there says, counted from `base`. Within others, strings stand in quotes.
    fn placed(&mut self, kind: &Kind, base: usize, at: usize, within: bool) -> Option<String> {
        let at = if kind.is_dynamic() { base.checked_add(self.size(at)?)? } else { at };
        self.value(kind, at, within)
    }

    fn value(&mut self, kind: &Kind, at: usize, within: bool) -> Option<String> {
        if self.values == 0 || self.characters == 0 {
            return Some("…".into());
        }
        self.values -= 1;
        let text = match kind {
            Kind::Text => {
                let text = shown_bytes(self.bytes(at)?, MAX_TEXT.min(self.characters));
                if within { format!("\"{text}\"") } else { text }
            }
            Kind::Bytes => self.hex(self.bytes(at)?),
            Kind::List(element) => {
                let length = self.size(at)?;
                return self.elements(element, at.checked_add(WORD)?, length);
            }
            Kind::Fixed(element, length) => return self.elements(element, at, *length),
            Kind::Tuple(fields) => return self.fields(fields, at),
            kind => {
                let word = self.word(at)?;
                elementary(kind, &word)?
            }
        };
        self.characters = self.characters.saturating_sub(text.len());
        Some(text)
    }

    /// The bytes of a string, behind their number.
    fn bytes(&self, at: usize) -> Option<&[u8]> {
        let (length, start) = (self.size(at)?, at.checked_add(WORD)?);
        self.data.get(start..start.checked_add(length)?)
    }

    fn hex(&self, bytes: &[u8]) -> String {
        let shown = bytes.len().min(MAX_TEXT).min(self.characters / 2);
        match bytes.len() - shown {
            0 => hex::encode_prefixed(bytes),
            _ => format!("{}… ({} bytes)", hex::encode_prefixed(&bytes[..shown]), bytes.len()),
        }
    }

    fn elements(&mut self, element: &Kind, base: usize, length: usize) -> Option<String> {
        let step = element.words().checked_mul(WORD)?;
        // Every element takes a word at least, and all of them must be there.
        if length.checked_mul(step)? > self.data.len().checked_sub(base)? {
            return None;
        }
        let mut texts = Vec::new();
        for index in 0..length {
            if self.values == 0 || self.characters == 0 {
                texts.push(format!("… ({length} in all)"));
                break;
            }
            texts.push(self.placed(element, base, base + index * step, true)?);
        }
        Some(format!("[{}]", texts.join(", ")))
    }

    fn fields(&mut self, fields: &[Field], base: usize) -> Option<String> {
        let mut at = base;
        let mut texts = Vec::with_capacity(fields.len());
        for field in fields {
            let value = self.placed(&field.kind, base, at, true)?;
            texts.push(if field.name.is_empty() { value } else { format!("{}: {value}", field.name) });
            at = at.checked_add(field.kind.words().checked_mul(WORD)?)?;
        }
        Some(format!("({})", texts.join(", ")))
    }
}

/// A value of one word.
fn elementary(kind: &Kind, word: &[u8; WORD]) -> Option<String> {
    let zeros = |part: &[u8]| part.iter().all(|byte| *byte == 0);
    Some(match kind {
        Kind::Bool => match (zeros(&word[..31]), word[31]) {
            (true, 0) => "false".into(),
            (true, 1) => "true".into(),
            _ => return None,
        },
        Kind::Uint => U256::from_be_bytes(*word).to_string(),
        Kind::Int => I256::from_raw(U256::from_be_bytes(*word)).to_string(),
        Kind::Address if zeros(&word[..12]) => Address::from_slice(&word[12..]).to_string(),
        Kind::FixedBytes(length) if zeros(&word[*length..]) => hex::encode_prefixed(&word[..*length]),
        Kind::Function if zeros(&word[24..]) => hex::encode_prefixed(&word[..24]),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn field(ty: &str) -> Field {
        Field::new("", ty, &[]).unwrap()
    }

    fn words(words: &[u64]) -> Vec<u8> {
        words.iter().flat_map(|word| U256::from(*word).to_be_bytes::<32>()).collect()
    }

    fn one(ty: &str, data: &[u8]) -> Option<String> {
        read(&[&field(ty)], data).map(|mut texts| texts.remove(0))
    }

    #[test]
    fn values_of_one_word() {
        assert_eq!(one("uint256", &words(&[7])).as_deref(), Some("7"));
        assert_eq!(one("bool", &words(&[1])).as_deref(), Some("true"));
        assert_eq!(one("bool", &words(&[2])), None);
        assert_eq!(one("int256", &[0xff; 32]).as_deref(), Some("-1"));
        assert_eq!(one("address", &words(&[1])).as_deref(), Some("0x0000000000000000000000000000000000000001"));
        assert_eq!(one("address", &[0xff; 32]), None);
        assert_eq!(one("bytes4", &[&[0xab; 4][..], &[0; 28]].concat()).as_deref(), Some("0xabababab"));
        assert_eq!(one("uint256", &[0; 31]), None, "cut off");
    }

    #[test]
    fn strings_and_lists_are_found_at_their_places() {
        let mut text = words(&[32, 3]);
        text.extend_from_slice(b"abc");
        text.resize(96, 0);
        assert_eq!(one("string", &text).as_deref(), Some("abc"));
        assert_eq!(one("string[1]", &[words(&[32]), text.clone()].concat()).as_deref(), Some("[\"abc\"]"));
        assert_eq!(one("uint256[]", &words(&[32, 2, 5, 6])).as_deref(), Some("[5, 6]"));
        assert_eq!(one("uint256[2][]", &words(&[32, 1, 5, 6])).as_deref(), Some("[[5, 6]]"));
        assert_eq!(one("bytes", &words(&[32, 0])).as_deref(), Some("0x"));
    }

    #[test]
    fn places_outside_the_data_are_refused() {
        assert_eq!(one("uint256[]", &words(&[32, 2, 5])), None, "an element is missing");
        for data in [words(&[33]), words(&[u64::MAX]), words(&[32, 9]), vec![0xff; 64]] {
            assert_eq!(one("uint256[]", &data), None);
            assert_eq!(one("string", &data), None);
        }
    }

    #[test]
    fn arrays_that_name_themselves_again_end_with_the_budget() {
        // 100 places that all name one list of 100 places, and so on.
        let hundred = 100;
        let list = |to: u64| [vec![hundred], vec![to; 100]].concat();
        let size = (1 + hundred) * 32;
        // From the beginning of a list's places to the next list's count.
        let mut data = vec![32];
        for _ in 0..3 {
            data.extend(list(size - 32));
        }
        data.extend(list(1));
        let text = one("uint256[][][][]", &words(&data)).unwrap();
        assert!(text.len() < 64 * 1024 && text.contains("in all)"), "{}", text.len());
    }

    #[test]
    fn long_and_hostile_strings_are_cut_and_escaped() {
        let mut data = words(&[32, 10_000]);
        data.extend("\u{202e}<b>".bytes().cycle().take(10_000));
        let text = one("string", &data).unwrap();
        assert!(text.chars().count() <= MAX_TEXT + 1 && text.starts_with("\\u{202e}<b>"), "{text}");
    }
}
