//! Reading and writing of the wire layout that SPEC.md section 4 fixes: big-endian integers, fixed-size
//! fields, length prefixes that are checked against a limit before anything is allocated.

use crate::{Epoch, Hash, Signature, ValidatorIndex, View};

/// Why bytes were refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Fewer bytes than the layout needs.
    #[error("{field}: the bytes end early, {needed} more expected")]
    TooShort {
        /// What was being read.
        field: &'static str,
        /// Bytes missing.
        needed: usize,
    },
    /// Bytes behind the end of the structure.
    #[error("{0} bytes behind the end")]
    Trailing(usize),
    /// A length prefix over its limit.
    #[error("{field}: length {got}, at most {limit} expected")]
    TooLong {
        /// What was being read.
        field: &'static str,
        /// The limit.
        limit: usize,
        /// The length that was claimed.
        got: usize,
    },
    /// A value outside its range, or one of several encodings of the same thing.
    #[error("{field}: {reason}")]
    Invalid {
        /// What was being read.
        field: &'static str,
        /// What is wrong.
        reason: &'static str,
    },
}

/// Appends fields to a byte string.
#[derive(Default)]
pub(crate) struct Writer(pub(crate) Vec<u8>);

impl Writer {
    pub(crate) fn u8(&mut self, value: u8) -> &mut Self {
        self.0.push(value);
        self
    }

    pub(crate) fn u16(&mut self, value: u16) -> &mut Self {
        self.raw(&value.to_be_bytes())
    }

    pub(crate) fn u64(&mut self, value: u64) -> &mut Self {
        self.raw(&value.to_be_bytes())
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// A count of at most 65,535 things; longer ones cannot be built (limits are far below).
    pub(crate) fn count(&mut self, count: usize) -> &mut Self {
        self.u16(u16::try_from(count).unwrap_or(u16::MAX))
    }

    /// A length of four bytes, then the bytes.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        self.raw(&length.to_be_bytes()).raw(bytes)
    }
}

/// Takes fields from a byte string.
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn take(&mut self, field: &'static str, count: usize) -> Result<&'a [u8], DecodeError> {
        match self.0.split_at_checked(count) {
            Some((head, tail)) => {
                self.0 = tail;
                Ok(head)
            }
            None => Err(DecodeError::TooShort { field, needed: count - self.0.len() }),
        }
    }

    /// Bytes that are not read yet.
    pub(crate) const fn remaining(&self) -> usize {
        self.0.len()
    }

    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], DecodeError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(field, N)?);
        Ok(array)
    }

    pub(crate) fn u8(&mut self, field: &'static str) -> Result<u8, DecodeError> {
        self.array::<1>(field).map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self, field: &'static str) -> Result<u16, DecodeError> {
        self.array(field).map(u16::from_be_bytes)
    }

    pub(crate) fn u64(&mut self, field: &'static str) -> Result<u64, DecodeError> {
        self.array(field).map(u64::from_be_bytes)
    }

    pub(crate) fn flag(&mut self, field: &'static str) -> Result<bool, DecodeError> {
        match self.u8(field)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(DecodeError::Invalid { field, reason: "neither 0 nor 1" }),
        }
    }

    pub(crate) fn hash(&mut self, field: &'static str) -> Result<Hash, DecodeError> {
        self.array(field).map(Hash)
    }

    pub(crate) fn signature(&mut self) -> Result<Signature, DecodeError> {
        self.array("signature").map(Signature)
    }

    pub(crate) fn epoch(&mut self) -> Result<Epoch, DecodeError> {
        self.u64("epoch").map(Epoch)
    }

    pub(crate) fn view(&mut self) -> Result<View, DecodeError> {
        self.u64("view").map(View)
    }

    pub(crate) fn validator(&mut self) -> Result<ValidatorIndex, DecodeError> {
        self.u16("validator").map(ValidatorIndex)
    }

    pub(crate) fn count(&mut self, field: &'static str, limit: usize) -> Result<usize, DecodeError> {
        let got = usize::from(self.u16(field)?);
        if got > limit {
            return Err(DecodeError::TooLong { field, limit, got });
        }
        Ok(got)
    }

    pub(crate) fn bytes(&mut self, field: &'static str, limit: usize) -> Result<&'a [u8], DecodeError> {
        let got = usize::try_from(u32::from_be_bytes(self.array(field)?)).unwrap_or(usize::MAX);
        if got > limit {
            return Err(DecodeError::TooLong { field, limit, got });
        }
        self.take(field, got)
    }

    pub(crate) fn finish(self) -> Result<(), DecodeError> {
        match self.0.len() {
            0 => Ok(()),
            left => Err(DecodeError::Trailing(left)),
        }
    }
}
