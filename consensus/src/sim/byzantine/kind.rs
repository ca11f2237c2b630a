//! All behaviours by name.

use super::Behaviour;
use crate::sim::rng::Rng;
use crate::sim::{FaultKind, Faults, Scenario};

/// A Byzantine behaviour.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    /// Proposes two blocks in a view, each to a part of the others.
    EquivocatingLeader,
    /// Proposes two blocks, and all Byzantine validators prepare and commit both.
    ColludingEquivocation,
    /// Votes for two blocks of a view.
    DoubleVoter,
    /// Signs both Commit and ViewChange of a view.
    CommitAndViewChange,
    /// Withholds its votes.
    SilentVoter,
    /// Withholds its blocks.
    SilentLeader,
    /// Shows its blocks to a bare quorum, or to a little less.
    SelectiveLeader,
    /// Proposes just before the view is given up.
    LateProposer,
    /// Proposes for all views ahead that it leads.
    EarlyProposer,
    /// Proposes blocks that the application refuses.
    InvalidBlock,
    /// Proposes blocks with a wrong result of their execution.
    WrongRoot,
    /// Proposes beside prepared blocks, without view-change certificates.
    UnjustifiedProposal,
    /// Proposes on an old block with true view-change certificates, but not of all views.
    StaleParent,
    /// Asks to skip every view.
    ViewChangeFlood,
    /// Says again whatever it heard, at any later time.
    StaleFlood,
    /// Votes and asks for views far ahead.
    FarFutureFlood,
    /// Makes certificates with signatures by nobody.
    ForgedCertificate,
    /// Adds a bad signature to a quorum's.
    PaddedCertificate,
    /// Counts one signature more than once.
    DuplicateSigner,
    /// Votes in the name of others, for another chain, for another epoch.
    ForeignVotes,
    /// Puts true signatures under another block, phase or view.
    SwappedCertificate,
    /// Answers block sync with what is not final.
    LyingSyncPeer,
    /// Says that it stands elsewhere, and that others voted what they did not.
    LyingStatus,
    /// Changes one thing in honest messages.
    Mutator,
    /// Asks for huge ranges again and again.
    FetchFlood,
    /// Accuses honest validators.
    FalseEvidence,
    /// Gives commit certificates to one validator alone.
    SelectiveRelay,
    /// Names blocks falsely in its ViewChanges.
    FalseNaming,
    /// Votes for everything, with all Byzantine validators.
    NothingAtStake,
    /// Says that it forgot what it voted, and votes the contrary.
    Amnesiac,
    /// Votes just before the view is given up.
    SlowDrip,
    /// Lets a part of the others see a prepare certificate just before the view is given up.
    SplitTimeout,
    /// Builds on prepare certificates that it shows to nobody.
    HiddenCertificate,
    /// Says everything ten times.
    Echo,
}

