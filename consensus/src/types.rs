//! The small words of the protocol: hashes, numbers with a meaning, keys and signatures.
//!
//! Plain data without behaviour. Arithmetic on them is saturating by name, so that no value that a
//! peer chooses can overflow.

use std::fmt;

/// A 32-byte hash: of a block (keccak256), or of a structure of ours (SHA-256).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// The hash that stands for «none».
    pub const ZERO: Self = Self([0; 32]);
}

/// An ed25519 public key (RFC 8032), compressed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey(pub [u8; 32]);

/// An ed25519 signature (RFC 8032): R, then s.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signature(pub [u8; 64]);

fn write_hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    f.write_str("0x")?;
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

macro_rules! hex_text {
    ($($name:ident),+) => { $(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_hex(f, &self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_hex(f, &self.0)
            }
        }
    )+ };
}
hex_text!(Hash, PublicKey, Signature);

macro_rules! number {
    ($(#[$doc:meta] $name:ident($inner:ty)),+ $(,)?) => { $(
        #[$doc]
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )+ };
}
number!(
    /// The number of an attempt to agree on one block. The first is 1; 0 belongs to genesis.
    View(u64),
    /// The number of a block. Genesis is 0.
    Height(u64),
    /// A span of heights with one validator set. The first is 0.
    Epoch(u64),
    /// A validator's voting weight, in units of stake.
    Weight(u64),
    /// A validator's position in the set of its epoch.
    ValidatorIndex(u16),
);

impl View {
    /// The view after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The view before this one; 0 stays 0.
    #[must_use]
    pub const fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// The view `count` later.
    #[must_use]
    pub const fn plus(self, count: u64) -> Self {
        Self(self.0.saturating_add(count))
    }
}

impl Height {
    /// The height after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl ValidatorIndex {
    /// The index as a position in a slice.
    #[must_use]
    pub const fn position(self) -> usize {
        self.0 as usize
    }
}

/// What consensus needs to know of a block. Whoever decodes a block's bytes fills this in from them;
/// it is never taken from a peer's word.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct BlockInfo {
    /// keccak256 of the header.
    pub hash: Hash,
    /// Hash of the parent.
    pub parent: Hash,
    /// Height: the parent's plus one.
    pub height: Height,
    /// Epoch in the seal.
    pub epoch: Epoch,
    /// View in the seal: the one in which the block was proposed.
    pub view: View,
    /// SHA-256 of the parent's certificate, from the seal; zero for the child of genesis.
    pub parent_certificate: Hash,
}
