//! Rule P: proposals.

use super::bench::{Bench, diverged, evidence, fetches, genesis, signs, validates};
use crate::core::{Input, Output, VIEWS_AHEAD};
use crate::testing::{GENESIS, Network, VERIFICATIONS, block_hash};
use crate::{BlockInfo, Epoch, Hash, Height, Message, Phase, Proposal, Signature, ValidatorIndex, View};

/// The block of view 1, prepared by the others and held.
fn with_first_block(me: u16) -> Bench {
    let mut bench = Bench::new(me);
    bench.block(1, 1, (0, 0));
    bench.prepared(1, 1);
    bench
}

#[test]
fn rule_p1_a_proposal_must_be_what_its_signature_and_seal_say() {
    type Spoil = fn(&mut Proposal, &Network);
    let table: [(&str, Spoil, bool); 9] = [
        ("as it should be", |_, _| {}, true),
        ("another's signature", |p, net| p.signature = net.sign(0, &p.ballot()), false),
        ("no signature", |p, _| p.signature = Signature([0; 64]), false),
        ("another epoch", |p, _| p.block.epoch = Epoch(1), false),
        ("without the parent's certificate", |p, _| p.parent = None, false),
        (
            "a certificate that the seal does not name",
            |p, net| {
                p.parent = Some(net.certificate(Phase::Commit, 1, 1, &[0, 1, 2]));
            },
            false,
        ),
        (
            "the certificate of another block",
            |p, net| {
                let other = net.certificate(Phase::Prepare, 1, 9, &[0, 1, 2]);
                (p.block.parent_certificate, p.parent) = (other.hash(), Some(other));
            },
            false,
        ),
        (
            "a view-change certificate",
            |p, net| {
                let skip = net.skip(1, &[0, 1, 2]);
                (p.block.parent_certificate, p.parent) = (skip.hash(), Some(skip));
            },
            false,
        ),
        (
            "a certificate of a view that is not before",
            |p, net| {
                let late = net.certificate(Phase::Prepare, 2, 1, &[0, 1, 2]);
                (p.block.parent_certificate, p.parent) = (late.hash(), Some(late));
            },
            false,
        ),
    ];
    for (what, spoil, taken) in table {
        let mut bench = with_first_block(3);
        let mut proposal = bench.net.proposal(2, 2, (1, 1), vec![]);
        spoil(&mut proposal, &bench.net);
        let outputs = bench.propose(proposal);
        assert_eq!(validates(&outputs), if taken { vec![2] } else { vec![] }, "{what}");
        assert!(evidence(&outputs).is_empty(), "{what}");
    }
}

/// The header commits to the parent's certificate, so an unverified one must not get there, also when
/// the parent is final and needs no proof any more.
#[test]
fn reliability_5_the_certificate_of_a_final_parent_must_hold_as_well() {
    for (signers, taken) in [(vec![0], false), (vec![0, 1, 2], true)] {
        let mut bench = with_first_block(3);
        bench.committed(1, 1);
        assert_eq!(bench.core.final_height(), Height(1));
        let mut proposal = bench.net.proposal(2, 2, (1, 1), vec![]);
        let certificate = bench.net.certificate(Phase::Prepare, 1, 1, &signers);
        proposal.block.parent_certificate = certificate.hash();
        proposal.parent = Some(certificate);
        assert_eq!(validates(&bench.propose(proposal)), if taken { vec![2] } else { vec![] }, "signed by {signers:?}");
    }
}

#[test]
fn rule_p1_only_the_child_of_genesis_has_no_parent_certificate() {
    let root_view = View(1 << 40);
    let root = BlockInfo { hash: block_hash(7), view: root_view, height: Height(9), ..genesis() };
    let mut bench = Bench::stopped(&[1, 1, 1, 1], 3, |config| {
        config.root = root;
        config.root_certificate = None;
    });
    bench.give(Input::Start);
    bench.hear_all(None);
    let view = root_view.next();
    for parent in [block_hash(7), GENESIS] {
        let block = BlockInfo {
            hash: block_hash(8),
            parent,
            height: Height(10),
            epoch: Epoch(0),
            view,
            parent_certificate: Hash::ZERO,
        };
        let mut proposal = Proposal { block, parent: None, ..bench.net.proposal(1, 8, (0, 0), vec![]) };
        proposal.signature = bench.net.sign(bench.net.set.leader(view).0, &proposal.ballot());
        // Not a loop over all views since genesis either.
        assert!(validates(&bench.propose(proposal)).is_empty());
    }
}

