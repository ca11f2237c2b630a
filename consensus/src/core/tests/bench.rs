//! One core on a bench: its signatures come at once, its application does what the test says.

use crate::core::{Build, Config, Core, Input, Memory0, Output, Timer};
use crate::testing::{GENESIS, Network, block_hash, payload};
use crate::{
    BlockInfo, Certificate, Epoch, Evidence, Fetch, Height, Message, Phase, Proposal, Record, Status, ValidatorIndex,
    View, Vote,
};

pub(super) use crate::testing::{TIMING, genesis};

/// What is signed, in short: phase, view, first byte of the block's hash.
pub(super) type Step = (Phase, u64, u8);

/// What a core wants to be signed.
pub(super) fn signs(outputs: &[Output]) -> Vec<Step> {
    let ballot = |output: &Output| match output {
        Output::Sign(ballot) => Some((ballot.phase, ballot.view.0, ballot.block.0[0])),
        _ => None,
    };
    outputs.iter().filter_map(ballot).collect()
}

pub(super) fn fetches(outputs: &[Output]) -> Vec<(u16, u64, u64)> {
    let fetch = |output: &Output| match output {
        Output::Send(to, Message::Fetch(Fetch { from, to: last, .. })) => Some((to.0, from.0, last.0)),
        _ => None,
    };
    outputs.iter().filter_map(fetch).collect()
}

/// The blocks that are to be validated, by the first byte of their hash.
pub(super) fn validates(outputs: &[Output]) -> Vec<u8> {
    let block = |output: &Output| match output {
        Output::Validate(proposal, _) => Some(proposal.block.hash.0[0]),
        _ => None,
    };
    outputs.iter().filter_map(block).collect()
}

pub(super) fn builds(outputs: &[Output]) -> Vec<Build> {
    let build = |output: &Output| match output {
        Output::Build(build) => Some(build.clone()),
        _ => None,
    };
    outputs.iter().filter_map(build).collect()
}

/// The final blocks, by the first byte of their hash.
pub(super) fn finals(outputs: &[Output]) -> Vec<u8> {
    let blocks = |output: &Output| match output {
        Output::Final(blocks) => blocks.iter().map(|(block, _)| block.hash.0[0]).collect(),
        _ => Vec::new(),
    };
    outputs.iter().flat_map(blocks).collect()
}

pub(super) fn evidence(outputs: &[Output]) -> Vec<Evidence> {
    let evidence = |output: &Output| match output {
        Output::Evidence(evidence) => Some(*evidence),
        _ => None,
    };
    outputs.iter().filter_map(evidence).collect()
}

pub(super) fn entered(outputs: &[Output]) -> Vec<u64> {
    let view = |output: &Output| match output {
        Output::EnteredView { view, .. } => Some(view.0),
        _ => None,
    };
    outputs.iter().filter_map(view).collect()
}

pub(super) fn timers(outputs: &[Output]) -> Vec<(Timer, u64)> {
    let timer = |output: &Output| match output {
        Output::SetTimer(timer, after) => Some((*timer, *after)),
        _ => None,
    };
    outputs.iter().filter_map(timer).collect()
}

pub(super) fn broadcasts(outputs: &[Output]) -> Vec<&Message> {
    fn message(output: &Output) -> Option<&Message> {
        match output {
            Output::Broadcast(message) => Some(message),
            _ => None,
        }
    }
    outputs.iter().filter_map(message).collect()
}

pub(super) fn diverged(outputs: &[Output]) -> bool {
    outputs.iter().any(|output| matches!(output, Output::Diverged(_)))
}

pub(super) struct Bench {
    pub(super) net: Network,
    pub(super) core: Core,
    pub(super) me: u16,
    /// What was appended to the log.
    pub(super) log: Vec<Record>,
    /// The verdict on blocks; none: the test gives it.
    pub(super) verdict: Option<bool>,
}

impl Bench {
    /// Validator `me` of four equal ones, started, and told by two others where they stand.
    pub(super) fn new(me: u16) -> Self {
        Self::with(&[1, 1, 1, 1], me)
    }

    pub(super) fn with(weights: &[u64], me: u16) -> Self {
        let mut bench = Self::stopped(weights, me, |_| {});
        bench.give(Input::Start);
        bench.hear_all(None);
        bench
    }

    /// Not started yet.
    pub(super) fn stopped(weights: &[u64], me: u16, change: impl FnOnce(&mut Config)) -> Self {
        let mut net = Network::new(weights);
        net.absent = Some(me);
        let mut config = Config {
            genesis: GENESIS,
            set: net.set.clone(),
            me: ValidatorIndex(me),
            timing: TIMING,
            root: genesis(),
            root_certificate: None,
            memory: Memory0::Mark(View(0), 0),
        };
        change(&mut config);
        Self { net, core: Core::new(config), me, log: Vec::new(), verdict: Some(true) }
    }

