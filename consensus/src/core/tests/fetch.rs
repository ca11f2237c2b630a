//! Rule A: asking for what decided past views, and answering.

use super::bench::{Bench, fetches};
use crate::core::Output;
use crate::{Epoch, Fetch, MAX_FETCHED_VIEWS, MAX_PAYLOAD_BYTES, Message, View};

fn ask(bench: &mut Bench, from: u64, to: u64) -> Vec<Output> {
    bench.message(1, Message::Fetch(Fetch { epoch: Epoch(0), from: View(from), to: View(to) }))
}

/// What the answers are of, in short.
fn answers(outputs: &[Output]) -> Vec<String> {
    let word = |output: &Output| match output {
        Output::Send(_, Message::Certificate(c)) => format!("{:?} {}", c.phase, c.view),
        Output::Send(_, Message::Propose(p)) => format!("block {}", p.block.view),
        other => format!("{other:?}"),
    };
    outputs.iter().map(word).collect()
}

#[test]
fn rule_a1_once_a_round_for_the_same_views() {
    let mut bench = Bench::new(3);
    let proposal = bench.net.proposal(6, 2, (5, 1), vec![]);
    bench.message(0, Message::Propose(proposal.clone()));
    assert_eq!(fetches(&bench.message(0, Message::Propose(proposal.clone()))), [], "asked already");
    assert_eq!(fetches(&bench.message(1, Message::Propose(proposal.clone()))), [(1, 5, 6)], "another one");
    bench.round();
    assert_eq!(fetches(&bench.message(0, Message::Propose(proposal))), [(0, 5, 6)], "a round later");
}

#[test]
fn rule_a2_missing_outcomes_are_asked_for_another_peer_in_each_round() {
    let mut bench = Bench::new(3);
    bench.skipped(40);
    bench.work();
    let asked: Vec<(u16, u64, u64)> = (0..3).flat_map(|_| fetches(&bench.round())).collect();
    assert_eq!(asked, [(1, 1, 16), (2, 1, 16), (0, 1, 16)]);
    for view in 1..16 {
        assert_eq!(fetches(&bench.skipped(view)), []);
    }
    assert_eq!(fetches(&bench.skipped(16)), [(0, 17, 32)], "on to the next ones");
}

#[test]
fn rule_a2_a_prepared_block_that_we_lack_is_asked_for() {
    let mut bench = Bench::new(3);
    bench.prepared(1, 1);
    assert_eq!(fetches(&bench.round()), [(1, 1, 2)]);
    bench.block(1, 1, (0, 0));
    assert_eq!(fetches(&bench.round()), []);
}

#[test]
fn rule_a3_certificates_and_valid_blocks_are_told() {
    let mut bench = Bench::new(3);
    bench.skipped(1);
    let skip = bench.net.skip(1, &[0, 1, 2]);
    let block = bench.net.proposal(2, 1, (0, 0), vec![skip]);
    bench.propose(block);
    bench.prepared(2, 1);
    bench.verdict = None;
    bench.block(3, 2, (2, 1));
    bench.skipped(3);
    assert_eq!(answers(&ask(&mut bench, 1, 9)), ["ViewChange 1", "Prepare 2", "block 2", "ViewChange 3"]);
    assert_eq!(answers(&ask(&mut bench, 2, 2)), ["Prepare 2", "block 2"]);
    assert_eq!(answers(&ask(&mut bench, 3, 2)), [""; 0]);
}

#[test]
fn rule_a3_an_answer_is_bounded_in_views_and_bytes() {
    let mut bench = Bench::new(3);
    for view in 1..=40 {
        bench.skipped(view);
    }
    let limit = usize::try_from(MAX_FETCHED_VIEWS).unwrap();
    assert_eq!(answers(&ask(&mut bench, 1, u64::MAX)).len(), limit);
    let mut bench = Bench::new(3);
    for view in 1..=3u8 {
        let mut proposal = bench.net.proposal(view.into(), view, (u64::from(view) - 1, view - 1), vec![]);
        proposal.payload = vec![0; MAX_PAYLOAD_BYTES / 2].into();
        bench.propose(proposal);
        bench.prepared(view.into(), view);
    }
    let blocks = |answers: Vec<String>| answers.into_iter().filter(|a| a.starts_with("block")).collect::<Vec<_>>();
    assert_eq!(blocks(answers(&ask(&mut bench, 1, 9))), ["block 1", "block 2"]);
    assert_eq!(blocks(answers(&ask(&mut bench, 3, 9))), ["block 3"]);
}

#[test]
fn rule_a3_small_questions_do_not_cost_large_answers_without_end() {
    let mut bench = Bench::new(3);
    bench.block(1, 1, (0, 0));
    bench.prepared(1, 1);
    let answered = (0..100).filter(|_| !ask(&mut bench, 1, 1).is_empty()).count();
    assert_eq!(answered, 8);
    bench.round();
    assert!(!ask(&mut bench, 1, 1).is_empty(), "again after a round");
}
