//! Every behaviour, over several seeds: agreement, no honest validator accused, progress although it goes on to the
//! end. Kinds that sign contradictions are found out. A failing seed prints its timeline.

use super::Kind;
use crate::sim::{FaultKind, Faults, Links, Report, Scenario, run};

/// Seeds of each kind.
const SEEDS: u64 = 8;

/// Plays a scenario; each run holds.
fn play(scenario: &Scenario) -> Vec<Report> {
    (0..SEEDS)
        .map(|seed| {
            let report = run(scenario, seed);
            assert!(report.is_ok(), "{:?}\n{report}", scenario.faults.byzantine);
            report
        })
        .collect()
}

fn acted(reports: &[Report], kind: Kind) -> u64 {
    reports.iter().map(|report| report.faults.of(kind.name())).sum()
}

/// The runs of a kind hold, and it really did what it is named for.
fn survived(kind: Kind) -> Vec<Report> {
    let reports = play(&kind.scenario());
    assert!(acted(&reports, kind) > 0, "{} did nothing", kind.name());
    reports
}

/// Besides, somebody is found out in most runs.
fn found_out(kind: Kind) {
    let reports = survived(kind);
    let found = reports.iter().filter(|report| report.accused > 0).count();
    assert!(found * 2 > reports.len(), "{}: evidence in {found} of {} runs", kind.name(), reports.len());
}

/// Besides, nobody is accused: there is nothing that could be proven.
fn unproven(kind: Kind) {
    let reports = survived(kind);
    let found = reports.iter().filter(|report| report.accused > 0).count();
    assert_eq!(found, 0, "{}: evidence in {found} runs", kind.name());
}

#[test]
fn each_kind_has_a_name_of_its_own_and_starts_from_nothing() {
    for kind in Kind::ALL {
        assert_eq!(Kind::from_name(kind.name()), Some(*kind));
        assert_eq!(format!("{:?}", kind.make()), format!("{:?}", kind.make()));
    }
    assert!(Kind::ALL.len() >= 22);
    assert_eq!(Kind::from_name("honest"), None);
}

mod contradictions_are_found_out_and_do_no_harm {
    use super::*;

    #[test]
    fn equivocating_leader() {
        found_out(Kind::EquivocatingLeader);
    }

    #[test]
    fn colluding_equivocation() {
        found_out(Kind::ColludingEquivocation);
    }

    #[test]
    fn double_voter() {
        found_out(Kind::DoubleVoter);
    }

    #[test]
    fn commit_and_view_change() {
        found_out(Kind::CommitAndViewChange);
    }

    #[test]
    fn nothing_at_stake() {
        found_out(Kind::NothingAtStake);
    }

    #[test]
    fn amnesiac() {
        found_out(Kind::Amnesiac);
    }

    /// Each repetition of a proposal is another block, signed as well.
    #[test]
    fn forged_certificate() {
        found_out(Kind::ForgedCertificate);
    }

    #[test]
    fn swapped_certificate() {
        found_out(Kind::SwappedCertificate);
    }
}

mod nothing_is_proven_and_no_harm_is_done {
    use super::*;

    #[test]
    fn silent_voter() {
        unproven(Kind::SilentVoter);
    }

    #[test]
    fn silent_leader() {
        unproven(Kind::SilentLeader);
    }

    #[test]
    fn selective_leader() {
        unproven(Kind::SelectiveLeader);
    }

    #[test]
    fn late_proposer() {
        unproven(Kind::LateProposer);
    }

    #[test]
    fn view_change_flood() {
        unproven(Kind::ViewChangeFlood);
    }

    #[test]
    fn stale_flood() {
        unproven(Kind::StaleFlood);
    }

    #[test]
    fn padded_certificate() {
        unproven(Kind::PaddedCertificate);
    }

    #[test]
    fn duplicate_signer() {
        unproven(Kind::DuplicateSigner);
    }

    #[test]
    fn foreign_votes() {
        unproven(Kind::ForeignVotes);
    }

    #[test]
    fn lying_sync_peer() {
        unproven(Kind::LyingSyncPeer);
    }

    #[test]
    fn lying_status() {
        unproven(Kind::LyingStatus);
    }

    #[test]
    fn fetch_flood() {
        unproven(Kind::FetchFlood);
    }

    #[test]
    fn false_evidence() {
        unproven(Kind::FalseEvidence);
    }

    #[test]
    fn selective_relay() {
        unproven(Kind::SelectiveRelay);
    }

    #[test]
    fn slow_drip() {
        unproven(Kind::SlowDrip);
    }

    #[test]
    fn split_timeout() {
        unproven(Kind::SplitTimeout);
    }

    #[test]
    fn hidden_certificate() {
        unproven(Kind::HiddenCertificate);
    }

    #[test]
    fn echo() {
        unproven(Kind::Echo);
    }
}

mod no_harm_is_done {
    use super::*;

    #[test]
    fn early_proposer() {
        survived(Kind::EarlyProposer);
    }

    #[test]
    fn invalid_block() {
        survived(Kind::InvalidBlock);
    }

    #[test]
    fn wrong_root() {
        survived(Kind::WrongRoot);
    }

    #[test]
    fn unjustified_proposal() {
        survived(Kind::UnjustifiedProposal);
    }

    #[test]
    fn stale_parent() {
        survived(Kind::StaleParent);
    }

    #[test]
    fn far_future_flood() {
        survived(Kind::FarFutureFlood);
    }

    #[test]
    fn mutator() {
        survived(Kind::Mutator);
    }

    #[test]
    fn false_naming() {
        survived(Kind::FalseNaming);
    }
}

/// Different behaviours in one run, in a network that loses messages, with crashes and partitions.
#[test]
fn different_kinds_together_do_no_harm() {
    let (links, name) = (Links::LOSSY, "byzantine");
    for kinds in Kind::ALL.chunks(3) {
        let faults = Faults {
            byzantine: kinds.to_vec(),
            for_ms: 20_000,
            random: vec![(FaultKind::Crash, 4), (FaultKind::Partition, 2)],
            unanswered: 20,
            ..Faults::default()
        };
        let scenario = Scenario { name, links, faults, recovery_ms: 60_000, recovery_views: 60, ..Scenario::calm() };
        play(&scenario);
    }
}

#[test]
fn a_byzantine_run_plays_the_same_again() {
    for kind in [Kind::Mutator, Kind::StaleFlood, Kind::NothingAtStake] {
        assert_eq!(run(&kind.scenario(), 7), run(&kind.scenario(), 7), "{}", kind.name());
    }
}
