//! Where a validator stands when it starts: its log and its signer's mark, compared (SPEC rules D, S and M).
//!
//! A crash may leave either one step behind. The log is behind only by a Propose or Prepare with its block: what leads
//! into a view, and a view's Commit or ViewChange, are durable in it before the mark is written ([`crate::durability`]).
//! The mark's floor tells how far the log was durable for certain: a log that ends below it has lost votes, by damage or
//! because it is an older copy. Above the floor nothing was promised, so whatever is missing there is a torn tail. Without
//! a mark, or with one that says of itself that it is lost, the validator does not know what it signed, whatever its log
//! says, and abstains.

use crate::core::Memory0;
use crate::log::Replay;
use crate::mark::SignerMark;
use crate::{Phase, Record, ValidatorIndex, ValidatorSet, View, Vote};

/// What the state machine is restored with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// What it remembers.
    pub memory: Memory0,
    /// The highest ballot of ours that either of the two knows: the signer's mark must be raised to it.
    pub mark: (View, u8),
    /// Votes that only the mark holds, to be restored after the log's records.
    pub votes: Vec<Record>,
}

/// Why a validator must not start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecoveryError {
    /// The log has lost votes.
    #[error(
        "the consensus log ends at view {} step {}, below what this validator signed (view {} step {}): the log was \
         damaged, replaced, truncated or restored from an older copy. Restore the newer one; or remove the whole data folder, \
         and the node will join again and abstain until that is safe", .tip.0, .tip.1, .floor.0, .floor.1
    )]
    LogBehindSigner {
        /// Where the log ends.
        tip: (View, u8),
        /// What must be in it.
        floor: (View, u8),
    },
}

/// The highest ballot of a validator in its log.
#[must_use]
pub fn tip(replay: &Replay, records: &[Record], me: ValidatorIndex, set: &ValidatorSet) -> (View, u8) {
    let ballots = records.iter().filter_map(|record| match record {
        Record::Vote(vote) if vote.voter == me => Some(vote.ballot.mark()),
        Record::Proposal(proposal) if set.leader(proposal.block.view) == me => Some(proposal.ballot().mark()),
        _ => None,
    });
    ballots.chain(replay.tip).max().unwrap_or((View(0), 0))
}

/// Compares a log with the mark that was found, if there is one.
///
/// # Errors
/// When votes may be lost.
pub fn recover(
    found: Option<&SignerMark>,
    replay: &Replay,
    records: &[Record],
    me: ValidatorIndex,
    set: &ValidatorSet,
) -> Result<Recovered, RecoveryError> {
    let tip = tip(replay, records, me, set);
    if let Some(found) = found
        && tip < found.floor
    {
        return Err(RecoveryError::LogBehindSigner { tip, floor: found.floor });
    }
    let mark = found.map_or((View(0), 0), |found| found.mark).max(tip);
    let known = found.is_some_and(|found| !found.lost);
    let memory = if known { Memory0::Mark(mark.0, mark.1) } else { Memory0::Lost };
    let kept = found.map(|found| found.kept.clone()).unwrap_or_default();
    let votes = kept.into_iter().filter(|(ballot, _)| ballot.phase != Phase::Propose);
    let votes = votes.map(|(ballot, signature)| Record::Vote(Vote { ballot, voter: me, signature, named: None }));
    Ok(Recovered { memory, mark, votes: votes.collect() })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::testing::Network;
    use crate::{Ballot, Epoch, Hash, Signature};

    const ME: ValidatorIndex = ValidatorIndex(1);

    fn mark(floor: (u64, u8), last: (u64, Phase)) -> SignerMark {
        let mut mark = SignerMark::new();
        let ballot = Ballot { epoch: Epoch(0), view: View(last.0), phase: last.1, block: Hash([1; 32]) };
        mark.signed(ballot, Signature([9; 64]));
        mark.floor = (View(floor.0), floor.1);
        mark
    }

    #[test]
    fn rule_d4_reliability_7_a_log_below_the_floor_is_refused_and_above_it_the_tail_is_only_torn() {
        let net = Network::new(&[1, 1, 1, 1]);
        let records =
            vec![Record::Vote(net.vote(1, Phase::Prepare, 5, 1)), Record::Vote(net.vote(2, Phase::Commit, 9, 1))];
        let recover = |found: Option<&SignerMark>| recover(found, &Replay::default(), &records, ME, &net.set);
        let reached = mark((5, 1), (5, Phase::Commit));
        let recovered = recover(Some(&reached)).unwrap();
        assert_eq!((recovered.memory, recovered.mark), (Memory0::Mark(View(5), 2), (View(5), 2)));
        assert!(matches!(&recovered.votes[..], [Record::Vote(vote)] if vote.ballot.phase == Phase::Commit));
        let beyond = mark((5, 2), (6, Phase::Prepare));
        let (tip, floor) = ((View(5), 1), (View(5), 2));
        assert_eq!(recover(Some(&beyond)), Err(RecoveryError::LogBehindSigner { tip, floor }));
        assert_eq!(recover(None).unwrap().memory, Memory0::Lost);
        let mut lost = reached;
        lost.lost = true;
        let recovered = recover(Some(&lost)).unwrap();
        assert_eq!((recovered.memory, recovered.mark), (Memory0::Lost, (View(5), 2)));
    }

    #[test]
    fn a_mark_that_is_one_step_behind_its_log_is_raised() {
        let net = Network::new(&[1, 1, 1, 1]);
        let records = vec![Record::Vote(net.vote(1, Phase::Commit, 7, 1))];
        let recovered = recover(Some(&mark((5, 1), (5, Phase::Commit))), &Replay::default(), &records, ME, &net.set);
        assert_eq!(recovered.unwrap().mark, (View(7), 2));
    }
}
