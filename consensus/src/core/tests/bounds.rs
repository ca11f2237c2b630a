//! What a core keeps, whatever its peers send: limits that follow from constants and the size of the set, and what
//! happens at each of them and one beyond. The flooder holds a key of the set; all that it sends is signed.

use std::sync::Arc;

use super::bench::{Bench, evidence, fetches, finals, genesis, signs};
use crate::core::{
    Core, Input, MAX_KEPT_VIEWS, MAX_WAITING_BYTES, Memory0, Output, Progress, VIEWS_AHEAD, VIEWS_BEHIND, ViewState,
};
use crate::testing::{GENESIS, block_hash};
use crate::{
    BlockInfo, Epoch, Evidence, Fetch, Height, MAX_MESSAGE_BYTES, MAX_PAYLOAD_BYTES, Message, Phase, Proposal, Record,
    Signature, Status, ValidatorIndex, View, Vote,
};

use Phase::{Commit, Prepare, ViewChange};

/// Views of which votes and blocks are kept that no certificate names.
const WINDOW: usize = (VIEWS_BEHIND + 1 + VIEWS_AHEAD) as usize;

/// The flooder: the least of four, who leads views 6, 16, 26 and so on.
const FLOODER: u16 = 3;
const WEIGHTS: [u64; 4] = [40, 30, 20, 10];

/// The one that is flooded; the others are a quorum without it.
const ME: u16 = 2;

/// What a core holds, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Kept {
    views: usize,
    votes: usize,
    certificates: usize,
    blocks: usize,
    block_bytes: usize,
    /// Offences, reports, questions, answers, looks ahead, last votes: what is kept by validator.
    by_validator: usize,
}

fn kept(core: &Core) -> Kept {
    let mut kept = Kept { views: core.views.len(), ..Kept::default() };
    for state in core.views.values() {
        kept.votes += state.prepares.len() + state.commits.len() + state.view_changes.len();
        let certificates = [&state.prepared, &state.committed, &state.skipped];
        kept.certificates += certificates.into_iter().flatten().count();
        let blocks = state.proposal.iter().map(|(proposal, _)| proposal).chain(&state.own);
        for proposal in blocks {
            kept.blocks += 1;
            kept.block_bytes += proposal.bytes();
        }
    }
    let latest = core.latest.iter().flatten().count();
    let by_round = core.asked.len() + core.answered.len() + core.ahead.len();
    kept.by_validator = core.accused.len() + core.memory.reports() + by_round + latest;
    kept
}

/// The stated limit for a core that no quorum helps to more certificates than those it has.
fn limit(core: &Core, certified_views: usize) -> Kept {
    let validators = core.set().len();
    Kept {
        views: WINDOW + certified_views,
        votes: 3 * validators * WINDOW,
        certificates: 3 * certified_views,
        blocks: 2 * WINDOW,
        block_bytes: 2 * WINDOW * (MAX_MESSAGE_BYTES + 2048),
        by_validator: validators * (WINDOW + 5),
    }
}

fn is_within(kept: Kept, limit: Kept) {
    let pairs = [
        ("views", kept.views, limit.views),
        ("votes", kept.votes, limit.votes),
        ("certificates", kept.certificates, limit.certificates),
        ("blocks", kept.blocks, limit.blocks),
        ("bytes of blocks", kept.block_bytes, limit.block_bytes),
        ("entries by validator", kept.by_validator, limit.by_validator),
    ];
    for (what, kept, limit) in pairs {
        assert!(kept <= limit, "{what}: {kept} kept, {limit} at most");
    }
}

/// A bench on which views 1 to `views` were skipped.
fn after(views: u64) -> Bench {
    let mut bench = Bench::with(&WEIGHTS, ME);
    for view in 1..=views {
        bench.skipped(view);
    }
    assert_eq!(bench.core.view(), View(views + 1));
    bench
}

/// A block of the flooder with a payload as large as may be.
fn large(bench: &Bench, view: u64, block: u8, payload: &Arc<[u8]>) -> Proposal {
    Proposal { payload: payload.clone(), ..bench.net.proposal(view, block, (0, 0), vec![]) }
}

