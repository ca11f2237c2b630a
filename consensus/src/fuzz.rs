//! Fuzz targets of the protocol: whatever a peer sends is refused with a reason, or is read, and then it is exactly
//! what was sent; no decoded message makes a state machine panic, contradict itself or answer without bound.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use crate::core::{Config, Core, Input, Memory0, Output, Timer};
use crate::mutation::mutate;
use crate::testing::{GENESIS, Network, TIMING, block_hash, genesis, read_block};
use crate::{Certificate, Epoch, Evidence, Fetch, Hash, Height, Message, Phase, Record, Status, ValidatorIndex, View};

#[path = "../../tests/fuzz/campaign.rs"]
mod campaign;

use campaign::{Check, Target, long, quick};

const WEIGHTS: [u64; 4] = [40, 30, 20, 10];

/// The validator that takes the messages. The others are a quorum without it.
const ME: ValidatorIndex = ValidatorIndex(3);

/// More than any single message makes a validator do: a Fetch is answered with at most four messages for each of its
/// 16 views, and a proposal carries at most 17 certificates, each of which makes a handful of outputs.
const MAX_OUTPUTS: usize = 512;

/// More than a message may make a validator send. The largest block of the corpus is far below 1 KiB.
const MAX_SENT_BYTES: usize = 256 * 1024;

const MESSAGES: Target = Target { name: "consensus messages", quick: 30_000, script: 64, check: messages };
const CERTIFICATES: Target = Target { name: "certificates", quick: 4_000, script: 48, check: certificates };
const CORE: Target = Target { name: "state machine", quick: 150, script: 600, check: state_machine };

#[test]
fn what_a_peer_sends_is_refused_or_read_as_it_was_sent() {
    quick(&MESSAGES);
}

#[test]
fn a_certificate_that_verifies_says_what_was_signed() {
    quick(&CERTIFICATES);
}

#[test]
fn no_messages_make_a_validator_panic_contradict_itself_or_answer_without_bound() {
    quick(&CORE);
}

#[test]
#[ignore = "long: make soak"]
fn soak_of_all_targets() {
    long(&[&MESSAGES, &CERTIFICATES, &CORE]);
}

/// What an honest network says in which view 1 has block 1, view 2 none, and view 3 block 2 upon it.
fn honest(net: &Network) -> Vec<Message> {
    let mut messages = vec![
        Message::Propose(net.proposal(1, 1, (0, 0), vec![])),
        Message::Propose(net.proposal(3, 2, (1, 1), vec![net.skip(2, &[0, 1, 2])])),
        Message::Certificate(net.certificate(Phase::Prepare, 1, 1, &[0, 1])),
        Message::Certificate(net.certificate(Phase::Commit, 1, 1, &[0, 1, 2])),
        Message::Certificate(net.certificate(Phase::Prepare, 3, 2, &[0, 2, 1])),
        Message::Certificate(net.certificate(Phase::Commit, 3, 2, &[0, 1])),
        Message::Certificate(net.skip(2, &[0, 1])),
        Message::Fetch(Fetch { epoch: Epoch(0), from: View(1), to: View(9) }),
    ];
    for voter in [0, 1, 2] {
        for (view, block) in [(1, 1), (3, 2)] {
            messages.push(Message::Vote(net.vote(voter, Phase::Prepare, view, block)));
            messages.push(Message::Vote(net.vote(voter, Phase::Commit, view, block)));
        }
        messages.push(Message::Vote(net.vote(voter, Phase::ViewChange, 2, 0)));
    }
    messages.push(Message::Status(Status {
        epoch: Epoch(0),
        height: Height(1),
        entry: Some(net.skip(2, &[0, 1])),
        yours: Some(net.vote(ME.0, Phase::Prepare, 1, 1)),
        reply: true,
    }));
    messages
}

