//! Bugs on purpose, for tests alone: a harness is trusted when it finds them.
//!
//! Each is a mistake that somebody made before, put into the real code behind `planted::is(..)`; outside of tests
//! neither the mistakes nor this module exist. `plant` switches one on for the calling thread until what it returns is
//! dropped. `hunt` has the harnesses look for them.

mod hunt;
mod one_core;
#[path = "../../tests/planted/switch.rs"]
mod switch;

pub(crate) use switch::{is, plant};

/// A planted bug.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Bug {
    /// A set's quorum is a weight of 2f with f = (W - 1) / 3 (`ValidatorSet::is_quorum`).
    QuorumOf2f,
    /// Who sent ViewChange still sends Prepare (`Core::may_sign`).
    PrepareAfterViewChange,
    /// Who sent ViewChange still sends Commit (`Core::may_sign`).
    CommitAndViewChange,
    /// What leaves the node does not wait until log and mark are durable (the driver's order, in `sim::node`).
    VoteBeforeSync,
    /// A vote that comes again counts again (`Core::count_vote`). In a certificate nobody can stand twice: its signers
    /// are a bitmap.
    DuplicateSigner,
    /// The sign-bytes say nothing of the genesis (`Ballot::sign_bytes`).
    ChainIdMissing,
    /// Certificates are verified with another threshold than the one they are formed with
    /// (`Certificate::verify_unknown`).
    ThresholdInconsistent,
    /// A timer of an earlier view ends the current one (`Core::on_timer`, and in the simulator's driver, which drops
    /// such timers by itself).
    StaleTimeout,
    /// The block that is held is taken for the one that the certificate of its view names
    /// (`Core::settle_proposal`, `Core::branch`).
    CertificateOfAnotherBlock,
}

impl Bug {
    /// All that can be planted into this crate.
    pub(crate) const ALL: [Self; 9] = [
        Self::QuorumOf2f,
        Self::PrepareAfterViewChange,
        Self::CommitAndViewChange,
        Self::VoteBeforeSync,
        Self::DuplicateSigner,
        Self::ChainIdMissing,
        Self::ThresholdInconsistent,
        Self::StaleTimeout,
        Self::CertificateOfAnotherBlock,
    ];

    /// In the words of the table.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::QuorumOf2f => "quorum of 2f",
            Self::PrepareAfterViewChange => "prepare after view change",
            Self::CommitAndViewChange => "commit and view change both sent",
            Self::VoteBeforeSync => "vote before sync",
            Self::DuplicateSigner => "duplicate signer counted",
            Self::ChainIdMissing => "chain id missing from sign-bytes",
            Self::ThresholdInconsistent => "threshold inconsistent between two places",
            Self::StaleTimeout => "stale timeout acted on",
            Self::CertificateOfAnotherBlock => "certificate of another block accepted",
        }
    }

    /// What it imitates.
    pub(crate) const fn imitates(self) -> &'static str {
        match self {
            Self::QuorumOf2f => "a quorum that is no majority: two halves of a network decide alone",
            Self::PrepareAfterViewChange => "a validator that forgets that it has given the view up",
            Self::CommitAndViewChange => {
                "a validator that commits in a view which it has left: agreement rests on this rule alone"
            }
            Self::VoteBeforeSync => "a mark or log that power loss rolls back behind what was sent (CometBFT)",
            Self::DuplicateSigner => "messages counted instead of voters; padded certificates (Malachite)",
            Self::ChainIdMissing => "votes of one network replayed into another one with the same keys",
            Self::ThresholdInconsistent => "the two quorum formulas that GoQuorum shipped",
            Self::StaleTimeout => "a timer of a past view that ends the present one: view changes without end",
            Self::CertificateOfAnotherBlock => "signatures for another block accepted (Tendermint)",
        }
    }
}

/// 2f, where f is the most that may be faulty of `total`, rounded down.
pub(crate) const fn twice_f(total: u128) -> u128 {
    2 * (total.saturating_sub(1) / 3)
}

/// [`Bug::ThresholdInconsistent`]: 2f + 1 instead of more than two thirds. It is less whenever the total is not 3f + 1.
pub(crate) fn is_enough_elsewhere(weight: u128, total: u128) -> bool {
    is(Bug::ThresholdInconsistent) && weight > twice_f(total)
}

#[test]
fn a_bug_is_there_until_its_guard_is_dropped() {
    let planted = plant(Bug::StaleTimeout);
    assert!(is(Bug::StaleTimeout) && !is(Bug::QuorumOf2f));
    drop(planted);
    assert!(Bug::ALL.into_iter().all(|bug| !is(bug)));
}