#[test]
fn reliability_13_votes_for_all_views_leave_one_of_a_kind_in_each_view_of_the_window() {
    let mut bench = after(50);
    let first = 51 - VIEWS_BEHIND;
    let flood = |bench: &mut Bench, views: std::ops::Range<u64>| {
        for view in views {
            for (phase, block) in [(Prepare, 1), (Prepare, 2), (Commit, 1), (Commit, 2), (ViewChange, 0)] {
                bench.vote(FLOODER, phase, view, block);
            }
        }
    };
    flood(&mut bench, 0..200);
    flood(&mut bench, u64::MAX - 10..u64::MAX);
    assert_eq!(kept(&bench.core).votes, 3 * WINDOW);
    let with_votes = |state: &ViewState| !state.prepares.is_empty();
    let views: Vec<u64> = bench.core.views.iter().filter(|(_, state)| with_votes(state)).map(|(v, _)| v.0).collect();
    assert_eq!(views, (first..=51 + VIEWS_AHEAD).collect::<Vec<_>>());
    is_within(kept(&bench.core), limit(&bench.core, 50));
    // The window moves on; what it leaves is forgotten.
    for view in 51..150 {
        bench.skipped(view);
        flood(&mut bench, view..view + 20);
    }
    is_within(kept(&bench.core), limit(&bench.core, 149));
}

#[test]
fn reliability_13_proposals_for_all_views_leave_one_in_each_view_of_the_window_that_the_flooder_leads() {
    let mut bench = after(50);
    bench.verdict = None;
    let payload: Arc<[u8]> = vec![0; MAX_PAYLOAD_BYTES].into();
    let own: Vec<u64> = (1..200).filter(|view| bench.net.set.leader(View(*view)).0 == FLOODER).collect();
    for view in &own {
        for block in [1, 2, 3] {
            let proposal = large(&bench, *view, block, &payload);
            bench.propose(proposal);
        }
    }
    let window = 51 - VIEWS_BEHIND..=51 + VIEWS_AHEAD;
    let expected = own.iter().filter(|view| window.contains(*view)).count();
    let found = kept(&bench.core);
    assert_eq!(found.blocks, expected);
    assert!(found.block_bytes >= expected * MAX_PAYLOAD_BYTES);
    is_within(found, limit(&bench.core, 50));
    for view in 51..=51 + VIEWS_BEHIND + VIEWS_AHEAD {
        bench.skipped(view);
    }
    assert_eq!(kept(&bench.core).blocks, 0, "no certificate named them");
}

#[test]
fn reliability_13_certificates_that_do_not_hold_leave_nothing() {
    let mut bench = after(3);
    let before = kept(&bench.core);
    for view in 1..200 {
        let alone = bench.net.skip(view, &[FLOODER]);
        let repeated = bench.net.skip(view.min(3), &[0, 1, FLOODER]);
        for certificate in [alone, repeated] {
            bench.message(FLOODER, Message::Certificate(certificate.clone()));
            let status =
                Status { epoch: Epoch(0), height: Height(9), entry: Some(certificate), yours: None, reply: true };
            bench.message(FLOODER, Message::Status(status));
        }
    }
    let found = kept(&bench.core);
    assert_eq!((found.views, found.certificates, found.votes), (before.views, before.certificates, before.votes));
    is_within(found, limit(&bench.core, 3));
}

#[test]
fn reliability_13_accusations_are_kept_within_the_window() {
    let mut bench = after(50);
    let accusation = |bench: &Bench, view, validator| {
        let signed = |block| bench.net.signed(validator, Prepare, view, block);
        Evidence::of(Epoch(0), View(view), ValidatorIndex(validator), signed(1), signed(2)).unwrap()
    };
    let mut believed = Vec::new();
    for view in 0..200 {
        for validator in 0..4 {
            let accusation = accusation(&bench, view, validator);
            let outputs = bench.message(FLOODER, Message::Evidence(accusation));
            believed.extend(evidence(&outputs).iter().map(|evidence| evidence.view().0));
        }
    }
    believed.dedup();
    assert_eq!(believed, (51 - VIEWS_BEHIND..=51 + VIEWS_AHEAD).collect::<Vec<_>>());
    assert_eq!(bench.core.accused.len(), 4 * WINDOW);
    for view in 51..150 {
        bench.skipped(view);
    }
    assert!(bench.core.accused.is_empty(), "{:?}", bench.core.accused);
}

