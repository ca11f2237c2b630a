//! Rules S and M: what may be signed, and coming back with or without memory.

use super::bench::{Bench, entered, signs};
use crate::core::{Input, Memory0, Output, Standing};
use crate::log::Replay;
use crate::mark::SignerMark;
use crate::recovery::recover;
use crate::testing::GENESIS;
use crate::{Certificate, Epoch, Height, Message, Phase, Status, ValidatorIndex, View, Vote};

use Phase::{Commit, Prepare, Propose, ViewChange};

const LOST: Memory0 = Memory0::Lost;

fn started(me: u16, memory: Memory0) -> Bench {
    let mut bench = Bench::stopped(&[1, 1, 1, 1], me, |config| config.memory = memory);
    bench.give(Input::Start);
    bench
}

#[test]
fn rule_s1_only_upwards() {
    // (mark before, what is wanted, whether it may be signed)
    let table = [
        ((0, 0), (Propose, 1), true),
        ((1, 0), (Propose, 1), false),
        ((1, 0), (Prepare, 1), true),
        ((1, 1), (Prepare, 1), false),
        ((1, 1), (Commit, 1), true),
        ((1, 1), (ViewChange, 1), true),
        ((1, 2), (ViewChange, 1), false),
        ((1, 2), (Commit, 1), false),
        ((1, 2), (Propose, 2), true),
        ((2, 0), (Commit, 1), false),
        ((9, 2), (Prepare, 8), false),
    ];
    for ((view, step), (phase, wanted), may) in table {
        let mut bench = started(3, Memory0::Mark(View(view), step));
        bench.hear_all(None);
        assert_eq!(bench.core.may_sign(phase, View(wanted)), may, "mark {view} {step}, {phase:?} {wanted}");
    }
}

#[test]
fn rule_s2_never_both_commit_and_view_change() {
    for give_up_first in [false, true] {
        let mut bench = Bench::new(3);
        let mut all = bench.block(1, 1, (0, 0));
        if give_up_first {
            all.extend(bench.timeout());
        }
        all.extend(bench.prepared(1, 1));
        all.extend(bench.give(Input::Timer(crate::core::Timer::View(View(1)))));
        all.extend(bench.votes(&[0, 1], ViewChange, 1, 0));
        let last: Vec<Phase> = signs(&all).iter().map(|(phase, ..)| *phase).filter(|p| p.step() == 2).collect();
        assert_eq!(last, if give_up_first { [ViewChange] } else { [Commit] });
    }
}

#[test]
fn rule_m1_who_starts_listens_first() {
    let mut bench = started(3, Memory0::Mark(View(0), 0));
    assert_eq!(bench.core.standing(), Standing::Listening);
    assert_eq!(signs(&bench.block(1, 1, (0, 0))), []);
    assert_eq!(signs(&bench.timeout()), []);
    // Two others and we are a quorum of four.
    bench.hear(0, None, None);
    assert_eq!(bench.core.standing(), Standing::Listening);
    assert_eq!(signs(&bench.hear(1, None, None)), [(Prepare, 1, 1)], "what was validated meanwhile");
    assert_eq!(bench.core.standing(), Standing::Active);
}

#[test]
fn rule_m1_a_commit_that_waited_is_made_up_for() {
    let mut bench = started(3, Memory0::Mark(View(0), 0));
    bench.block(1, 1, (0, 0));
    bench.prepared(1, 1);
    assert_eq!(signs(&bench.hear_all(None)), [(Commit, 1, 1)]);
}

#[test]
fn rule_m1_alone_there_is_nobody_to_ask() {
    let mut bench = Bench::stopped(&[1], 0, |_| {});
    bench.give(Input::Start);
    assert_eq!(bench.core.standing(), Standing::Active);
}

