//! Rule D: durability.

use super::bench::{Bench, Step, broadcasts, builds, fetches, finals, signs};
use crate::core::{Input, Memory0, Output, Standing};
use crate::testing::{GENESIS, read_block};
use crate::{Height, Message, Phase, Record, View, Vote};

use Phase::{Commit, Prepare, ViewChange};

#[test]
fn rule_d1_block_certificate_and_vote_are_logged_before_the_vote_leaves() {
    let mut bench = Bench::new(3);
    let mut all = bench.block(1, 1, (0, 0));
    all.extend(bench.prepared(1, 1));
    let at = |wanted: &dyn Fn(&Output) -> bool| all.iter().position(wanted).unwrap();
    let logged = |phase| move |o: &Output| matches!(o, Output::Persist(Record::Vote(v)) if v.ballot.phase == phase);
    let sent = |phase| move |o: &Output| matches!(o, Output::Broadcast(Message::Vote(v)) if v.ballot.phase == phase);
    let order = [
        at(&|o| matches!(o, Output::Persist(Record::Proposal(_)))),
        at(&logged(Prepare)),
        at(&sent(Prepare)),
        at(&|o| matches!(o, Output::Persist(Record::Certificate(_)))),
        at(&logged(Commit)),
        at(&sent(Commit)),
    ];
    assert!(order.is_sorted(), "{order:?}");
}

#[test]
fn rule_d2_a_snapshot_stands_for_the_whole_log() {
    let mut bench = Bench::new(3);
    bench.block(1, 1, (0, 0));
    bench.prepared(1, 1);
    bench.block(2, 2, (1, 1));
    let mark = Memory0::Mark(View(2), 1);
    let mut snapshot = bench.core.snapshot();
    let mut from_log = Bench { log: bench.log.clone(), ..Bench::stopped(&[1; 4], 3, |_| {}) };
    std::mem::swap(&mut bench.log, &mut snapshot);
    let mut seen = Vec::new();
    for bench in [&mut bench, &mut from_log] {
        bench.restart(mark);
        let outputs = bench.hear_all(None);
        assert_eq!(bench.core.view(), View(2));
        assert_eq!(signs(&outputs), []);
        seen.push(broadcasts(&bench.round()).into_iter().cloned().collect::<Vec<_>>());
        assert_eq!(finals(&bench.committed(2, 2)), [1, 2]);
    }
    assert_eq!(seen[0], seen[1], "the same is said again");
}

/// The block that we prepared waits for its verdict again after a restart; a ViewChange that names it must still
/// carry its header, or nobody can read the vote, nor we our own log.
#[test]
fn rule_d3_a_view_change_right_after_a_restart_can_be_read() {
    for with_proposal in [true, false] {
        let mut bench = Bench::new(3);
        bench.block(1, 1, (0, 0));
        if !with_proposal {
            bench.log.retain(|record| !matches!(record, Record::Proposal(_)));
        }
        bench.verdict = None;
        bench.restart(Memory0::Mark(View(1), 1));
        bench.hear_all(None);
        let outputs = bench.votes(&[0, 1], ViewChange, 1, 0);
        assert_eq!(signs(&outputs), [(ViewChange, 1, u8::from(with_proposal))]);
        let records: Vec<&Record> = bench.log.iter().filter(|r| matches!(r, Record::Vote(_))).collect();
        for record in records {
            assert_eq!(&Record::decode(&record.encode(), 4, &read_block).unwrap(), record);
        }
    }
}