#[test]
fn reliability_13_questions_and_statuses_are_kept_and_answered_within_limits() {
    let mut bench = after(20);
    let mut answers = 0;
    let proposal = bench.net.proposal(26, 2, (23, 1), vec![]);
    let yours = Some(Vote { signature: Signature([7; 64]), ..bench.net.vote(ME, Prepare, 99, 1) });
    for round in 0..500u64 {
        let fetch = Fetch { epoch: Epoch(0), from: View(round % 20), to: View(u64::MAX) };
        let yours = yours.clone();
        let status = Status { epoch: Epoch(0), height: Height(0), entry: None, yours, reply: true };
        // Also in the name of nobody: whoever drives the core must not have to know how many validators there are.
        for from in [FLOODER, 4, 4 + (round % 1_000) as u16] {
            for message in [Message::Fetch(fetch), Message::Status(status.clone())] {
                answers += bench.message(from, message).len();
            }
            bench.message(from, Message::Propose(proposal.clone()));
        }
    }
    // Eight answers of one certificate of each of sixteen views; and anew in the view into which the proposal leads.
    assert!(answers <= 2 * 8 * 16, "{answers}");
    assert_eq!(bench.core.asked.len(), 1, "{:?}", bench.core.asked);
    is_within(kept(&bench.core), limit(&bench.core, 21));
}

/// A log or peers may know of more open views than are kept: the lowest give way.
#[test]
fn reliability_13_no_more_views_are_kept_than_the_limit_and_one_more_drops_the_lowest() {
    for surplus in [0u64, 1, 100] {
        let mut bench = Bench::stopped(&WEIGHTS, ME, |_| {});
        let mut certificate = bench.net.skip(1, &[0, 1, FLOODER]);
        let last = MAX_KEPT_VIEWS as u64 + surplus;
        for view in 1..last {
            // Records of the log are not verified again.
            certificate.view = View(view);
            bench.core.step(Input::Restore(Record::Certificate(certificate.clone())));
        }
        bench.give(Input::Start);
        bench.hear_all(None);
        assert_eq!(bench.core.view(), View(last));
        let found = kept(&bench.core);
        assert_eq!(found.views, MAX_KEPT_VIEWS);
        assert_eq!(bench.core.views.keys().next(), Some(&View(1 + surplus)));
        // Old certificates that are told again change the lowest edge and nothing else.
        for view in 1..=surplus.min(10) {
            bench.skipped(view);
            assert_eq!(kept(&bench.core).views, MAX_KEPT_VIEWS);
        }
        assert_eq!(bench.core.view(), View(last));
    }
}

/// A core that knows the prepare certificates of views 1 to `views`, each upon the one before, and none of the blocks.
fn behind(views: u8) -> Bench {
    let mut bench = Bench::new(3);
    (1..=views).for_each(|view| drop(bench.prepared(view.into(), view)));
    bench
}

/// The block of a view upon that of the view before; `bytes` in all.
fn block_of(bench: &Bench, view: u8, bytes: usize) -> Proposal {
    let mut proposal = bench.net.proposal(view.into(), view, (u64::from(view) - 1, view - 1), vec![]);
    let payload = bytes - (proposal.bytes() - proposal.payload.len());
    proposal.payload = vec![0; payload].into();
    assert_eq!(proposal.bytes(), bytes);
    proposal
}

fn views_with_blocks(bench: &Bench) -> Vec<u64> {
    let views = bench.core.views.iter().filter(|(_, state)| state.proposal.is_some());
    views.map(|(view, _)| view.0).collect()
}

#[test]
fn reliability_13_blocks_that_wait_for_a_parent_fill_their_room_and_not_a_byte_more() {
    for (surplus, kept) in [(0, vec![2, 3]), (1, vec![2])] {
        let mut bench = behind(60);
        for (view, bytes) in [(2, MAX_WAITING_BYTES / 2), (3, MAX_WAITING_BYTES / 2 + surplus)] {
            let proposal = block_of(&bench, view, bytes);
            bench.propose(proposal);
        }
        assert_eq!(views_with_blocks(&bench), kept);
        // Within the window each view has its one block, whatever waits behind.
        let recent = block_of(&bench, 60, MAX_PAYLOAD_BYTES);
        bench.propose(recent);
        assert_eq!(views_with_blocks(&bench).last(), Some(&60));
    }
}

#[test]
fn reliability_13_what_had_no_room_is_asked_for_when_its_turn_comes_and_all_become_final() {
    let mut bench = behind(60);
    let proposals: Vec<Proposal> = (1..=60).map(|view| block_of(&bench, view, 1 << 20)).collect();
    // From the newest to the oldest: the parent of each is missing.
    for proposal in proposals[1..25].iter().rev() {
        bench.propose(proposal.clone());
        assert!(kept(&bench.core).block_bytes <= MAX_WAITING_BYTES);
    }
    assert_eq!(views_with_blocks(&bench), (2..=17).collect::<Vec<u64>>(), "those next to the root");
    bench.propose(proposals[0].clone());
    assert_eq!(fetches(&bench.round())[0].1, 18, "the first that is missing");
    for proposal in &proposals[17..] {
        bench.propose(proposal.clone());
    }
    assert_eq!(finals(&bench.committed(60, 60)), (1..=60).collect::<Vec<u8>>());
    assert_eq!(kept(&bench.core).blocks, 0);
}

