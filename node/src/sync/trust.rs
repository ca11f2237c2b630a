//! Whose word on its head counts: a peer that did not redeem it is not believed for a while.

use std::collections::BTreeMap;
use std::time::Duration;

use assent_consensus::PublicKey;
use tokio::time::Instant;

/// For how long the first unredeemed claim is held against a peer; it doubles with each further one.
const FIRST: Duration = Duration::from_secs(5);

/// For how long at most.
const LONGEST: Duration = Duration::from_secs(300);

/// The heads that peers claim, and who is not believed.
#[derive(Debug, Default)]
pub(super) struct Heads {
    claims: BTreeMap<PublicKey, u64>,
    doubted: BTreeMap<PublicKey, (Instant, Duration)>,
}

impl Heads {
    /// A peer says that its head is at a height.
    pub(super) fn claim(&mut self, peer: PublicKey, height: u64) {
        let known = self.claims.entry(peer).or_default();
        *known = height.max(*known);
    }

    /// A peer is gone.
    pub(super) fn forget(&mut self, peer: &PublicKey) {
        self.claims.remove(peer);
    }

    /// A peer did not answer, or not with what it claims to have.
    pub(super) fn doubt(&mut self, peer: PublicKey, now: Instant) {
        let length = self.doubted.get(&peer).map_or(FIRST, |(_, length)| length.saturating_mul(2).min(LONGEST));
        self.doubted.insert(peer, (now + length, length));
    }

    /// A peer answered with blocks that hold.
    pub(super) fn trust(&mut self, peer: &PublicKey) {
        self.doubted.remove(peer);
    }

    fn believed(&self, now: Instant) -> impl Iterator<Item = (&PublicKey, u64)> {
        let doubted = move |peer: &PublicKey| self.doubted.get(peer).is_some_and(|(until, _)| now < *until);
        self.claims.iter().filter(move |(peer, _)| !doubted(peer)).map(|(peer, height)| (peer, *height))
    }

    /// The highest head of those that are believed.
    pub(super) fn best(&self, now: Instant) -> u64 {
        self.believed(now).map(|(_, height)| height).max().unwrap_or(0)
    }

    /// The peers that are believed to be above a height.
    pub(super) fn above(&self, height: u64, now: Instant) -> Vec<PublicKey> {
        self.believed(now).filter(|(_, claim)| *claim > height).map(|(peer, _)| *peer).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_that_is_not_redeemed_counts_less_and_less() {
        let (honest, liar) = (PublicKey([1; 32]), PublicKey([2; 32]));
        let (mut heads, now) = (Heads::default(), Instant::now());
        heads.claim(honest, 7);
        heads.claim(liar, u64::MAX);
        assert_eq!(heads.best(now), u64::MAX);
        heads.doubt(liar, now);
        heads.claim(liar, u64::MAX);
        assert_eq!((heads.best(now), heads.above(6, now)), (7, vec![honest]));
        let later = now + FIRST;
        assert_eq!(heads.best(later), u64::MAX);
        heads.doubt(liar, later);
        assert_eq!(heads.best(later + FIRST), 7);
        (0..20).for_each(|_| heads.doubt(liar, later));
        assert_eq!(heads.best(later + LONGEST), u64::MAX);
        heads.trust(&liar);
        assert_eq!(heads.best(later), u64::MAX);
    }
}
