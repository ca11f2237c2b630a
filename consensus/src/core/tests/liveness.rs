//! Rules W, X, R: timers, giving up, silent leaders, saying again.

use proptest::prelude::*;

use super::bench::{Bench, Step, TIMING, broadcasts, builds, entered, signs, timers};
use crate::core::liveness::SILENT_VIEWS;
use crate::core::{Input, MAX_OPEN_VIEWS, Output, Timer, Timing};
use crate::{Message, Phase, ValidatorIndex, View};

use Phase::{Commit, Prepare, ViewChange};

fn view_timer(outputs: &[Output]) -> Option<u64> {
    timers(outputs).into_iter().find_map(|(timer, after)| matches!(timer, Timer::View(_)).then_some(after))
}

#[test]
fn rule_w1_the_timer_runs_while_there_is_work() {
    type Act = fn(&mut Bench) -> Vec<Output>;
    let table: [(&str, Act, bool); 6] = [
        ("work", |b| b.work(), true),
        ("work of another view", |b| b.give(Input::Work(View(2))), false),
        ("a proposal", |b| b.block(1, 1, (0, 0)), true),
        ("a vote", |b| b.vote(1, Prepare, 1, 1), true),
        ("a vote for another view", |b| b.vote(1, Prepare, 2, 1), false),
        ("nothing for long", |b| (0..100).flat_map(|_| b.round()).collect(), false),
    ];
    for (what, act, runs) in table {
        let mut bench = Bench::new(3);
        let outputs = act(&mut bench);
        assert_eq!(view_timer(&outputs), runs.then_some(TIMING.view_timeout_ms), "{what}");
        assert_eq!(bench.core.is_armed(), runs, "{what}");
    }
}

#[test]
fn rule_w1_a_stale_timer_does_nothing() {
    let mut bench = Bench::new(3);
    bench.work();
    bench.skipped(1);
    assert_eq!(bench.give(Input::Timer(Timer::View(View(1)))), []);
    assert_eq!(bench.give(Input::Timer(Timer::Retransmit(View(1)))), []);
}

#[test]
fn rule_w2_a_prepared_block_that_does_not_become_final_is_work() {
    let mut bench = Bench::new(1);
    bench.block(1, 1, (0, 0));
    bench.prepared(1, 1);
    let (first, second) = (bench.round(), bench.round());
    assert_eq!((view_timer(&first), builds(&first).len()), (None, 0), "Commits may be on their way");
    assert_eq!(view_timer(&second), Some(TIMING.view_timeout_ms));
    assert!(builds(&second)[0].needed);
}

#[test]
fn rule_w3_finality_lets_us_look_for_work_again() {
    let mut bench = Bench::new(3);
    // The block is not held yet: the driver looks for work upon its parent, and finds the same transactions.
    bench.prepared(1, 1);
    bench.work();
    assert!(bench.core.is_armed());
    bench.block(1, 1, (0, 0));
    let outputs = bench.committed(1, 1);
    let parent = outputs.iter().find_map(|o| match o {
        Output::EnteredView { view: View(2), parent, .. } => Some(*parent),
        _ => None,
    });
    assert_eq!(parent, Some(crate::testing::block_hash(1)));
    assert!(!bench.core.is_armed());
}

#[test]
fn rule_w4_timeouts_double_with_failed_views_up_to_the_cap_and_begin_anew_after_success() {
    let mut bench = Bench::new(3);
    let mut timeouts = Vec::new();
    for view in 1..=6 {
        timeouts.extend(view_timer(&bench.work()));
        bench.skipped(view);
    }
    assert_eq!(timeouts, [1000, 2000, 4000, 8000, 10_000, 10_000]);
    bench.prepared(7, 1);
    assert_eq!(view_timer(&bench.work()), Some(1000));
}

