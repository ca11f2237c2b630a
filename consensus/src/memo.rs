//! Remembers signatures that were verified, for a program that runs many validators at once: the simulator. Each
//! of them verifies what it receives; one that another one found right is not computed again.
//!
//! Only the whole of (signer, message, signature) is remembered, when it verified or when its own key made it, so that
//! the verdict is that of the one predicate. A node of a real network has no use for it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::{Signature, ValidatorIndex};

/// Signatures of one generation; two are kept.
const GENERATION: usize = 4096;

type Verified = BTreeMap<(Signature, ValidatorIndex), Vec<u8>>;

#[derive(Debug, Default)]
pub(crate) struct Memo(Mutex<[Verified; 2]>);

impl Memo {
    /// Whether this was verified, now or before.
    pub(crate) fn check(
        &self,
        signer: ValidatorIndex,
        message: &[u8],
        signature: &Signature,
        verify: impl FnOnce() -> bool,
    ) -> bool {
        let mut generations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (*signature, signer);
        if generations.iter().any(|verified| verified.get(&key).is_some_and(|known| known == message)) {
            return true;
        }
        let right = verify();
        if right {
            if generations[0].len() >= GENERATION {
                generations.swap(0, 1);
                generations[0].clear();
            }
            generations[0].insert(key, message.to_vec());
        }
        right
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_very_same_that_was_right_is_known() {
        let memo = Memo::default();
        let (signature, other) = (Signature([1; 64]), Signature([2; 64]));
        assert!(!memo.check(ValidatorIndex(1), b"a", &signature, || false));
        assert!(memo.check(ValidatorIndex(1), b"a", &signature, || true));
        assert!(memo.check(ValidatorIndex(1), b"a", &signature, || false), "known");
        assert!(!memo.check(ValidatorIndex(2), b"a", &signature, || false));
        assert!(!memo.check(ValidatorIndex(1), b"b", &signature, || false));
        assert!(!memo.check(ValidatorIndex(1), b"a", &other, || false));
    }

    #[test]
    fn it_is_bounded() {
        let memo = Memo::default();
        for count in 0..4 * GENERATION {
            let message = count.to_be_bytes();
            let mut signature = Signature([0; 64]);
            signature.0[..message.len()].copy_from_slice(&message);
            assert!(memo.check(ValidatorIndex(0), &message, &signature, || true));
        }
        let kept: usize = memo.0.lock().map(|g| g.iter().map(Verified::len).sum()).unwrap_or(usize::MAX);
        assert!(kept <= 2 * GENERATION);
    }
}
