//! Rules V, C, T, E: votes, certificates, Commit, evidence.

use super::bench::{Bench, broadcasts, entered, evidence, signs};
use crate::core::{Input, Output, VIEWS_AHEAD, VIEWS_BEHIND};
use crate::{Certificate, Evidence, Message, Phase, Record, Signature, ValidatorIndex, View, Vote};

use Phase::{Commit, Prepare, Propose, ViewChange};

fn counted(bench: &Bench, view: u64, phase: Phase) -> usize {
    let Some(state) = bench.core.views.get(&View(view)) else { return 0 };
    match phase {
        Propose | Prepare => state.prepares.len(),
        Commit => state.commits.len(),
        ViewChange => state.view_changes.len(),
    }
}

#[test]
fn rule_v1_a_vote_that_does_not_verify_is_nothing() {
    let mut bench = Bench::new(3);
    let good = bench.net.vote(1, Prepare, 1, 1);
    let bad = [
        Vote { signature: Signature([1; 64]), ..good.clone() },
        Vote { voter: ValidatorIndex(2), ..good.clone() },
        Vote { voter: ValidatorIndex(77), ..good.clone() },
    ];
    for vote in bad {
        assert_eq!(bench.message(1, Message::Vote(vote)), []);
    }
    assert_eq!(counted(&bench, 1, Prepare), 0);
    bench.message(2, Message::Vote(good));
    assert_eq!(counted(&bench, 1, Prepare), 1, "over whose connection it came is all the same");
}

#[test]
fn rule_v2_the_window_of_views_is_bounded() {
    let mut bench = Bench::new(3);
    for view in 1..=50 {
        bench.skipped(view);
    }
    let now = 51;
    let table = [
        (now - VIEWS_BEHIND - 1, 0),
        (now - VIEWS_BEHIND, 1),
        (now, 1),
        (now + VIEWS_AHEAD, 1),
        (now + VIEWS_AHEAD + 1, 0),
    ];
    for (view, count) in table {
        bench.vote(1, Prepare, view, 1);
        assert_eq!(counted(&bench, view, Prepare), count, "view {view}");
    }
}

#[test]
fn rule_v3_the_first_vote_of_a_voter_counts() {
    let mut bench = Bench::new(3);
    for (by, block, count) in [(0, 1, 1), (0, 1, 1), (0, 2, 1), (1, 2, 2)] {
        bench.vote(by, Prepare, 1, block);
        assert_eq!(counted(&bench, 1, Prepare), count);
    }
    // Two for block 2 and one for block 1 are no quorum of anything, however often they come.
    assert_eq!(entered(&bench.votes(&[0, 1, 2], Prepare, 1, 2)), [0; 0]);
}

#[test]
fn rule_v3_nothing_is_kept_of_views_that_are_final() {
    let mut bench = Bench::new(3);
    bench.block(1, 1, (0, 0));
    bench.prepared(1, 1);
    bench.committed(1, 1);
    // Our signature comes when the block is final already.
    let ballot = bench.net.vote(3, Commit, 1, 1).ballot;
    let outputs = bench.core.step(Input::Signed(ballot, bench.net.sign(3, &ballot)));
    assert_eq!(broadcasts(&outputs).len(), 1, "the others may need it");
    bench.vote(0, Commit, 1, 1);
    assert!(!bench.core.views.contains_key(&View(1)));
}

#[test]
fn rule_c3_votes_make_a_certificate_that_is_logged_before_it_moves_us() {
    // (phase, block, signs as the quorum completes)
    let table = [(Prepare, 1, vec![(Commit, 1, 1)]), (ViewChange, 0, vec![]), (Commit, 1, vec![])];
    for (phase, block, expected) in table {
        let mut bench = Bench::new(3);
        bench.block(1, 1, (0, 0));
        // Own votes come by themselves: the Prepare at once, the ViewChange when half of the weight gave up.
        let others: &[u16] = match phase {
            Prepare => &[0],
            ViewChange => &[1],
            _ => &[0, 1],
        };
        assert_eq!(entered(&bench.votes(others, phase, 1, block)), [0; 0]);
        let outputs = bench.vote(2, phase, 1, block);
        assert_eq!(entered(&outputs), [2], "{phase:?}");
        let ours: Vec<_> = signs(&outputs).into_iter().filter(|(phase, ..)| *phase == Commit).collect();
        assert_eq!(ours, expected, "{phase:?}");
        let logged = outputs.iter().position(|o| matches!(o, Output::Persist(Record::Certificate(_))));
        let moved = outputs.iter().position(|o| matches!(o, Output::EnteredView { .. }));
        assert!(logged < moved);
    }
}

#[test]
fn rule_c1_a_certificate_of_others_counts_when_all_of_it_verifies() {
    let mut bench = Bench::with(&[40, 30, 20, 10], 3);
    let quorum = bench.net.certificate(Prepare, 1, 1, &[0, 1]);
    let no_quorum = bench.net.certificate(Prepare, 1, 1, &[0, 2]);
    let mut padded = bench.net.certificate(Prepare, 1, 1, &[0, 1, 2]).encode();
    let last = padded.len() - 1;
    padded[last] ^= 1;
    let padded = Certificate::decode(&padded, 4).unwrap();
    assert_eq!(bench.certificate(no_quorum), []);
    assert_eq!(bench.certificate(padded), []);
    assert_eq!(entered(&bench.certificate(quorum.clone())), [2]);
    assert_eq!(bench.certificate(quorum), [], "once");
}