#[test]
fn rule_p2_the_first_of_a_view_and_the_second_is_evidence() {
    let mut bench = Bench::new(3);
    assert_eq!(validates(&bench.block(1, 1, (0, 0))), [1]);
    let outputs = bench.block(1, 2, (0, 0));
    assert!(validates(&outputs).is_empty());
    assert_eq!(evidence(&outputs)[0].validator(), ValidatorIndex(0));
    assert!(bench.block(1, 1, (0, 0)).is_empty(), "the same again is nothing");
}

/// A leader may sign one proposal and send it without end, with certificates that cost the others something.
#[test]
fn rule_p2_a_proposal_that_comes_again_is_not_verified_again() {
    type Spoil = fn(&mut Proposal, &Network);
    let invented: Spoil = |proposal, net| {
        // Of view 99, and said to be of others: the first signature does not verify.
        let skip = net.skip(99, &[0, 1, 2]);
        proposal.skipped = vec![skip; 16];
        (3..).zip(&mut proposal.skipped).for_each(|(view, skip)| skip.view = View(view));
    };
    let bad_parent: Spoil = |proposal, net| {
        let mut parent = net.certificate(Phase::Commit, 1, 1, &[0, 1, 2]);
        parent.phase = Phase::Prepare;
        (proposal.block.parent_certificate, proposal.parent) = (parent.hash(), Some(parent));
    };
    // (what is sent, verifications: the leader's, the parent's signers', and then)
    let table: [(&str, Spoil, u64); 3] = [
        ("as it should be", |_, _| {}, 1 + 3),
        ("sixteen invented certificates, of which the first is enough", invented, 1 + 3 + 1),
        ("a parent's certificate that does not hold", bad_parent, 1 + 1),
    ];
    for (what, spoil, expected) in table {
        let mut bench = with_first_block(3);
        let mut proposal = bench.net.proposal(2, 2, (1, 1), vec![]);
        spoil(&mut proposal, &bench.net);
        let before = VERIFICATIONS.get();
        bench.propose(proposal.clone());
        assert_eq!(VERIFICATIONS.get() - before, expected, "{what}");
        for from in (0..3).cycle().take(100) {
            bench.message(from, Message::Propose(proposal.clone()));
        }
        assert_eq!(VERIFICATIONS.get() - before, expected, "{what}, a hundred times");
    }
}

#[test]
fn rule_p2_of_a_leader_that_contradicted_itself_only_the_certified_block_is_verified() {
    let mut bench = Bench::new(3);
    bench.block(1, 1, (0, 0));
    assert_eq!(evidence(&bench.block(1, 2, (0, 0))).len(), 1);
    let before = VERIFICATIONS.get();
    for block in 2..100 {
        assert!(bench.block(1, block, (0, 0)).is_empty());
    }
    assert_eq!(VERIFICATIONS.get(), before);
    bench.prepared(1, 2);
    assert_eq!(validates(&bench.block(1, 2, (0, 0))), [2]);
}

#[test]
fn rule_p2_beyond_the_window_one_proposal_of_each_sender_is_verified_in_a_round() {
    let mut bench = Bench::new(3);
    let far: Vec<Proposal> = (50..150).map(|view| bench.net.proposal(view, 1, (0, 0), vec![])).collect();
    let before = VERIFICATIONS.get();
    for round in 1..=3 {
        // Also in the name of one who is no validator.
        for from in [0, 1, 4] {
            for proposal in &far {
                bench.message(from, Message::Propose(proposal.clone()));
            }
        }
        assert_eq!(VERIFICATIONS.get() - before, 2 * round);
        bench.round();
    }
}

#[test]
fn rule_p2_the_certified_block_takes_the_place_of_another() {
    let mut bench = Bench::new(3);
    bench.block(1, 1, (0, 0));
    bench.prepared(1, 2);
    assert_eq!(validates(&bench.block(1, 1, (0, 0))), [], "the one that lost is not taken again");
    let outputs = bench.block(1, 2, (0, 0));
    assert_eq!(validates(&outputs), [2]);
    assert_eq!(signs(&outputs), [(Phase::Commit, 1, 2)]);
}

#[test]
fn rule_p2_certified_blocks_are_taken_however_old() {
    let mut bench = Bench::new(3);
    bench.prepared(1, 1);
    for view in 2..60 {
        bench.skipped(view);
    }
    assert_eq!(validates(&bench.block(2, 5, (1, 1))), [], "no certificate names it");
    assert_eq!(validates(&bench.block(1, 1, (0, 0))), [1]);
}