/// What else there is on the wire: other forms, and what a cheater signs.
fn others(net: &Network) -> Vec<Message> {
    let status = Status { epoch: Epoch(0), height: Height(0), entry: None, yours: None, reply: false };
    let (a, b) = (net.signed(2, Phase::Prepare, 3, 8), net.signed(2, Phase::Prepare, 3, 9));
    let evidence = Evidence::of(Epoch(0), View(3), ValidatorIndex(2), a, b).unwrap();
    vec![
        Message::Status(status),
        Message::Evidence(evidence),
        Message::Vote(net.view_change_naming(1, 3, 7)),
        Message::Certificate(net.skip_naming(4, &[(0, Some(7)), (1, None), (3, Some(8))])),
    ]
}

fn encoded(messages: &[Message]) -> Vec<Vec<u8>> {
    messages.iter().map(Message::encode).collect()
}

/// Whatever is read is written again as it was: so it holds no more than was sent, and has one form only.
fn messages() -> Check {
    let net = Network::new(&WEIGHTS);
    let mut corpus = encoded(&[honest(&net), others(&net)].concat());
    // Without its tag a message is what stands inside of others.
    let bare: Vec<Vec<u8>> = corpus.iter().map(|bytes| bytes[1..].to_vec()).collect();
    corpus.extend(bare);
    Box::new(move |script| {
        let bytes = mutate(&corpus, script);
        match Message::decode(&bytes, WEIGHTS.len(), &read_block) {
            Ok(message) => assert_eq!(message.encode(), bytes),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
        if let Ok(record) = Record::decode(&bytes, WEIGHTS.len(), &read_block) {
            assert_eq!(record.encode(), bytes);
            assert_eq!(Record::is_vote(&bytes), matches!(record, Record::Vote(_)));
        }
        match Certificate::decode(&bytes, WEIGHTS.len()) {
            Ok(certificate) => assert_eq!(certificate.encode(), bytes),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
        match Evidence::decode(&bytes) {
            Ok(evidence) => assert_eq!(evidence.encode(), bytes),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
        // A block that the application cannot read, and sets of other sizes.
        for validators in [0, 1, 256] {
            if let Ok(message) = Message::decode(&bytes, validators, &|_| None) {
                assert!(!matches!(message, Message::Propose(_)));
                assert_eq!(message.encode(), bytes);
            }
        }
    })
}

type Said = (u8, Epoch, View, Hash);

fn said(certificate: &Certificate) -> Said {
    (certificate.phase as u8, certificate.epoch, certificate.view, certificate.block)
}

/// Signatures cannot be made up: a certificate that verifies is about something that the validators signed.
fn certificates() -> Check {
    let net = Network::new(&WEIGHTS);
    let real: Vec<Certificate> = [honest(&net), others(&net)]
        .concat()
        .into_iter()
        .filter_map(|message| match message {
            Message::Certificate(certificate) => Some(certificate),
            _ => None,
        })
        .collect();
    let corpus: Vec<Vec<u8>> = real.iter().map(Certificate::encode).collect();
    let signed: BTreeSet<Said> = real.iter().map(said).collect();
    Box::new(move |script| {
        let Ok(certificate) = Certificate::decode(&mutate(&corpus, script), WEIGHTS.len()) else { return };
        match certificate.verify(&net.set, &GENESIS) {
            Ok(()) => {
                assert!(signed.contains(&said(&certificate)), "{certificate:?}");
                assert!(net.set.is_quorum(certificate.weight(&net.set)));
                assert_eq!(certificate.signers().count(), certificate.signatures().len());
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    })
}

/// A validator, what it signed last, and the blocks that may become final.
struct Bench<'a> {
    net: &'a Network,
    core: Core,
    signed: Option<(View, u8)>,
}

impl<'a> Bench<'a> {
    fn new(net: &'a Network) -> Self {
        let core = Core::new(Config {
            genesis: GENESIS,
            set: net.set.clone(),
            me: ME,
            timing: TIMING,
            root: genesis(),
            root_certificate: None,
            memory: Memory0::Mark(View(0), 0),
        });
        let mut bench = Self { net, core, signed: None };
        bench.take(Input::Start);
        bench
    }

    /// Takes one input and does what the validator asks for, as a driver does.
    fn take(&mut self, input: Input) {
        let mut inputs = VecDeque::from([input]);
        let (mut outputs, mut sent) = (0, 0);
        while let Some(input) = inputs.pop_front() {
            for output in self.core.step(input) {
                outputs += 1;
                match output {
                    Output::Sign(ballot) => {
                        assert!(self.signed < Some(ballot.mark()), "{ballot:?} after {:?}", self.signed);
                        self.signed = Some(ballot.mark());
                        inputs.push_back(Input::Signed(ballot, self.net.sign(ME.0, &ballot)));
                    }
                    Output::Validate(proposal, _) => {
                        let (view, block) = (proposal.block.view, proposal.block.hash);
                        inputs.push_back(Input::Validated { view, block, valid: true });
                    }
                    Output::Build(build) => inputs.push_back(Input::NotBuilt(build.view)),
                    Output::Broadcast(message) | Output::Send(_, message) => sent += message.encode().len(),
                    Output::Final(blocks) => {
                        let real = [block_hash(1), block_hash(2)];
                        assert!(blocks.iter().all(|(block, _)| real.contains(&block.hash)), "{blocks:?}");
                    }
                    Output::Diverged(divergence) => panic!("{divergence}"),
                    Output::Persist(_) | Output::SetTimer(..) | Output::EnteredView { .. } => {}
                    Output::Evidence(_) | Output::Forgotten => {}
                }
            }
            assert!(outputs <= MAX_OUTPUTS, "{outputs} outputs");
            assert!(sent <= MAX_SENT_BYTES, "{sent} bytes are sent");
        }
    }
}

/// The messages of an honest network in any order, from anybody, some of them mutated, with timers in between.
///
/// A script is read in pieces: who, what it does, how many bytes of a mutation, and these.
fn state_machine() -> Check {
    let mut net = Network::new(&WEIGHTS);
    net.absent = Some(ME.0);
    let messages = [honest(&net), others(&net)[..2].to_vec()].concat();
    let corpus = encoded(&messages);
    let payloads: Vec<Arc<[u8]>> = messages
        .into_iter()
        .filter_map(|message| match message {
            Message::Propose(proposal) => Some(proposal.payload),
            _ => None,
        })
        .collect();
    Box::new(move |script| {
        // As SPEC rule P1 has it: no other bytes have these blocks' hashes.
        let read = |bytes: &[u8]| payloads.iter().find(|known| known[..] == *bytes).and_then(|known| read_block(known));
        let mut bench = Bench::new(&net);
        let mut rest = script;
        while let [who, what, length, tail @ ..] = rest {
            let mutated = what % 16 > 10;
            let count = if mutated { usize::from(length % 24).min(tail.len()) } else { 0 };
            let (mutation, later) = tail.split_at(count);
            rest = later;
            let from = ValidatorIndex(u16::from(who % 5));
            let view = bench.core.view();
            match what % 16 {
                0 => bench.take(Input::Timer(Timer::View(view))),
                1 => bench.take(Input::Timer(Timer::Retransmit(view))),
                2 => bench.take(Input::Connected(from)),
                3 => bench.take(Input::Work(view)),
                _ => {
                    let honest = usize::from(*length) % corpus.len();
                    let bytes = if mutated { mutate(&corpus, mutation) } else { corpus[honest].clone() };
                    if let Ok(message) = Message::decode(&bytes, WEIGHTS.len(), &read) {
                        bench.take(Input::Message { from, message });
                    }
                }
            }
        }
        let open = usize::try_from(bench.core.view().0).unwrap_or(usize::MAX).saturating_add(8);
        assert!(bench.core.snapshot().len() <= open * 8, "more is remembered than the views hold");
    })
}
