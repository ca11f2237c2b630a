//! Rules N and K: the way through the views, and catching up.

use super::bench::{Bench, entered, fetches, signs, timers};
use crate::core::{Input, Output, Timer};
use crate::{Height, Message, Phase, Status, ValidatorIndex, View};

#[test]
fn rule_n1_a_certificate_of_any_kind_leads_into_the_next_view() {
    for phase in [Phase::Prepare, Phase::Commit, Phase::ViewChange] {
        let mut bench = Bench::new(3);
        let block = u8::from(phase != Phase::ViewChange);
        let certificate = bench.net.certificate(phase, 1, block, &[0, 1, 2]);
        assert_eq!(entered(&bench.certificate(certificate)), [2], "{phase:?}");
    }
}

#[test]
fn rule_n1_votes_alone_or_time_alone_do_not() {
    let mut bench = Bench::new(3);
    bench.work();
    bench.timeout();
    bench.votes(&[0], Phase::ViewChange, 1, 0);
    assert_eq!(bench.core.view(), View(1));
}

#[test]
fn rule_n2_what_entering_does() {
    let mut bench = Bench::new(3);
    let outputs = bench.skipped(1);
    let entry = outputs
        .iter()
        .position(|o| matches!(o, Output::EnteredView { view: View(2), leader, .. } if *leader == ValidatorIndex(1)));
    let timer = outputs.iter().position(|o| matches!(o, Output::SetTimer(Timer::Retransmit(View(2)), 400)));
    assert!(entry.is_some() && entry < timer, "earlier timers are void, then a new one is set");
    assert_eq!(timers(&outputs).len(), 1, "no view timer without work");
}

#[test]
fn rule_n2_votes_that_came_early_count_when_the_view_comes() {
    let mut bench = Bench::new(3);
    bench.votes(&[0, 1], Phase::ViewChange, 2, 0);
    let outputs = bench.skipped(1);
    assert_eq!(signs(&outputs), [(Phase::ViewChange, 2, 0)], "a third and more, and the leader, gave it up");
    assert_eq!(entered(&outputs), [2, 3], "and ours completes the quorum");
}

#[test]
fn rule_k1_a_certificate_of_any_later_view_moves_us_at_once() {
    let mut bench = Bench::new(3);
    assert_eq!(entered(&bench.skipped(1_000_000)), [1_000_001]);
    assert_eq!(entered(&bench.skipped(7)), [0; 0], "never back");
    // In a status as well.
    let entry = bench.net.skip(2_000_000, &[0, 1, 2]);
    assert_eq!(entered(&bench.hear(0, Some(&entry), None)), [2_000_001]);
}

#[test]
fn rule_k2_who_is_behind_is_told_what_leads_here() {
    let mut bench = Bench::new(3);
    bench.skipped(1);
    bench.skipped(2);
    let sent = |outputs: &[Output]| {
        let view = |output: &Output| match output {
            Output::Send(to, Message::Certificate(c)) => Some((to.0, c.view.0)),
            _ => None,
        };
        outputs.iter().filter_map(view).collect::<Vec<_>>()
    };
    assert_eq!(sent(&bench.hear(1, None, None)), [(1, 2)]);
    let entry = bench.net.skip(2, &[0, 1, 2]);
    assert_eq!(sent(&bench.hear(1, Some(&entry), None)), [], "not who is where we are");
}

#[test]
fn rule_k2_a_status_with_a_forged_certificate_proves_nothing() {
    let mut bench = Bench::stopped(&[1, 1, 1, 1], 3, |_| {});
    bench.give(Input::Start);
    let forged = bench.net.skip(9, &[0]);
    let status =
        |reply| Status { epoch: crate::Epoch(0), height: Height(0), entry: Some(forged.clone()), yours: None, reply };
    for who in [0, 1, 2] {
        assert_eq!(bench.message(who, Message::Status(status(true))), []);
    }
    assert_eq!(bench.core.view(), View(1));
}

#[test]
fn rule_k1_a_block_whose_outcome_we_missed_is_asked_for() {
    let mut bench = Bench::new(3);
    bench.skipped(5);
    bench.work();
    let outputs = bench.round();
    assert_eq!(fetches(&outputs).iter().map(|(_, from, to)| (*from, *to)).collect::<Vec<_>>(), [(1, 6)]);
}