#[test]
fn rule_d3_a_restarted_validator_stands_where_it_stood_and_contradicts_nothing() {
    // (what happened before the crash, mark, what it signs when told to go on and to give up)
    type Case = (&'static str, fn(&mut Bench), (u64, u8), Vec<Step>);
    let table: [Case; 4] = [
        ("prepared", |b| drop(b.block(1, 1, (0, 0))), (1, 1), vec![(ViewChange, 1, 1)]),
        (
            "gave up",
            |b| {
                b.work();
                b.timeout();
            },
            (1, 2),
            vec![],
        ),
        (
            "committed",
            |b| {
                b.block(1, 1, (0, 0));
                b.prepared(1, 1);
            },
            (1, 2),
            vec![(ViewChange, 2, 0)],
        ),
        ("nothing", |_| {}, (0, 0), vec![(ViewChange, 1, 0)]),
    ];
    for (what, before, (view, step), expected) in table {
        let mut bench = Bench::new(3);
        before(&mut bench);
        bench.restart(Memory0::Mark(View(view), step));
        let mut outputs = bench.hear_all(None);
        bench.work();
        outputs.extend(bench.timeout());
        assert_eq!(signs(&outputs), expected, "{what}");
    }
}

/// Each kind of ballot that a validator signs comes back from the log: it is said again where that helps, and nothing
/// at or below it is signed again, also when the signer's file is an old one.
#[test]
fn reliability_8_own_votes_of_all_kinds_are_recovered() {
    type Case = (&'static str, u16, fn(&mut Bench), (u64, u8), usize);
    // (what was signed last, by whom, how it came to it, its mark, own votes and blocks that are said again)
    let table: [Case; 4] = [
        ("Propose and Prepare", 0, |b| drop(lead(b)), (1, 1), 2),
        ("Prepare", 3, |b| drop(b.block(1, 1, (0, 0))), (1, 1), 1),
        (
            "Commit",
            3,
            |b| {
                b.block(1, 1, (0, 0));
                b.prepared(1, 1);
            },
            (1, 2),
            1,
        ),
        (
            "ViewChange",
            3,
            |b| {
                b.block(1, 1, (0, 0));
                b.timeout();
            },
            (1, 2),
            2,
        ),
    ];
    for (what, me, before, (view, step), again) in table {
        let mut bench = Bench::new(me);
        before(&mut bench);
        bench.restart(Memory0::Mark(View(0), 0));
        let mut outputs = bench.hear_all(None);
        for phase in [Phase::Propose, Prepare, Commit, ViewChange] {
            let may = bench.core.may_sign(phase, View(view));
            assert_eq!(may, phase.step() > step, "{what}: {phase:?} in view {view}");
        }
        outputs.extend(bench.work());
        assert_eq!(builds(&outputs), [], "{what}");
        let said = bench.round();
        let own = |message: &&&Message| matches!(message, Message::Vote(_) | Message::Propose(_));
        assert_eq!(broadcasts(&said).iter().filter(own).count(), again, "{what}");
    }
}

/// As leader of view 1: builds and signs its block, and prepares it.
fn lead(bench: &mut Bench) -> Vec<Output> {
    let build = builds(&bench.work()).remove(0);
    bench.built(&build, 1, 1)
}

#[test]
fn rule_d3_the_log_raises_a_mark_that_is_behind() {
    let mut bench = Bench::new(3);
    bench.block(1, 1, (0, 0));
    bench.restart(Memory0::Mark(View(0), 0));
    assert_eq!(signs(&bench.hear_all(None)), [], "not a second Prepare");
}

#[test]
fn rule_d3_final_blocks_come_back_from_the_log() {
    let mut bench = Bench::new(3);
    bench.block(1, 1, (0, 0));
    bench.prepared(1, 1);
    bench.committed(1, 1);
    let me = bench.me;
    // The chain lost the block: the log has it, and its commit certificate.
    bench.core = Bench::stopped(&[1; 4], me, |config| config.memory = Memory0::Mark(View(1), 2)).core;
    for record in bench.log.clone() {
        bench.give(Input::Restore(record));
    }
    assert_eq!(finals(&bench.give(Input::Start)), [1]);
}

#[test]
fn rule_d3_a_view_change_of_the_signers_file_finds_its_header_in_the_log() {
    let mut bench = Bench::new(3);
    bench.block(1, 1, (0, 0));
    bench.timeout();
    // The crash took the last record of the log; the signer's file still has the ballot.
    let Some(Record::Vote(lost)) = bench.log.pop() else { panic!() };
    assert_eq!(lost.ballot.phase, ViewChange);
    bench.log.push(Record::Vote(Vote { named: None, ..lost.clone() }));
    bench.restart(Memory0::Mark(View(1), 2));
    bench.hear_all(None);
    let outputs = bench.round();
    assert!(broadcasts(&outputs).contains(&&Message::Vote(lost)));
}

#[test]
fn rule_d1_records_are_read_as_they_were_written() {
    let mut bench = Bench::new(3);
    bench.block(1, 1, (0, 0));
    bench.prepared(1, 1);
    bench.skipped(2);
    assert!(bench.log.len() >= 5);
    for record in &bench.log {
        let bytes = record.encode();
        assert_eq!(&Record::decode(&bytes, 4, &read_block).unwrap(), record);
        assert_eq!(Record::is_vote(&bytes), matches!(record, Record::Vote(_)));
        if let Record::Vote(vote) = record {
            assert!(vote.verify(&bench.net.set, &GENESIS));
        }
    }
}

#[test]
fn rule_x1_a_view_change_after_a_restart_names_the_block_although_it_is_not_validated_again() {
    let mut bench = Bench::new(3);
    bench.block(1, 1, (0, 0));
    bench.verdict = None;
    bench.restart(Memory0::Mark(View(1), 1));
    bench.hear_all(None);
    bench.timeout();
    let Some(Record::Vote(vote)) = bench.log.last().cloned() else { panic!() };
    assert_eq!((vote.ballot.phase, vote.ballot.block), (ViewChange, crate::testing::block_hash(1)));
    assert_eq!(Record::decode(&Record::Vote(vote.clone()).encode(), 4, &read_block).unwrap(), Record::Vote(vote));
    // Without the block there is nothing to name.
    let votes: Vec<Record> = bench
        .log
        .iter()
        .filter(|record| matches!(record, Record::Vote(v) if v.ballot.phase == Prepare))
        .cloned()
        .collect();
    bench.log = votes;
    bench.restart(Memory0::Mark(View(1), 1));
    bench.hear_all(None);
    assert_eq!(signs(&bench.timeout()), [(ViewChange, 1, 0)]);
}

#[test]
fn rule_d3_the_certified_block_stands_and_not_another_of_its_view() {
    let mut bench = Bench::new(3);
    bench.block(1, 1, (0, 0));
    // The leader sent another block to the others, who prepared it. The crash comes before we have it.
    bench.prepared(1, 2);
    bench.restart(Memory0::Mark(View(1), 1));
    bench.hear_all(None);
    assert_eq!(fetches(&bench.round()).len(), 1, "it is asked for");
    assert_eq!(signs(&bench.block(1, 2, (0, 0))), [(Commit, 1, 2)]);
}

/// The mark of a log: that of the last ballot in it, of a validator that leads each view.
fn mark_of(log: &[Record]) -> Memory0 {
    let marks = log.iter().filter_map(|record| match record {
        Record::Vote(vote) => Some(vote.ballot.mark()),
        Record::Proposal(proposal) => Some(proposal.ballot().mark()),
        Record::Certificate(_) => None,
    });
    let (view, step) = marks.max().unwrap();
    Memory0::Mark(view, step)
}

/// Nobody sends a validator that is a quorum alone the vote that would make the certificate of its own.
#[test]
fn rule_c3_restored_votes_that_are_a_quorum_make_their_certificate() {
    let mut bench = Bench::stopped(&[1], 0, |_| {});
    bench.give(Input::Start);
    bench.work();
    bench.timeout();
    let [Record::Vote(vote), Record::Certificate(_)] = &bench.log[..] else { panic!("{:?}", bench.log) };
    assert_eq!(vote.ballot.phase, ViewChange);
    // The crash came between the two.
    bench.log.pop();
    bench.restart(Memory0::Mark(View(1), 2));
    assert_eq!((bench.core.view(), bench.core.standing()), (View(2), Standing::Active));
    assert!(matches!(&bench.log[..], [_, Record::Certificate(skipped)] if skipped.view == View(1)), "it is logged");
}

#[test]
fn rule_c3_a_quorum_alone_finishes_its_block_wherever_its_log_ends() {
    let mut bench = Bench::stopped(&[1], 0, |_| {});
    bench.give(Input::Start);
    lead(&mut bench);
    assert_eq!(
        (bench.log.len(), bench.core.final_height()),
        (5, Height(1)),
        "block, Prepare, Commit, a certificate of each"
    );
    for records in 1..=bench.log.len() {
        let mut again = Bench::stopped(&[1], 0, |_| {});
        again.log = bench.log[..records].to_vec();
        again.restart(mark_of(&again.log));
        assert_eq!(again.core.final_height(), Height(1), "{records} records");
        assert_eq!(again.core.view(), View(2), "{records} records");
    }
}

/// Power was lost while log and mark were synced together: the signer's file alone has the vote, which never left.
#[test]
fn rule_d3_a_prepare_whose_block_the_log_has_lost_is_not_said_again() {
    let mut bench = Bench::new(3);
    bench.block(1, 1, (0, 0));
    bench.log.retain(|record| matches!(record, Record::Vote(_)));
    bench.restart(Memory0::Mark(View(1), 1));
    bench.hear_all(None);
    bench.work();
    let said = bench.round();
    assert!(!broadcasts(&said).iter().any(|message| matches!(message, Message::Vote(_))), "{said:?}");
    assert_eq!(signs(&bench.block(1, 2, (0, 0))), [], "nor is another one signed");
    assert_eq!(signs(&bench.timeout()), [(ViewChange, 1, 0)], "the view can be given up");
}