#[test]
fn rule_p2_the_window_of_views_is_bounded() {
    let last = 1 + VIEWS_AHEAD;
    for (view, kept) in [(last, true), (last + 1, false)] {
        let mut bench = Bench::new(3);
        let proposal = bench.net.proposal(view, 1, (0, 0), vec![]);
        let fetched = !fetches(&bench.propose(proposal)).is_empty();
        assert_eq!(fetched, kept, "view {view}");
        assert_eq!(bench.core.views.contains_key(&View(view)), kept, "view {view}");
    }
}

#[test]
fn rule_p2_the_certificates_of_a_proposal_far_ahead_lead_there() {
    let mut bench = Bench::new(3);
    let outputs = bench.block(41, 2, (40, 1));
    assert_eq!(bench.core.view(), View(41));
    assert_eq!(fetches(&outputs), [(0, 40, 41)], "the parent is asked for");
}

#[test]
fn rule_p2_blocks_that_no_certificate_names_are_forgotten() {
    let mut bench = Bench::new(3);
    bench.block(1, 1, (0, 0));
    for view in 1..60 {
        bench.skipped(view);
    }
    let kept = bench.core.views.values().filter(|state| state.proposal.is_some()).count();
    assert_eq!(kept, 0);
}

#[test]
fn rule_p3_every_view_between_must_be_proven_skipped() {
    let mut bench = Bench::new(3);
    let skip = |bench: &Bench, view| bench.net.skip(view, &[0, 1, 2]);
    let proposal = bench.net.proposal(3, 1, (0, 0), vec![skip(&bench, 2)]);
    let outputs = bench.propose(proposal);
    assert_eq!(validates(&outputs), []);
    assert_eq!(fetches(&outputs), [(2, 1, 3)], "its leader is asked for view 1");
    let outputs = bench.skipped(1);
    assert_eq!(validates(&outputs), [1]);
    assert_eq!(signs(&outputs), [(Phase::Prepare, 3, 1)]);
}

#[test]
fn rule_p3_what_does_not_extend_the_final_block_is_refused_at_once() {
    let mut bench = with_first_block(3);
    bench.committed(1, 1);
    let outputs = bench.block(2, 5, (0, 0));
    assert_eq!(validates(&outputs), []);
    assert_eq!(signs(&outputs), [(Phase::ViewChange, 2, 0)]);
}

#[test]
fn rule_p4_the_parent_comes_first() {
    let mut bench = Bench::new(3);
    bench.verdict = None;
    let outputs = bench.block(2, 2, (1, 1));
    assert_eq!((validates(&outputs), fetches(&outputs)), (vec![], vec![(1, 1, 2)]));
    let outputs = bench.block(1, 1, (0, 0));
    assert_eq!(validates(&outputs), [1]);
    // While the parent is being validated nobody is asked for it.
    assert_eq!(bench.block(2, 2, (1, 1)), []);
    let verdict = Input::Validated { view: View(1), block: block_hash(1), valid: true };
    assert_eq!(validates(&bench.give(verdict)), [2]);
}

#[test]
fn rule_p4_the_height_follows_the_parents() {
    let mut bench = Bench::new(3);
    let mut proposal = bench.net.proposal(1, 1, (0, 0), vec![]);
    proposal.block.height = Height(2);
    let outputs = bench.propose(proposal);
    assert_eq!(validates(&outputs), []);
    assert_eq!(signs(&outputs), [(Phase::ViewChange, 1, 0)]);
}

#[test]
fn rule_p5_the_verdict() {
    // (view and block of the verdict, valid, what is signed)
    let table = [
        ((1, 1), true, vec![(Phase::Prepare, 1, 1)]),
        ((1, 1), false, vec![(Phase::ViewChange, 1, 0)]),
        ((1, 2), true, vec![]),
        ((2, 1), true, vec![]),
        ((9, 9), false, vec![]),
    ];
    for ((view, block), valid, expected) in table {
        let mut bench = Bench::new(3);
        bench.verdict = None;
        bench.block(1, 1, (0, 0));
        let outputs = bench.give(Input::Validated { view: View(view), block: block_hash(block), valid });
        assert_eq!(signs(&outputs), expected, "view {view} block {block} {valid}");
    }
}

#[test]
fn rule_p5_a_certified_block_that_is_invalid_ends_the_node() {
    let mut bench = Bench::new(3);
    bench.verdict = Some(false);
    bench.prepared(1, 1);
    assert!(diverged(&bench.block(1, 1, (0, 0))), "certificate, then verdict");
    let mut bench = Bench::new(3);
    bench.verdict = Some(false);
    assert!(!diverged(&bench.block(1, 1, (0, 0))));
    assert!(diverged(&bench.prepared(1, 1)), "verdict, then certificate");
}

