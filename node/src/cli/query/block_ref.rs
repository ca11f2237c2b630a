//! Which block: a number, a hash, or a word.

use std::{fmt, str::FromStr};

use alloy_primitives::B256;

/// A block as given on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BlockRef {
    Latest,
    Earliest,
    Number(u64),
    Hash(B256),
}

impl FromStr for BlockRef {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.strip_prefix("0x");
        let parsed = match (text, digits) {
            // Final at once: these are all the last block.
            ("latest" | "safe" | "finalized", _) => Some(Self::Latest),
            ("earliest" | "genesis", _) => Some(Self::Earliest),
            (_, Some(digits)) if digits.len() == 64 => text.parse().ok().map(Self::Hash),
            (_, Some(digits)) => u64::from_str_radix(digits, 16).ok().map(Self::Number),
            (_, None) => text.parse().ok().map(Self::Number),
        };
        parsed.filter(|_| !text.contains('+')).ok_or_else(|| {
            format!("expected a block's number (12 or 0xc), its hash (64 hex digits) or latest, got \"{text}\"")
        })
    }
}

impl BlockRef {
    /// The block as a parameter of JSON-RPC.
    pub(super) fn param(&self) -> String {
        match self {
            Self::Latest => "latest".to_string(),
            Self::Earliest => "earliest".to_string(),
            Self::Number(number) => format!("{number:#x}"),
            Self::Hash(hash) => hash.to_string(),
        }
    }
}

impl fmt::Display for BlockRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latest => f.write_str("last block"),
            Self::Earliest => f.write_str("block 0"),
            Self::Number(number) => write!(f, "block {number}"),
            Self::Hash(hash) => write!(f, "block {hash}"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn numbers_hashes_and_words() {
        let hash = format!("0x{}", "ab".repeat(32));
        for (text, expected, param) in [
            ("latest", BlockRef::Latest, "latest"),
            ("finalized", BlockRef::Latest, "latest"),
            ("earliest", BlockRef::Earliest, "earliest"),
            ("12", BlockRef::Number(12), "0xc"),
            ("0xc", BlockRef::Number(12), "0xc"),
            ("0", BlockRef::Number(0), "0x0"),
            (&hash, BlockRef::Hash(B256::repeat_byte(0xab)), &hash),
        ] {
            let block: BlockRef = text.parse().unwrap();
            assert_eq!((block, block.param().as_str()), (expected, param));
        }
        for text in ["", "-1", "+1", "0x", "0x+1", "x", "12x", "18446744073709551616", &hash[..65], "0xzz"] {
            let error = text.parse::<BlockRef>().unwrap_err();
            assert!(error.contains(&format!("\"{text}\"")), "{error}");
        }
    }
}
