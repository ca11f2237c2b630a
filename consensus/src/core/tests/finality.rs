//! Rule F: what is final.

use super::bench::{Bench, diverged, entered, finals, genesis, signs};
use crate::core::{Input, Output};
use crate::testing::block_hash;
use crate::{BlockInfo, Height, Message, Phase, Record, Status, View};

fn info(view: u64, block: u8) -> BlockInfo {
    BlockInfo { hash: block_hash(block), view: View(view), height: Height(u64::from(block)), ..genesis() }
}

#[test]
fn rule_f1_a_committed_block_is_final_with_its_ancestors() {
    let mut bench = Bench::new(3);
    bench.block(1, 1, (0, 0));
    bench.block(2, 2, (1, 1));
    bench.block(3, 3, (2, 2));
    let outputs = bench.committed(3, 3);
    assert_eq!(finals(&outputs), [1, 2, 3]);
    let Some(Output::Final(blocks)) = outputs.iter().find(|o| matches!(o, Output::Final(_))) else { panic!() };
    let phases: Vec<Phase> = blocks.iter().map(|(_, certificate)| certificate.phase).collect();
    assert_eq!(phases, [Phase::Prepare, Phase::Prepare, Phase::Commit]);
    assert!(blocks.iter().all(|(block, certificate)| certificate.block == block.hash));
    assert_eq!(bench.core.final_height(), Height(3));
    assert_eq!(finals(&bench.committed(2, 2)), [0; 0], "once");
}

#[test]
fn rule_f1_not_before_all_ancestors_are_held() {
    let mut bench = Bench::new(3);
    bench.block(2, 2, (1, 1));
    assert_eq!(finals(&bench.committed(2, 2)), [0; 0]);
    assert_eq!(finals(&bench.block(1, 1, (0, 0))), [1, 2]);
}

#[test]
fn rule_f1_the_highest_that_is_complete() {
    let mut bench = Bench::new(3);
    bench.block(1, 1, (0, 0));
    bench.prepared(1, 1);
    // Block 2 is not held: its commit certificate waits, that of block 1 does not.
    assert_eq!(finals(&bench.committed(2, 2)), [0; 0]);
    assert_eq!(finals(&bench.committed(1, 1)), [1]);
    assert_eq!(finals(&bench.block(2, 2, (1, 1))), [2]);
}

#[test]
fn rule_f2_what_sync_made_final_moves_us_and_is_in_the_log() {
    let mut bench = Bench::new(3);
    let certificate = bench.net.certificate(Phase::Commit, 7, 5, &[0, 1, 2]);
    let outputs = bench.give(Input::Synced { block: info(7, 5), certificate: certificate.clone() });
    assert_eq!(entered(&outputs), [8]);
    assert!(outputs.contains(&Output::Persist(Record::Certificate(certificate.clone()))));
    assert_eq!(bench.core.final_height(), Height(5));
    let old = bench.net.certificate(Phase::Commit, 6, 4, &[0, 1, 2]);
    assert_eq!(bench.give(Input::Synced { block: info(6, 4), certificate: old }), [], "nothing new");
}

#[test]
fn rule_f2_blocks_that_waited_for_the_synced_one_go_on() {
    let mut bench = Bench::new(3);
    bench.block(2, 2, (1, 1));
    let certificate = bench.net.certificate(Phase::Commit, 1, 1, &[0, 1, 2]);
    let outputs = bench.give(Input::Synced { block: info(1, 1), certificate });
    assert_eq!(signs(&outputs), [(Phase::Prepare, 2, 2)]);
}

#[test]
fn rule_f3_a_commit_certificate_beside_the_final_chain_stops_the_node() {
    let mut bench = Bench::new(3);
    bench.block(1, 1, (0, 0));
    bench.prepared(1, 1);
    bench.block(2, 2, (1, 1));
    bench.prepared(2, 2);
    bench.committed(1, 1);
    // Sync says that another block of that height is final.
    let other = bench.net.certificate(Phase::Commit, 1, 9, &[0, 1, 2]);
    bench.give(Input::Synced { block: BlockInfo { height: Height(2), ..info(1, 9) }, certificate: other });
    assert!(diverged(&bench.committed(2, 2)));
}

#[test]
fn rule_k2_the_commit_certificate_is_passed_on_to_who_lacks_it() {
    let mut bench = Bench::new(3);
    bench.block(1, 1, (0, 0));
    bench.prepared(1, 1);
    bench.committed(1, 1);
    let entry = bench.net.certificate(Phase::Prepare, 1, 1, &[0, 1, 2]);
    let behind = Status { epoch: crate::Epoch(0), height: Height(0), entry: Some(entry), yours: None, reply: false };
    let outputs = bench.message(1, Message::Status(behind));
    let committed =
        |output: &Output| matches!(output, Output::Send(_, Message::Certificate(c)) if c.phase == Phase::Commit);
    assert!(outputs.iter().any(committed));
}

/// A root that is final by a descendant has only a prepare certificate: a certified block beside it is a dead branch,
/// not a contradiction, and must not stop the node.
#[test]
fn rule_f3_a_certified_block_of_a_dead_branch_does_not_stop_the_node() {
    let mut bench = Bench::new(3);
    bench.block(1, 1, (0, 0));
    let block = BlockInfo { parent: block_hash(1), ..info(3, 3) };
    let certificate = bench.net.certificate(Phase::Prepare, 3, 3, &[0, 1, 2]);
    bench.give(Input::Synced { block, certificate });
    let dead = bench.net.proposal(4, 9, (1, 1), vec![]);
    let outputs = bench.propose(dead);
    assert!(!diverged(&outputs));
    assert!(!diverged(&bench.prepared(4, 9)));
}