/// All were restarted at once: nobody votes yet, everybody asks, and the answers of those who only listen themselves
/// are enough.
#[test]
fn reliability_9_when_all_restart_at_once_the_statuses_of_listeners_let_them_vote() {
    let entry = Bench::new(3).net.skip(7, &[0, 1, 2]);
    let mut bench = started(3, Memory0::Mark(View(7), 2));
    for (who, standing) in [(0, Standing::Listening), (1, Standing::Active)] {
        let entry = Some(entry.clone());
        let status = Status { epoch: Epoch(0), height: Height(0), entry, yours: None, reply: true };
        let outputs = bench.message(who, Message::Status(status));
        let answered = |o: &Output| matches!(o, Output::Send(to, Message::Status(_)) if to.0 == who);
        assert!(outputs.iter().any(answered), "who asks is answered, also by one who listens");
        assert_eq!(bench.core.standing(), standing);
    }
    assert_eq!(bench.core.view(), View(8));
    bench.work();
    assert_eq!(signs(&bench.timeout()), [(ViewChange, 8, 0)], "it takes part at once");
}

#[test]
fn rule_m2_lost_memory_abstains_until_two_views_beyond_the_reports() {
    let mut bench = started(3, LOST);
    let (low, high) = (bench.net.skip(3, &[0, 1, 2]), bench.net.skip(6, &[0, 1, 2]));
    bench.hear(0, Some(&low), None);
    bench.hear(1, Some(&high), None);
    assert_eq!(bench.core.standing(), Standing::Abstaining(View(9)));
    assert_eq!(signs(&bench.timeout()), []);
    bench.skipped(8);
    assert_eq!(bench.core.standing(), Standing::Abstaining(View(9)));
    bench.skipped(9);
    assert_eq!(bench.core.standing(), Standing::Active);
    // From the next view on.
    let proposal = bench.net.proposal(10, 2, (7, 1), vec![]);
    bench.propose(bench.net.proposal(7, 1, (0, 0), (1..7).map(|v| bench.net.skip(v, &[0, 1, 2])).collect()));
    assert_eq!(signs(&bench.propose(proposal)), [(Prepare, 10, 2)]);
}

#[test]
fn rule_m3_votes_of_ours_that_we_do_not_remember_make_us_abstain() {
    // (our mark, our vote as others have it, whether we take our memory for old)
    let table = [
        ((5, 1), (Prepare, 5), false),
        ((5, 1), (Commit, 5), true),
        ((5, 2), (ViewChange, 5), false),
        ((5, 2), (Prepare, 4), false),
        ((5, 2), (Prepare, 6), true),
        ((0, 0), (Commit, 1), true),
    ];
    for ((view, step), (phase, voted), old) in table {
        for before in [true, false] {
            let mut bench = started(3, Memory0::Mark(View(view), step));
            let vote = bench.net.vote(3, phase, voted, u8::from(phase != ViewChange));
            let told = if before { Some(vote.clone()) } else { None };
            bench.hear(0, None, told.clone());
            bench.hear(1, None, told);
            if !before {
                assert_eq!(bench.core.standing(), Standing::Active);
                bench.hear(2, None, Some(vote));
            }
            let abstains = matches!(bench.core.standing(), Standing::Abstaining(until) if until >= View(voted + 2));
            assert_eq!(abstains, old, "mark {view} {step}, {phase:?} {voted}, told before: {before}");
        }
    }
}

/// Whoever showed the forgotten vote may have forgotten it as well when the validator is started again.
#[test]
fn rule_m3_the_warning_outlives_a_restart() {
    let mut bench = Bench::new(3);
    bench.block(1, 1, (0, 0));
    let forgotten = bench.net.vote(3, Prepare, 4, 9);
    let told = |outputs: &[Output]| outputs.contains(&Output::Forgotten);
    assert!(told(&bench.hear(0, None, Some(forgotten.clone()))));
    assert!(!told(&bench.hear(1, None, Some(forgotten))), "once");

    // The signer writes it down, and is read again.
    let ballot = crate::testing::Network::ballot(Prepare, 1, 1);
    let mut mark = SignerMark::new();
    mark.signed(ballot, bench.net.sign(3, &ballot));
    mark.lost = true;
    let (_, slot) = mark.next_slot(&GENESIS);
    let found = SignerMark::read(&slot, &GENESIS).unwrap();
    let recovered = recover(Some(&found), &Replay::default(), &bench.log, ValidatorIndex(3), &bench.net.set).unwrap();
    assert_eq!(recovered.memory, LOST);
    bench.restart(recovered.memory);
    bench.hear_all(None);
    assert!(matches!(bench.core.standing(), Standing::Abstaining(_)), "{:?}", bench.core.standing());
}