#[test]
fn rule_p5_a_verdict_that_never_came_is_asked_for_again() {
    let mut bench = Bench::new(3);
    bench.verdict = None;
    bench.block(1, 1, (0, 0));
    bench.prepared(1, 1);
    let asked: Vec<usize> = (1..=8).map(|_| validates(&bench.round()).len()).collect();
    assert_eq!(asked, [0, 0, 0, 1, 0, 0, 0, 1]);
}

#[test]
fn rule_p5_the_application_is_told_whether_a_block_is_certified() {
    let certified = |outputs: &[Output]| -> Vec<bool> {
        let told = |output: &Output| match output {
            Output::Validate(_, certified) => Some(*certified),
            _ => None,
        };
        outputs.iter().filter_map(told).collect()
    };
    let mut bench = Bench::new(3);
    assert_eq!(certified(&bench.block(1, 1, (0, 0))), [false], "a block, then its certificate");
    let mut bench = Bench::new(3);
    bench.prepared(1, 1);
    assert_eq!(certified(&bench.block(1, 1, (0, 0))), [true], "a certificate, then its block");
}

/// Views may go by with the votes of others before any round of retransmission, and need this node's to be final.
#[test]
fn rule_p5_a_verdict_that_never_came_is_asked_for_again_when_views_go_by_without_finality() {
    let mut bench = Bench::new(3);
    bench.verdict = None;
    bench.block(1, 1, (0, 0));
    bench.prepared(1, 1);
    let asked: Vec<usize> = (2..=15).map(|view| validates(&bench.skipped(view)).len()).collect();
    assert_eq!(asked, [0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1], "on entering views 8 and 16");
}

#[test]
fn rule_p6_prepare_once_a_view_and_not_after_a_view_change() {
    let mut bench = Bench::new(3);
    assert_eq!(signs(&bench.block(1, 1, (0, 0))), [(Phase::Prepare, 1, 1)]);
    assert_eq!(signs(&bench.block(1, 1, (0, 0))), []);
    let mut bench = Bench::new(3);
    bench.work();
    assert_eq!(signs(&bench.timeout()), [(Phase::ViewChange, 1, 0)]);
    let outputs = bench.block(1, 1, (0, 0));
    assert_eq!((validates(&outputs), signs(&outputs)), (vec![1], vec![]));
}

/// No locks: what was prepared in a view that was skipped binds nobody, and nothing has to be unlocked.
#[test]
fn reliability_3_a_prepare_of_a_skipped_view_binds_nobody_later() {
    let mut bench = Bench::new(3);
    assert_eq!(signs(&bench.block(1, 1, (0, 0))), [(Phase::Prepare, 1, 1)]);
    for view in 1..3u8 {
        bench.skipped(view.into());
        let skipped = (1..=view).map(|view| bench.net.skip(view.into(), &[0, 1, 2])).collect();
        // Another block each time, beside the one that was prepared first.
        let proposal = bench.net.proposal(u64::from(view) + 1, 10 + view, (0, 0), skipped);
        assert_eq!(signs(&bench.propose(proposal)), [(Phase::Prepare, u64::from(view) + 1, 10 + view)]);
    }
}

/// And a view that may have a final block is skipped by nobody who committed it, whatever the others say.
#[test]
fn reliability_3_who_committed_a_view_neither_gives_it_up_nor_prepares_what_jumps_over_it() {
    let mut bench = with_first_block(3);
    assert_eq!(signs(&bench.votes(&[0, 1], Phase::ViewChange, 1, 0)), []);
    // Upon genesis, as if view 1 had been skipped.
    let outputs = bench.block(2, 5, (0, 0));
    assert_eq!(signs(&outputs), []);
    assert_eq!(fetches(&outputs), [(1, 1, 2)], "it wants to see that view 1 was skipped");
}

#[test]
fn rule_p6_only_in_the_current_view() {
    let mut bench = Bench::new(3);
    bench.verdict = None;
    bench.block(1, 1, (0, 0));
    bench.skipped(1);
    let verdict = Input::Validated { view: View(1), block: block_hash(1), valid: true };
    assert_eq!(signs(&bench.give(verdict)), []);
}

#[test]
fn rule_p6_a_block_that_was_validated_early_is_prepared_when_its_view_comes() {
    let mut bench = Bench::new(3);
    let proposal = bench.net.proposal(2, 1, (0, 0), vec![]);
    assert_eq!(validates(&bench.propose(proposal)), []);
    let outputs = bench.skipped(1);
    assert_eq!(signs(&outputs), [(Phase::Prepare, 2, 1)]);
    let sent = outputs.iter().any(|o| matches!(o, crate::core::Output::Broadcast(Message::Vote(_))));
    assert!(sent);
}