#[test]
fn rule_t1_commit_for_the_prepared_block_that_is_held_unless_the_view_was_given_up() {
    // (block came, ViewChange sent before, Commit)
    let table = [(true, false, true), (false, false, false), (true, true, false)];
    for (held, gave_up, commits) in table {
        let mut bench = Bench::new(3);
        if held {
            bench.block(1, 1, (0, 0));
        }
        if gave_up {
            bench.work();
            bench.timeout();
        }
        let outputs = bench.prepared(1, 1);
        let expected = if commits { vec![(Commit, 1, 1)] } else { vec![] };
        assert_eq!(signs(&outputs), expected, "{held} {gave_up}");
        assert_eq!(bench.core.view(), View(2));
    }
}

#[test]
fn rule_t2_commit_after_the_view_while_nothing_later_was_signed() {
    let mut bench = Bench::new(3);
    bench.prepared(1, 1);
    assert_eq!(bench.core.view(), View(2));
    assert_eq!(signs(&bench.block(1, 1, (0, 0))), [(Commit, 1, 1)], "the block comes late");
    let mut bench = Bench::new(3);
    bench.prepared(1, 1);
    bench.work();
    assert_eq!(signs(&bench.timeout()), [(ViewChange, 2, 0)]);
    assert_eq!(signs(&bench.block(1, 1, (0, 0))), [], "the mark is beyond");
}

#[test]
fn rule_t2_the_commit_comes_before_the_next_prepare() {
    let mut bench = Bench::new(3);
    bench.block(2, 2, (1, 1));
    let outputs = bench.block(1, 1, (0, 0));
    assert_eq!(signs(&outputs), [(Commit, 1, 1), (Prepare, 2, 2)]);
}

#[test]
fn rule_e2_an_offence_is_reported_and_spread_once() {
    // (first, second): phase and block
    let table = [
        ((Prepare, 1), (Prepare, 2), true),
        ((Commit, 1), (Commit, 2), true),
        ((Commit, 1), (ViewChange, 0), true),
        ((ViewChange, 0), (Commit, 1), true),
        ((Prepare, 1), (ViewChange, 0), false),
        ((Prepare, 1), (Commit, 1), false),
    ];
    for (first, second, guilty) in table {
        let mut bench = Bench::new(3);
        assert!(evidence(&bench.vote(0, first.0, 1, first.1)).is_empty());
        let outputs = bench.vote(0, second.0, 1, second.1);
        let accused: Vec<u16> = evidence(&outputs).iter().map(|e| e.validator().0).collect();
        assert_eq!(accused, if guilty { vec![0] } else { vec![] }, "{first:?} {second:?}");
        let spread = broadcasts(&outputs).iter().any(|m| matches!(m, Message::Evidence(_)));
        assert_eq!(spread, guilty);
        assert!(evidence(&bench.vote(0, second.0, 1, second.1)).is_empty(), "once");
    }
}

#[test]
fn rule_e3_anothers_accusation_is_believed_when_it_verifies_within_the_window() {
    let mut bench = Bench::new(3);
    let accuse = |bench: &Bench, view| {
        let signed = |block| bench.net.signed(1, Prepare, view, block);
        Evidence::of(crate::Epoch(0), View(view), ValidatorIndex(1), signed(1), signed(2)).unwrap()
    };
    for (view, believed) in [(1, true), (1, false), (1 + VIEWS_AHEAD, true), (2 + VIEWS_AHEAD, false)] {
        let accusation = accuse(&bench, view);
        let outputs = bench.message(0, Message::Evidence(accusation));
        assert_eq!(!evidence(&outputs).is_empty(), believed, "view {view}");
    }
    let forged = {
        let (a, b) = (bench.net.signed(1, Prepare, 2, 1), bench.net.signed(2, Prepare, 2, 2));
        Evidence::of(crate::Epoch(0), View(2), ValidatorIndex(1), a, b).unwrap()
    };
    assert_eq!(bench.message(0, Message::Evidence(forged)), []);
}

#[test]
fn rule_e4_signatures_in_certificates_accuse_like_votes() {
    // A vote, and a certificate with another word of the same voter.
    let mut bench = Bench::new(3);
    bench.vote(0, ViewChange, 1, 0);
    let accused = |outputs: &[Output]| evidence(outputs).iter().map(|e| e.validator().0).collect::<Vec<_>>();
    let certificate = bench.net.certificate(Commit, 1, 1, &[0, 1, 2]);
    assert_eq!(accused(&bench.certificate(certificate)), [0]);
    // A certificate, and then a vote.
    let mut bench = Bench::new(3);
    let certificate = bench.net.certificate(Prepare, 1, 1, &[0, 1, 2]);
    assert_eq!(accused(&bench.certificate(certificate)), [0u16; 0]);
    assert_eq!(accused(&bench.vote(1, Prepare, 1, 2)), [1]);
    // Two certificates for one view and phase: whoever signed both is named, and the second changes nothing else.
    let mut bench = Bench::new(3);
    let (first, rival) =
        (bench.net.certificate(Prepare, 1, 1, &[0, 1, 2]), bench.net.certificate(Prepare, 1, 2, &[0, 1, 3]));
    bench.certificate(first.clone());
    let outputs = bench.certificate(rival.clone());
    assert_eq!(accused(&outputs), [0, 1]);
    assert!(signs(&outputs).is_empty());
    assert_eq!(accused(&bench.certificate(rival)), [0u16; 0], "once");
    // A view that was committed and skipped.
    let mut bench = Bench::new(3);
    let (committed, skipped) = (bench.net.certificate(Commit, 1, 1, &[0, 1, 2]), bench.net.skip(1, &[0, 2, 3]));
    bench.certificate(committed);
    assert_eq!(accused(&bench.certificate(skipped)), [0, 2]);
}