/// What a validator found valid may be what a quorum counts on: no bound on what waits touches it after a restart.
#[test]
fn reliability_13_blocks_of_the_log_stay_until_they_are_final() {
    let mut bench = Bench::new(3);
    let proposals: Vec<Proposal> = (1..=30).map(|view| block_of(&bench, view, 1 << 20)).collect();
    for (proposal, view) in proposals.into_iter().zip(1u8..) {
        bench.propose(proposal);
        bench.prepared(view.into(), view);
    }
    bench.verdict = None;
    bench.restart(Memory0::Mark(View(30), 2));
    bench.hear_all(None);
    for view in 31..100 {
        bench.skipped(view);
    }
    let restored = |state: &ViewState| matches!(state.proposal, Some((_, Progress::Restored | Progress::Validating)));
    assert_eq!(bench.core.views.values().filter(|state| restored(state)).count(), 30);
}

/// An idle or an empty chain costs nothing that lasts.
#[test]
fn reliability_10_neither_empty_blocks_nor_idle_rounds_grow_what_is_kept() {
    let mut bench = Bench::new(3);
    let mut sizes = Vec::new();
    for view in 1..=250u8 {
        bench.block(view.into(), view, (u64::from(view) - 1, view - 1));
        bench.prepared(view.into(), view);
        assert_eq!(finals(&bench.committed(view.into(), view)), [view]);
        sizes.push(kept(&bench.core));
    }
    assert_eq!(sizes[9], sizes[249]);
    for _ in 0..1_000 {
        bench.round();
        bench.hear(0, None, None);
    }
    let idle = kept(&bench.core);
    assert_eq!((idle.views, idle.votes, idle.blocks), (sizes[249].views, sizes[249].votes, sizes[249].blocks));
    assert!(idle.by_validator <= 4 * 4, "{idle:?}");
}

/// Neither the largest numbers on the wire nor the edges of the window make the core fail.
#[test]
fn reliability_6_the_largest_numbers_are_no_more_than_numbers() {
    let most = u64::MAX;
    for view in [0, 1, VIEWS_AHEAD + 1, VIEWS_AHEAD + 2, most - 1, most] {
        let mut bench = Bench::with(&WEIGHTS, ME);
        let leader = bench.net.set.leader(View(view)).0;
        for phase in [Prepare, Commit, ViewChange] {
            bench.vote(leader, phase, view, u8::from(phase != ViewChange));
        }
        let (hash, parent) = (block_hash(1), GENESIS);
        let block = BlockInfo { hash, parent, height: Height(most), view: View(view), ..genesis() };
        let proposal = Proposal { block, ..bench.net.proposal(1, 1, (0, 0), vec![]) };
        let signature = bench.net.sign(leader, &proposal.ballot());
        bench.message(leader, Message::Propose(Proposal { signature, ..proposal }));
        for (from, to) in [(view, most), (most, view), (0, view)] {
            let fetch = Fetch { epoch: Epoch(0), from: View(from), to: View(to) };
            bench.message(leader, Message::Fetch(fetch));
        }
        let status = Status { epoch: Epoch(0), height: Height(most), entry: None, yours: None, reply: true };
        bench.message(leader, Message::Status(status));
        is_within(kept(&bench.core), limit(&bench.core, 0));
        // A quorum may lead anywhere; there the node goes on as everywhere.
        if view > 0 {
            bench.skipped(view);
            assert_eq!(bench.core.view(), View(view).next());
            bench.work();
            bench.round();
            let outputs = bench.timeout();
            assert!(signs(&outputs).iter().all(|(phase, ..)| *phase == ViewChange), "{outputs:?}");
        }
    }
}

/// A step says no more than what it was asked, however often it is asked.
#[test]
fn reliability_13_outputs_of_one_message_are_bounded() {
    let mut bench = after(40);
    let fetch = Fetch { epoch: Epoch(0), from: View(1), to: View(40) };
    let outputs = bench.message(FLOODER, Message::Fetch(fetch));
    assert_eq!(outputs.len(), 16);
    assert!(outputs.iter().all(|output| matches!(output, Output::Send(to, _) if to.0 == FLOODER)));
}
