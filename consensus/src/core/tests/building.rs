//! Rule B: building blocks as leader.

use super::bench::{Bench, broadcasts, builds, signs};
use crate::core::{Input, MAX_UNFINAL_BLOCKS, Output};
use crate::testing::{GENESIS, block_hash};
use crate::{Hash, MAX_CARRIED, Message, Phase, Record, View};

#[test]
fn rule_b1_the_parent_is_the_highest_prepared_block_with_all_views_between_skipped() {
    // Views before ours (5): prepared and held, prepared and not held, skipped, unknown; the parent, or none.
    let table = [
        ("ssss", Some(GENESIS)),
        ("psss", Some(block_hash(1))),
        ("pspp", Some(block_hash(3))),
        ("spss", Some(block_hash(1))),
        ("ps-s", None),
        ("pssn", None),
        ("s-ss", None),
    ];
    for (views, parent) in table {
        let mut bench = Bench::new(0);
        let mut head = (0, 0);
        let mut between = Vec::new();
        for (view, what) in (1..).zip(views.chars()) {
            match what {
                'p' | 'n' => {
                    let (block, skipped) = (head.1 + 1, std::mem::take(&mut between));
                    if what == 'p' {
                        let proposal = bench.net.proposal(view, block, head, skipped);
                        bench.propose(proposal);
                    }
                    bench.prepared(view, block);
                    head = (view, block);
                }
                's' => {
                    between.push(bench.net.skip(view, &[1, 2, 3]));
                    bench.skipped(view);
                }
                _ => {}
            }
        }
        assert_eq!(bench.core.view(), View(5));
        let built: Vec<Hash> = builds(&bench.work()).into_iter().map(|build| build.parent).collect();
        assert_eq!(built, parent.into_iter().collect::<Vec<_>>(), "{views}");
    }
}

#[test]
fn rule_b2_once_a_view_by_its_leader_when_there_is_work() {
    let mut bench = Bench::new(1);
    assert_eq!(builds(&bench.work()), [], "not our view");
    bench.skipped(1);
    assert_eq!(builds(&bench.give(Input::Work(View(1)))), [], "work of another view");
    let first = builds(&bench.work());
    assert_eq!(first.len(), 1);
    assert!(!first[0].needed && !first[0].empty);
    assert_eq!(builds(&bench.work()), [], "asked already");
    bench.built(&first[0], 1, 1);
    assert_eq!(builds(&bench.work()), [], "proposed already");
}

#[test]
fn rule_b2_asked_again_for_a_better_parent_or_when_it_is_needed() {
    let mut bench = Bench::new(1);
    bench.block(1, 1, (0, 0));
    bench.skipped(1);
    let first = builds(&bench.work());
    assert_eq!(first[0].parent, GENESIS);
    // The prepare certificate of view 1 comes late.
    let second = builds(&bench.prepared(1, 1));
    assert_eq!(second[0].parent, block_hash(1));
    // The prepared block does not become final: the next one is needed.
    bench.round();
    let third = builds(&bench.round());
    assert!(third[0].needed);
    let outputs = bench.built(&first[0], 9, 1);
    assert_eq!((signs(&outputs), builds(&outputs)), (vec![], third), "a block on the old parent is not ours");
}

#[test]
fn rule_b3_logged_then_sent_then_prepared() {
    let mut bench = Bench::new(0);
    let build = builds(&bench.work()).remove(0);
    let outputs = bench.built(&build, 1, 1);
    assert_eq!(signs(&outputs), [(Phase::Propose, 1, 1), (Phase::Prepare, 1, 1)]);
    let persisted = outputs.iter().position(|o| matches!(o, Output::Persist(Record::Proposal(_)))).unwrap();
    let sent = outputs.iter().position(|o| matches!(o, Output::Broadcast(Message::Propose(_)))).unwrap();
    assert!(persisted < sent);
    let Message::Propose(proposal) = broadcasts(&outputs)[0] else { panic!() };
    assert!(proposal.verify(&bench.net.set, &GENESIS));
    assert_eq!(bench.built(&build, 2, 1), [], "never a second one");
}

#[test]
fn rule_b3_a_proposal_carries_the_latest_view_changes_only() {
    let mut bench = Bench::new(0);
    for view in 1..=20 {
        bench.skipped(view);
    }
    let build = builds(&bench.work()).remove(0);
    let outputs = bench.built(&build, 1, 1);
    let Message::Propose(proposal) = broadcasts(&outputs)[0] else { panic!() };
    let views: Vec<u64> = proposal.skipped.iter().map(|certificate| certificate.view.0).collect();
    assert_eq!(views, (5..=20).collect::<Vec<_>>());
    assert_eq!(views.len(), MAX_CARRIED);
}

#[test]
fn rule_b3_a_block_for_a_view_that_is_over_is_dropped() {
    let mut bench = Bench::new(0);
    let build = builds(&bench.work()).remove(0);
    bench.skipped(1);
    assert_eq!(bench.built(&build, 1, 1), []);
}

#[test]
fn rule_b4_too_many_unfinal_blocks_make_empty_ones() {
    for (unfinal, empty) in [(MAX_UNFINAL_BLOCKS - 1, false), (MAX_UNFINAL_BLOCKS, true)] {
        let leader = u16::try_from(unfinal % 4).unwrap();
        let mut bench = Bench::new(leader);
        for view in 1..=unfinal {
            let block = u8::try_from(view).unwrap();
            let proposal = bench.net.proposal(view, block, (view - 1, block - 1), vec![]);
            if bench.net.set.leader(View(view)).0 == leader {
                let build = builds(&bench.work()).remove(0);
                bench.built(&build, block, view);
            } else {
                bench.propose(proposal);
            }
            bench.prepared(view, block);
        }
        assert_eq!(builds(&bench.work())[0].empty, empty, "{unfinal} above the final one");
    }
}