    /// Every other validator says that it stands behind `entry`.
    pub(super) fn hear_all(&mut self, entry: Option<&Certificate>) -> Vec<Output> {
        let others: Vec<u16> = (0..).take(self.net.set.len()).filter(|who| *who != self.me).collect();
        others.into_iter().flat_map(|who| self.hear(who, entry, None)).collect()
    }

    pub(super) fn hear(&mut self, who: u16, entry: Option<&Certificate>, yours: Option<Vote>) -> Vec<Output> {
        let height = self.core.final_height();
        let status = Status { epoch: Epoch(0), height, entry: entry.cloned(), yours, reply: false };
        self.message(who, Message::Status(status))
    }

    /// One input and all that follows from it.
    pub(super) fn give(&mut self, input: Input) -> Vec<Output> {
        let mut all = Vec::new();
        let mut inputs = std::collections::VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            for output in self.core.step(input) {
                match &output {
                    Output::Sign(ballot) => {
                        inputs.push_front(Input::Signed(*ballot, self.net.sign(self.me, ballot)));
                    }
                    Output::Persist(record) => self.log.push(record.clone()),
                    Output::Validate(proposal, _) => {
                        let (view, block) = (proposal.block.view, proposal.block.hash);
                        inputs.extend(self.verdict.map(|valid| Input::Validated { view, block, valid }));
                    }
                    _ => {}
                }
                all.push(output);
            }
        }
        all
    }

    pub(super) fn message(&mut self, from: u16, message: Message) -> Vec<Output> {
        self.give(Input::Message { from: ValidatorIndex(from), message })
    }

    pub(super) fn propose(&mut self, proposal: Proposal) -> Vec<Output> {
        let leader = self.net.set.leader(proposal.block.view).0;
        self.message(leader, Message::Propose(proposal))
    }

    /// The leader's proposal of a block upon the parent (view, block), without skipped views.
    pub(super) fn block(&mut self, view: u64, block: u8, parent: (u64, u8)) -> Vec<Output> {
        let proposal = self.net.proposal(view, block, parent, vec![]);
        self.propose(proposal)
    }

    pub(super) fn vote(&mut self, by: u16, phase: Phase, view: u64, block: u8) -> Vec<Output> {
        let vote = self.net.vote(by, phase, view, block);
        self.message(by, Message::Vote(vote))
    }

    pub(super) fn votes(&mut self, by: &[u16], phase: Phase, view: u64, block: u8) -> Vec<Output> {
        by.iter().flat_map(|by| self.vote(*by, phase, view, block)).collect()
    }

    pub(super) fn certificate(&mut self, certificate: Certificate) -> Vec<Output> {
        let from = (self.me + 1) % 4;
        self.message(from, Message::Certificate(certificate))
    }

    pub(super) fn prepared(&mut self, view: u64, block: u8) -> Vec<Output> {
        let certificate = self.net.certificate(Phase::Prepare, view, block, &self.others());
        self.certificate(certificate)
    }

    pub(super) fn committed(&mut self, view: u64, block: u8) -> Vec<Output> {
        let certificate = self.net.certificate(Phase::Commit, view, block, &self.others());
        self.certificate(certificate)
    }

    pub(super) fn skipped(&mut self, view: u64) -> Vec<Output> {
        let certificate = self.net.skip(view, &self.others());
        self.certificate(certificate)
    }

    /// The others, who are a quorum without us.
    pub(super) fn others(&self) -> Vec<u16> {
        (0..).take(self.net.set.len()).filter(|who| *who != self.me).collect()
    }

    pub(super) fn timeout(&mut self) -> Vec<Output> {
        let view = self.core.view();
        self.give(Input::Timer(Timer::View(view)))
    }

    pub(super) fn round(&mut self) -> Vec<Output> {
        let view = self.core.view();
        self.give(Input::Timer(Timer::Retransmit(view)))
    }

    pub(super) fn work(&mut self) -> Vec<Output> {
        let view = self.core.view();
        self.give(Input::Work(view))
    }

    /// The application built what was asked for.
    pub(super) fn built(&mut self, build: &Build, block: u8, height: u64) -> Vec<Output> {
        let info = BlockInfo {
            hash: block_hash(block),
            parent: build.parent,
            height: Height(height),
            epoch: build.epoch,
            view: build.view,
            parent_certificate: build.parent_certificate,
        };
        let header = info.hash.0.as_slice().into();
        self.give(Input::Built { view: build.view, block: info, payload: payload(&info), header })
    }

    /// Starts again from the log alone.
    pub(super) fn restart(&mut self, memory: Memory0) {
        let me = self.me;
        let weights: Vec<u64> = self.net.set.iter().map(|(_, validator)| validator.weight.0).collect();
        let fresh = Self::stopped(&weights, me, |config| config.memory = memory);
        self.core = fresh.core;
        for record in self.log.clone() {
            assert!(self.core.step(Input::Restore(record)).is_empty());
        }
        self.give(Input::Start);
    }
}