proptest! {
    #[test]
    fn reliability_2_timeouts_are_monotone_and_capped(failed in any::<u64>()) {
        let timeout = TIMING.view_timeout(failed);
        prop_assert!(timeout <= TIMING.view_timeout_max_ms);
        prop_assert!(timeout >= TIMING.view_timeout_ms);
        prop_assert!(timeout <= TIMING.view_timeout(failed.saturating_add(1)));
    }
}

#[test]
fn reliability_2_timeouts_are_capped_after_any_number_of_failed_views() {
    for failed in [0, 33, 63, 64, 65, u64::from(u32::MAX), u64::from(u32::MAX) + 1, u64::MAX] {
        let timeout = TIMING.view_timeout(failed);
        assert_eq!(timeout, if failed == 0 { 1000 } else { 10_000 }, "{failed}");
    }
}

#[test]
fn reliability_2_the_timer_of_the_largest_view_is_capped_too() {
    for last in [33, 4096, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
        let mut bench = Bench::new(3);
        bench.skipped(last);
        assert_eq!(bench.core.view(), View(last).next());
        assert_eq!(view_timer(&bench.work()), Some(TIMING.view_timeout_max_ms), "after view {last}");
    }
    let extreme = Timing { view_timeout_ms: u64::MAX - 1, view_timeout_max_ms: u64::MAX, retransmit_ms: 1 };
    assert_eq!(extreme.view_timeout(0), u64::MAX - 1);
    assert_eq!(extreme.view_timeout(1), u64::MAX);
}