impl Kind {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::EquivocatingLeader,
        Self::ColludingEquivocation,
        Self::DoubleVoter,
        Self::CommitAndViewChange,
        Self::SilentVoter,
        Self::SilentLeader,
        Self::SelectiveLeader,
        Self::LateProposer,
        Self::EarlyProposer,
        Self::InvalidBlock,
        Self::WrongRoot,
        Self::UnjustifiedProposal,
        Self::StaleParent,
        Self::ViewChangeFlood,
        Self::StaleFlood,
        Self::FarFutureFlood,
        Self::ForgedCertificate,
        Self::PaddedCertificate,
        Self::DuplicateSigner,
        Self::ForeignVotes,
        Self::SwappedCertificate,
        Self::LyingSyncPeer,
        Self::LyingStatus,
        Self::Mutator,
        Self::FetchFlood,
        Self::FalseEvidence,
        Self::SelectiveRelay,
        Self::FalseNaming,
        Self::NothingAtStake,
        Self::Amnesiac,
        Self::SlowDrip,
        Self::SplitTimeout,
        Self::HiddenCertificate,
        Self::Echo,
    ];

    /// Its name, as a person writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::EquivocatingLeader => "equivocating_leader",
            Self::ColludingEquivocation => "colluding_equivocation",
            Self::DoubleVoter => "double_voter",
            Self::CommitAndViewChange => "commit_and_view_change",
            Self::SilentVoter => "silent_voter",
            Self::SilentLeader => "silent_leader",
            Self::SelectiveLeader => "selective_leader",
            Self::LateProposer => "late_proposer",
            Self::EarlyProposer => "early_proposer",
            Self::InvalidBlock => "invalid_block",
            Self::WrongRoot => "wrong_root",
            Self::UnjustifiedProposal => "unjustified_proposal",
            Self::StaleParent => "stale_parent",
            Self::ViewChangeFlood => "view_change_flood",
            Self::StaleFlood => "stale_flood",
            Self::FarFutureFlood => "far_future_flood",
            Self::ForgedCertificate => "forged_certificate",
            Self::PaddedCertificate => "padded_certificate",
            Self::DuplicateSigner => "duplicate_signer",
            Self::ForeignVotes => "foreign_votes",
            Self::SwappedCertificate => "swapped_certificate",
            Self::LyingSyncPeer => "lying_sync_peer",
            Self::LyingStatus => "lying_status",
            Self::Mutator => "mutator",
            Self::FetchFlood => "fetch_flood",
            Self::FalseEvidence => "false_evidence",
            Self::SelectiveRelay => "selective_relay",
            Self::FalseNaming => "false_naming",
            Self::NothingAtStake => "nothing_at_stake",
            Self::Amnesiac => "amnesiac",
            Self::SlowDrip => "slow_drip",
            Self::SplitTimeout => "split_timeout",
            Self::HiddenCertificate => "hidden_certificate",
            Self::Echo => "echo",
        }
    }

    /// The behaviour with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }

    /// One to three of them.
    pub(in crate::sim) fn some(rng: &mut Rng) -> Vec<Self> {
        let mut kinds = Self::ALL.to_vec();
        rng.shuffle(&mut kinds);
        kinds.truncate(1 + rng.index(3));
        kinds
    }

    /// A run in which all Byzantine validators behave like this. There are crashes and partitions where nothing of the
    /// behaviour would be seen otherwise.
    #[must_use]
    pub fn scenario(self) -> Scenario {
        let random = match self {
            Self::LyingSyncPeer => vec![(FaultKind::Crash, 12)],
            Self::LyingStatus | Self::Amnesiac => vec![(FaultKind::Crash, 4)],
            Self::HiddenCertificate => vec![(FaultKind::Partition, 2)],
            _ => Vec::new(),
        };
        let faults = Faults { byzantine: vec![self], for_ms: 10_000, random, ..Faults::default() };
        Scenario { name: self.name(), faults, recovery_ms: 60_000, recovery_views: 60, ..Scenario::calm() }
    }

    /// Makes one that has done nothing yet.
    pub(in crate::sim) fn make(self) -> Box<dyn Behaviour> {
        match self {
            Self::EquivocatingLeader => Box::new(super::equivocating_leader::EquivocatingLeader),
            Self::ColludingEquivocation => Box::new(super::colluding_equivocation::ColludingEquivocation),
            Self::DoubleVoter => Box::new(super::double_voter::DoubleVoter::default()),
            Self::CommitAndViewChange => Box::new(super::commit_and_view_change::CommitAndViewChange::default()),
            Self::SilentVoter => Box::new(super::silent_voter::SilentVoter),
            Self::SilentLeader => Box::new(super::silent_leader::SilentLeader),
            Self::SelectiveLeader => Box::new(super::selective_leader::SelectiveLeader::default()),
            Self::LateProposer => Box::new(super::late_proposer::LateProposer::default()),
            Self::EarlyProposer => Box::new(super::early_proposer::EarlyProposer::default()),
            Self::InvalidBlock => Box::new(super::invalid_block::InvalidBlock),
            Self::WrongRoot => Box::new(super::wrong_root::WrongRoot),
            Self::UnjustifiedProposal => Box::new(super::unjustified_proposal::UnjustifiedProposal::default()),
            Self::StaleParent => Box::new(super::stale_parent::StaleParent::default()),
            Self::ViewChangeFlood => Box::new(super::view_change_flood::ViewChangeFlood::default()),
            Self::StaleFlood => Box::new(super::stale_flood::StaleFlood::default()),
            Self::FarFutureFlood => Box::new(super::far_future_flood::FarFutureFlood),
            Self::ForgedCertificate => Box::new(super::forged_certificate::ForgedCertificate),
            Self::PaddedCertificate => Box::new(super::padded_certificate::PaddedCertificate::default()),
            Self::DuplicateSigner => Box::new(super::duplicate_signer::DuplicateSigner::default()),
            Self::ForeignVotes => Box::new(super::foreign_votes::ForeignVotes),
            Self::SwappedCertificate => Box::new(super::swapped_certificate::SwappedCertificate::default()),
            Self::LyingSyncPeer => Box::new(super::lying_sync_peer::LyingSyncPeer),
            Self::LyingStatus => Box::new(super::lying_status::LyingStatus::default()),
            Self::Mutator => Box::new(super::mutator::Mutator::default()),
            Self::FetchFlood => Box::new(super::fetch_flood::FetchFlood),
            Self::FalseEvidence => Box::new(super::false_evidence::FalseEvidence::default()),
            Self::SelectiveRelay => Box::new(super::selective_relay::SelectiveRelay::default()),
            Self::FalseNaming => Box::new(super::false_naming::FalseNaming::default()),
            Self::NothingAtStake => Box::new(super::nothing_at_stake::NothingAtStake),
            Self::Amnesiac => Box::new(super::amnesiac::Amnesiac::default()),
            Self::SlowDrip => Box::new(super::slow_drip::SlowDrip::default()),
            Self::SplitTimeout => Box::new(super::split_timeout::SplitTimeout::default()),
            Self::HiddenCertificate => Box::new(super::hidden_certificate::HiddenCertificate),
            Self::Echo => Box::new(super::echo::Echo),
        }
    }
}