#[test]
fn rule_m3_a_second_warning_is_written_down_like_the_first() {
    let mut bench = Bench::new(3);
    let (first, second) = (bench.net.vote(3, Prepare, 4, 9), bench.net.vote(3, Prepare, 40, 9));
    let told = |outputs: &[Output]| outputs.contains(&Output::Forgotten);
    assert!(told(&bench.hear(0, None, Some(first))));
    bench.skipped(9);
    assert_eq!(bench.core.standing(), Standing::Active, "it has voted again, so that its mark counts again");
    assert!(told(&bench.hear(0, None, Some(second))));
}

#[test]
fn rule_m3_a_forged_vote_of_ours_proves_nothing() {
    let mut bench = Bench::new(3);
    let forged = Vote { voter: crate::ValidatorIndex(3), ..bench.net.vote(0, Prepare, 5, 1) };
    bench.hear(0, None, Some(forged.clone()));
    bench.message(0, Message::Vote(forged));
    assert_eq!(bench.core.standing(), Standing::Active);
}

#[test]
fn rule_m3_our_signature_in_a_certificate_or_a_vote_shows_it_too() {
    let mut bench = Bench::new(3);
    let certificate = bench.net.certificate(Prepare, 4, 1, &[0, 1, 3]);
    bench.certificate(certificate);
    assert_eq!(bench.core.standing(), Standing::Abstaining(View(6)));
    let mut bench = Bench::new(3);
    bench.vote(3, Prepare, 2, 1);
    assert_eq!(bench.core.standing(), Standing::Abstaining(View(4)));
}

#[test]
fn rule_m3_a_certificate_with_our_forgotten_signature_ends_no_abstention() {
    let mut bench = started(3, LOST);
    bench.hear_all(None);
    assert_eq!(bench.core.standing(), Standing::Abstaining(View(3)));
    let with_us = |bench: &Bench, view| -> Certificate { bench.net.certificate(Prepare, view, 1, &[0, 1, 3]) };
    let certificate = with_us(&bench, 5);
    bench.certificate(certificate);
    assert_eq!(bench.core.standing(), Standing::Abstaining(View(7)));
    bench.skipped(7);
    assert_eq!(bench.core.standing(), Standing::Active);
}

#[test]
fn rule_m4_the_view_begins_when_the_abstention_ends_within_it() {
    let mut bench = started(3, LOST);
    // A certificate moved us before the reports came, which are of earlier views.
    bench.skipped(9);
    bench.hear_all(None);
    assert_eq!(bench.core.standing(), Standing::Abstaining(View(3)));
    assert_eq!(entered(&bench.skipped(2)), [0; 0]);
    assert_eq!(entered(&bench.skipped(4)), [10], "the view that we are in begins again");
    assert_eq!(bench.core.standing(), Standing::Active);
}

#[test]
fn rule_m5_with_the_operators_word_it_votes_behind_what_it_sees() {
    let mut bench = started(3, Memory0::LostButAccepted);
    let vote = bench.net.vote(3, Prepare, 1, 1);
    bench.hear(0, None, Some(vote));
    bench.hear(1, None, None);
    assert_eq!(bench.core.standing(), Standing::Active);
    assert_eq!(signs(&bench.block(1, 2, (0, 0))), [], "not a second Prepare");
    assert_eq!(signs(&bench.timeout()), [(ViewChange, 1, 0)]);
}

#[test]
fn rule_m1_a_newcomer_is_told_where_we_stand_and_what_it_voted() {
    let mut bench = Bench::new(3);
    bench.vote(1, Prepare, 1, 1);
    let outputs = bench.give(Input::Connected(crate::ValidatorIndex(1)));
    let [Output::Send(to, Message::Status(status))] = &outputs[..] else { panic!("{outputs:?}") };
    assert_eq!(to.0, 1);
    assert_eq!(status.yours, Some(bench.net.vote(1, Prepare, 1, 1)));
    assert!(!status.reply);
}