#[test]
fn rule_x1_a_view_is_given_up_unless_committed_naming_what_was_prepared() {
    type Case = (&'static str, fn(&mut Bench), Vec<Step>);
    let table: [Case; 3] = [
        ("nothing signed", |b| drop(b.work()), vec![(ViewChange, 1, 0)]),
        ("Prepare", |b| drop(b.block(1, 1, (0, 0))), vec![(ViewChange, 1, 1)]),
        (
            "ViewChange",
            |b| {
                b.work();
                b.timeout();
            },
            vec![],
        ),
    ];
    for (what, before, expected) in table {
        let mut bench = Bench::new(3);
        before(&mut bench);
        let outputs = bench.timeout();
        assert_eq!(signs(&outputs), expected, "{what}");
        for message in broadcasts(&outputs) {
            let Message::Vote(vote) = message else { continue };
            assert_eq!(vote.named.is_some(), vote.ballot.block != crate::Hash::ZERO, "{what}");
            assert!(vote.verify(&bench.net.set, &crate::testing::GENESIS));
        }
    }
    // After Commit the view is over for us; its timer is stale.
    let mut bench = Bench::new(3);
    bench.block(1, 1, (0, 0));
    bench.prepared(1, 1);
    assert_eq!(signs(&bench.give(Input::Timer(Timer::View(View(1))))), []);
}

#[test]
fn rule_x2_an_invalid_proposal_ends_the_view_at_once() {
    let mut bench = Bench::new(3);
    bench.verdict = Some(false);
    assert_eq!(signs(&bench.block(1, 1, (0, 0))), [(ViewChange, 1, 0)]);
}

#[test]
fn rule_x3_the_leader_or_a_blocking_weight_is_followed() {
    // (who gives up view 1, led by 0; whether we follow) with weights 40, 30, 20, 10; we are 3
    let table: [(&[u16], bool); 5] = [(&[0], true), (&[1], false), (&[2], false), (&[1, 2], true), (&[2, 0], true)];
    for (who, follows) in table {
        let mut bench = Bench::with(&[40, 30, 20, 10], 3);
        let outputs = bench.votes(who, ViewChange, 1, 0);
        assert_eq!(!signs(&outputs).is_empty(), follows, "{who:?}");
    }
}

#[test]
fn rule_x4_a_silent_leader_is_not_waited_for() {
    // Leaders of equal weights take turns; 0 leads views 1, 5, 9, 13.
    let mut bench = Bench::new(3);
    let views = 1 + SILENT_VIEWS;
    for view in 1..views {
        let certificate = bench.net.certificate(Prepare, view, 1, &[1, 2, 3]);
        bench.core.memory.remember(&bench.net.vote(3, Commit, view, 1).ballot);
        bench.certificate(certificate);
    }
    assert_eq!(bench.core.silent().collect::<Vec<_>>(), [ValidatorIndex(0)]);
    assert_eq!(signs(&bench.work()), [(ViewChange, views, 0)], "as soon as there is work");
    // A word of it is enough.
    bench.hear(0, None, None);
    assert_eq!(bench.core.silent().count(), 0);
}

#[test]
fn rule_x4_nobody_is_silent_because_we_were_away() {
    let mut bench = Bench::new(3);
    let certificate = bench.net.certificate(Commit, 1000, 1, &[0, 1, 2]);
    let other = bench.net.skip(1020, &[0, 1, 2]);
    bench.certificate(certificate);
    assert_eq!(bench.core.silent().count(), 0);
    bench.certificate(other);
    assert_eq!(bench.core.silent().count(), 0);
}

#[test]
fn rule_x5_no_more_views_are_given_up_than_can_be_kept() {
    for (open, gives_up) in [(MAX_OPEN_VIEWS, true), (MAX_OPEN_VIEWS + 1, false)] {
        let mut bench = Bench::new(3);
        bench.skipped(open - 1);
        assert_eq!(bench.core.view(), View(open));
        bench.work();
        assert_eq!(!signs(&bench.timeout()).is_empty(), gives_up, "{open}");
    }
}

/// What a round of retransmission says, in short.
fn says(outputs: &[Output]) -> Vec<String> {
    let word = |message: &&Message| match message {
        Message::Vote(vote) => format!("{:?} {}", vote.ballot.phase, vote.ballot.view),
        Message::Propose(proposal) => format!("block {}", proposal.block.view),
        Message::Status(_) => "status".to_owned(),
        other => format!("{other:?}"),
    };
    broadcasts(outputs).iter().map(word).collect()
}

#[test]
fn rule_r1_own_votes_of_the_view_and_the_last_commits_are_said_again() {
    let mut bench = Bench::new(3);
    bench.block(1, 1, (0, 0));
    assert_eq!(says(&bench.round()), ["Prepare 1", "status"]);
    bench.prepared(1, 1);
    bench.block(2, 2, (1, 1));
    bench.timeout();
    assert_eq!(says(&bench.round()), ["Prepare 2", "ViewChange 2", "Commit 1", "status"]);
}

#[test]
fn rule_r1_a_block_is_said_again_seldom() {
    let mut bench = Bench::new(0);
    let build = builds(&bench.work()).remove(0);
    bench.built(&build, 1, 1);
    let rounds: Vec<bool> = (1..=9).map(|_| says(&bench.round()).contains(&"block 1".to_owned())).collect();
    assert_eq!(rounds, [true, true, false, true, false, false, false, true, false]);
}

#[test]
fn rule_r2_an_idle_node_says_where_it_stands_ever_more_seldom() {
    let mut bench = Bench::new(3);
    let rounds: Vec<u64> = (1..=64).filter(|_| !says(&bench.round()).is_empty()).collect();
    assert_eq!(rounds, [1, 2, 4, 8, 16, 32, 48, 64]);
    assert_eq!(entered(&bench.round()), [0; 0]);
}

#[test]
fn rule_r2_a_listening_node_asks_in_every_round_and_view() {
    let mut bench = Bench::stopped(&[1, 1, 1, 1], 3, |_| {});
    assert_eq!(says(&bench.give(Input::Start)), ["status"]);
    assert_eq!(says(&bench.skipped(1)), ["status"], "in a busy chain no round may come");
    for _ in 0..5 {
        let outputs = bench.round();
        assert!(matches!(broadcasts(&outputs)[..], [Message::Status(status)] if status.reply));
    }
}
