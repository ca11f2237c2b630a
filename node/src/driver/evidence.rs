//! Evidence that waits to be put into a block (SPEC rule E).

use std::collections::BTreeMap;

use alloy_primitives::Bytes;
use assent_chain::seal::MAX_EVIDENCE;
use assent_consensus::{Evidence, ValidatorIndex};

/// Evidence against one validator that waits. One offence is enough to punish it; a few survive a block that fails.
const MAX_PER_VALIDATOR: usize = 4;

/// Evidence by the accused; bounded by the number of validators.
#[derive(Debug, Default)]
pub(super) struct EvidencePool(BTreeMap<ValidatorIndex, Vec<Evidence>>);

impl EvidencePool {
    /// Keeps evidence that the caller has verified; further evidence against the same validator has to wait until the
    /// first is in a block.
    pub(super) fn add(&mut self, evidence: Evidence) {
        let waiting = self.0.entry(evidence.validator()).or_default();
        if waiting.len() < MAX_PER_VALIDATOR && waiting.iter().all(|known| known.id() != evidence.id()) {
            waiting.push(evidence);
        }
    }

    /// What goes into the next block: one piece against each validator in turn, as many as a seal holds.
    pub(super) fn next(&self) -> Vec<Bytes> {
        let rounds =
            (0..MAX_PER_VALIDATOR).flat_map(|turn| self.0.values().filter_map(move |waiting| waiting.get(turn)));
        rounds.take(MAX_EVIDENCE).map(|evidence| Bytes::from(evidence.encode())).collect()
    }

    /// Forgets what stands in a final block, whatever pair of signatures proves it there.
    pub(super) fn remove(&mut self, included: &[Bytes]) {
        for included in included.iter().filter_map(|bytes| Evidence::decode(bytes).ok()) {
            if let Some(waiting) = self.0.get_mut(&included.validator()) {
                waiting.retain(|known| known.id() != included.id());
            }
        }
        self.0.retain(|_, waiting| !waiting.is_empty());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use assent_consensus::{Epoch, Hash, Phase, Signature, Signed, View};

    fn evidence(validator: u16, view: u64) -> Evidence {
        let signed = |block| Signed { phase: Phase::Prepare, block: Hash([block; 32]), signature: Signature([0; 64]) };
        Evidence::of(Epoch(0), View(view), ValidatorIndex(validator), signed(1), signed(2)).unwrap()
    }

    #[test]
    fn evidence_is_bounded_taken_in_turn_and_forgotten_once_it_is_final() {
        let mut pool = EvidencePool::default();
        for view in 1..1000 {
            pool.add(evidence(3, view));
            pool.add(evidence(3, view));
        }
        pool.add(evidence(5, 7));
        let bytes = |evidence: Evidence| Bytes::from(evidence.encode());
        let next = pool.next();
        assert_eq!(next, [bytes(evidence(3, 1)), bytes(evidence(5, 7)), bytes(evidence(3, 2)), bytes(evidence(3, 3))]);
        pool.remove(&next);
        assert_eq!(pool.next(), [bytes(evidence(3, 4))]);
        pool.remove(&[bytes(evidence(3, 4)), Bytes::from_static(b"no evidence")]);
        assert!(pool.next().is_empty());
    }
}
