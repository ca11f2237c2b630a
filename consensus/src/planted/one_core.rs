//! One core among hostile peers: a test that holds the keys of all other validators gives the core good, late,
//! repeated, stale, forged and foreign input in random order. What the core does is judged by a reckoning that shares
//! no code with it; what is forged, foreign or stale must do nothing at all.

use std::collections::{BTreeMap, VecDeque};

use crate::core::{Build, Config, Core, Input, Memory0, Output, Timer};
use crate::sim::Rng;
use crate::testing::{GENESIS, Network, TIMING, genesis, payload};
use crate::{
    Ballot, BlockInfo, Certificate, Epoch, Fetch, Hash, Height, Message, Phase, Proposal, Record, Signature, Status,
    ValidatorIndex, View, Vote,
};

/// Inputs of one run.
const STEPS: u32 = 150;

/// Another network with the same validators.
const ELSEWHERE: Hash = Hash([0x77; 32]);

/// The latest messages, of which some come again.
const REMEMBERED: usize = 12;

/// Plays one run; what did not hold, if anything.
pub(super) fn play(seed: u64) -> Option<String> {
    let mut run = Run::new(seed);
    run.begin();
    for _ in 0..STEPS {
        if run.over || run.judge.failure.is_some() {
            break;
        }
        run.act();
    }
    run.judge.failure
}

/// What must hold, from the outputs alone.
struct Judge {
    me: ValidatorIndex,
    weights: Vec<u64>,
    /// What was signed in this network.
    made: BTreeMap<(ValidatorIndex, Signature), Ballot>,
    /// View and step of the core's last ballot.
    mark: (u64, u8),
    head: (Hash, u64),
    failure: Option<String>,
}

impl Judge {
    fn fail(&mut self, text: String) {
        self.failure.get_or_insert(text);
    }

    /// A quorum, said in another way: those who are missing weigh less than a third.
    fn is_quorum(&self, members: &[ValidatorIndex]) -> bool {
        let total: u128 = self.weights.iter().map(|weight| u128::from(*weight)).sum();
        let here: u128 = members.iter().map(|who| u128::from(self.weights[who.position()])).sum();
        3 * (total - here) < total
    }

    /// Ballots rise, and nobody signs both Commit and ViewChange.
    fn signs(&mut self, ballot: &Ballot) {
        let step = match ballot.phase {
            Phase::Propose => 1,
            Phase::Prepare => 2,
            Phase::Commit | Phase::ViewChange => 3,
        };
        let mark = (ballot.view.0, step);
        if mark <= self.mark {
            self.fail(format!("signs {ballot:?} after step {:?}", self.mark));
        }
        self.mark = self.mark.max(mark);
    }

    /// A certificate that was acted upon: a quorum has signed just this, in this network.
    fn certificate(&mut self, certificate: &Certificate) {
        let signers: Vec<ValidatorIndex> = certificate.signers().collect();
        if !self.is_quorum(&signers) {
            self.fail(format!("acts on a certificate of {signers:?} of {:?}", self.weights));
        }
        for (signer, signature) in signers.iter().zip(certificate.signatures()) {
            let signed = self.made.get(&(*signer, *signature)).is_some_and(|ballot| {
                ballot.epoch == certificate.epoch
                    && ballot.view == certificate.view
                    && ballot.phase == certificate.phase
                    && (ballot.phase == Phase::ViewChange || ballot.block == certificate.block)
            });
            if !signed {
                self.fail(format!("acts on a certificate that {signer} did not sign: {certificate:?}"));
            }
        }
    }

    /// Final blocks follow each other, each with its own certificate.
    fn finals(&mut self, blocks: &[(BlockInfo, Certificate)]) {
        for (block, certificate) in blocks {
            if (block.parent, block.height.0) != (self.head.0, self.head.1 + 1) {
                self.fail(format!("block {} of height {} is final upon {:?}", block.hash, block.height, self.head));
            }
            if certificate.block != block.hash || certificate.view != block.view {
                self.fail(format!("block {} is final by a certificate of {}", block.hash, certificate.block));
            }
            self.certificate(certificate);
            self.head = (block.hash, block.height.0);
        }
    }

    fn output(&mut self, output: &Output) {
        match output {
            Output::Sign(ballot) => self.signs(ballot),
            Output::Persist(Record::Certificate(certificate)) => self.certificate(certificate),
            Output::Final(blocks) => self.finals(blocks),
            Output::Evidence(evidence) if evidence.validator() == self.me => {
                self.fail(format!("it is accused: {evidence:?}"));
            }
            _ => {}
        }
    }
}

struct Run {
    rng: Rng,
    net: Network,
    core: Core,
    me: u16,
    others: Vec<u16>,
    judge: Judge,
    /// Verdicts and blocks that the application still owes.
    owed: Vec<Input>,
    /// All blocks; and those that were proposed in each view, in their order.
    blocks: BTreeMap<Hash, BlockInfo>,
    of_view: BTreeMap<View, Vec<Hash>>,
    /// The proposals of the others.
    proposals: BTreeMap<Hash, Proposal>,
    /// Certificates that the core acted upon.
    certified: BTreeMap<View, Certificate>,
    skipped: BTreeMap<View, Certificate>,
    /// What each of the others voted for before.
    voted: BTreeMap<(u16, View, Phase), Hash>,
    sent: VecDeque<(u16, Message)>,
    /// Two certificates of the others contradict each other, and the core has noticed.
    over: bool,
}

fn weights(rng: &mut Rng) -> Vec<u64> {
    match rng.below(5) {
        0 => vec![1; 4],
        1 => vec![1; 6],
        2 => vec![1; 7],
        3 => vec![40, 30, 20, 10],
        _ => {
            let count = rng.between(4, 6);
            (0..count).map(|_| rng.between(1, 5)).collect()
        }
    }
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let weights = weights(&mut rng);
        let net = Network::new(&weights);
        let all: Vec<u16> = (0..).take(weights.len()).collect();
        let me = all[rng.index(all.len())];
        let core = Core::new(Config {
            genesis: GENESIS,
            set: net.set.clone(),
            me: ValidatorIndex(me),
            timing: TIMING,
            root: genesis(),
            root_certificate: None,
            memory: Memory0::Mark(View(0), 0),
        });
        let judge = Judge {
            me: ValidatorIndex(me),
            weights,
            made: BTreeMap::new(),
            mark: (0, 0),
            head: (GENESIS, 0),
            failure: None,
        };
        Self {
            rng,
            net,
            core,
            me,
            others: all.into_iter().filter(|who| *who != me).collect(),
            judge,
            owed: Vec::new(),
            blocks: BTreeMap::from([(GENESIS, genesis())]),
            of_view: BTreeMap::new(),
            proposals: BTreeMap::new(),
            certified: BTreeMap::new(),
            skipped: BTreeMap::new(),
            voted: BTreeMap::new(),
            sent: VecDeque::new(),
            over: false,
        }
    }

    /// Starts, and hears where the others stand: from now on it votes.
    fn begin(&mut self) {
        self.give(Input::Start);
        for who in self.others.clone() {
            self.send(who, Message::Status(status(None)));
        }
    }

    fn act(&mut self) {
        if !self.owed.is_empty() && self.rng.per_mille(350) {
            let at = self.rng.index(self.owed.len());
            let answer = self.owed.swap_remove(at);
            self.give(answer);
            return;
        }
        match self.rng.below(100) {
            0..=24 => self.propose(),
            25..=43 => self.vote(),
            44..=51 => self.vote_all(),
            52..=63 => self.certify(),
            64..=75 => self.forge(),
            76..=83 => self.repeat(),
            84..=89 => self.end_view(),
            90..=94 => drop(self.give(Input::Work(self.core.view()))),
            _ => self.tell_status(),
        }
    }

    // What is given to the core.

    /// One input and all that follows from it; signatures come at once.
    fn give(&mut self, input: Input) -> Vec<Output> {
        let mut all = Vec::new();
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            for output in self.core.step(input) {
                if let Output::Sign(ballot) = &output {
                    let signature = self.sign(self.me, ballot);
                    inputs.push_front(Input::Signed(*ballot, signature));
                }
                self.judge.output(&output);
                self.notice(&output);
                all.push(output);
            }
        }
        all
    }

    fn send(&mut self, from: u16, message: Message) {
        if self.sent.len() == REMEMBERED {
            self.sent.pop_front();
        }
        self.sent.push_back((from, message.clone()));
        self.give(Input::Message { from: ValidatorIndex(from), message });
    }

    /// What proves nothing must do nothing.
    fn give_void(&mut self, what: &str, input: Input) {
        if let Some(output) = self.give(input).first() {
            self.judge.fail(format!("{what} leads to {output:?}"));
        }
    }

    fn notice(&mut self, output: &Output) {
        match output {
            Output::Persist(Record::Certificate(certificate)) => {
                let list = if certificate.phase == Phase::ViewChange { &mut self.skipped } else { &mut self.certified };
                list.entry(certificate.view).or_insert_with(|| certificate.clone());
            }
            Output::Sign(Ballot { view, phase: Phase::Propose, block, .. }) => {
                self.of_view.entry(*view).or_default().push(*block);
            }
            Output::Send(_, Message::Fetch(fetch)) => self.answer(fetch),
            Output::Validate(proposal, _) => {
                let (view, block) = (proposal.block.view, proposal.block.hash);
                self.owed.push(Input::Validated { view, block, valid: true });
            }
            Output::Build(build) => {
                let answer = self.built(build);
                self.owed.push(answer);
            }
            Output::Diverged(_) => self.over = true,
            _ => {}
        }
    }

    /// Whoever was asked for past views sends what there is of them.
    fn answer(&mut self, fetch: &Fetch) {
        let from = ValidatorIndex(self.other());
        for view in (fetch.from.0..=fetch.to.0).map(View) {
            let certificates = [self.certified.get(&view), self.skipped.get(&view)];
            let proposal = self.certified.get(&view).and_then(|certificate| self.proposals.get(&certificate.block));
            let messages = certificates.into_iter().flatten().cloned().map(Message::Certificate);
            let messages = messages.chain(proposal.cloned().map(Message::Propose));
            self.owed.extend(messages.map(|message| Input::Message { from, message }));
        }
    }

    fn built(&mut self, build: &Build) -> Input {
        let Some(parent) = self.blocks.get(&build.parent).copied() else { return Input::NotBuilt(build.view) };
        let block = self.block(build.view, &parent, build.parent_certificate);
        let header = block.hash.0.as_slice().into();
        Input::Built { view: build.view, block, payload: payload(&block), header }
    }

    // What the others make.

    fn fresh(&mut self) -> Hash {
        let mut bytes = [0; 32];
        bytes.chunks_mut(8).for_each(|chunk| chunk.copy_from_slice(&self.rng.next().to_be_bytes()));
        Hash(bytes)
    }

    fn other(&mut self) -> u16 {
        self.others[self.rng.index(self.others.len())]
    }

    fn sign(&mut self, by: u16, ballot: &Ballot) -> Signature {
        let signature = self.net.sign(by, ballot);
        self.judge.made.insert((ValidatorIndex(by), signature), *ballot);
        signature
    }

    fn signed_vote(&mut self, by: u16, ballot: Ballot) -> Vote {
        Vote { ballot, voter: ValidatorIndex(by), signature: self.sign(by, &ballot), named: None }
    }

    fn block(&mut self, view: View, parent: &BlockInfo, parent_certificate: Hash) -> BlockInfo {
        let hash = self.fresh();
        let (height, epoch) = (parent.height.next(), Epoch(0));
        let block = BlockInfo { hash, parent: parent.hash, height, epoch, view, parent_certificate };
        self.blocks.insert(hash, block);
        block
    }

    /// The certified block of the highest view below this one, if it is known.
    fn parent_for(&self, view: View) -> (BlockInfo, Option<Certificate>) {
        let known = |certificate: &Certificate| self.blocks.get(&certificate.block).copied();
        let mut certified = self.certified.range(..view).rev();
        let parent = certified.find_map(|(_, certificate)| Some((known(certificate)?, certificate.clone())));
        parent.map_or_else(|| (genesis(), None), |(block, certificate)| (block, Some(certificate)))
    }

    /// A proposal of this view or of the next one; now and then a second one of the same view.
    fn propose(&mut self) {
        let view = self.core.view().plus(u64::from(self.rng.per_mille(200)));
        let leader = self.net.set.leader(view).0;
        if leader == self.me {
            self.give(Input::Work(view));
            return;
        }
        let again = self.of_view.contains_key(&view) && !self.rng.per_mille(250);
        if again {
            return self.vote();
        }
        let (parent, certificate) = self.parent_for(view);
        let block = self.block(view, &parent, certificate.as_ref().map_or(Hash::ZERO, Certificate::hash));
        let ballot = Ballot { epoch: Epoch(0), view, phase: Phase::Propose, block: block.hash };
        let signature = self.sign(leader, &ballot);
        let between = self.skipped.range(parent.view.next()..view.max(parent.view.next()));
        let skipped: Vec<Certificate> = between.map(|(_, skip)| skip.clone()).take(crate::MAX_CARRIED).collect();
        let header = block.hash.0.as_slice().into();
        let proposal = Proposal { block, payload: payload(&block), header, parent: certificate, skipped, signature };
        self.of_view.entry(view).or_default().push(block.hash);
        self.proposals.insert(block.hash, proposal.clone());
        self.send(leader, Message::Propose(proposal));
    }

    /// A view around the present one. A Commit is mostly of the one before: the prepare certificate has led here.
    fn some_view(&mut self, phase: Phase) -> View {
        let now = self.core.view().0;
        let view = match (phase, self.rng.below(8)) {
            (_, 0) => now + 1,
            (Phase::Commit, 1..=5) | (_, 1) => now - 1,
            (_, 2) => now.saturating_sub(2),
            _ => now,
        };
        View(view.max(1))
    }

    /// What is voted for: mostly the first block of the view, now and then one that nobody knows. A ViewChange names
    /// none; a view without a block is given up.
    fn some_ballot(&mut self, view: View, phase: Phase) -> Ballot {
        let of_view = self.of_view.get(&view).cloned().unwrap_or_default();
        let gives_up = phase == Phase::ViewChange || (of_view.is_empty() && self.rng.per_mille(950));
        if gives_up {
            return Ballot { epoch: Epoch(0), view, phase: Phase::ViewChange, block: Hash::ZERO };
        }
        let block = match of_view.first() {
            Some(first) if self.rng.per_mille(800) => *first,
            Some(_) if self.rng.per_mille(900) => of_view[self.rng.index(of_view.len())],
            _ => self.fresh(),
        };
        Ballot { epoch: Epoch(0), view, phase, block }
    }

    fn some_phase(&mut self) -> Phase {
        match self.rng.below(10) {
            0..=4 => Phase::Prepare,
            5..=7 => Phase::Commit,
            _ => Phase::ViewChange,
        }
    }

    /// One of the others votes; mostly it stays with what it said before.
    fn vote(&mut self) {
        let (by, phase) = (self.other(), self.some_phase());
        let view = self.some_view(phase);
        let ballot = self.some_ballot(view, phase);
        let said = (by, view, ballot.phase);
        let ballot = match self.voted.get(&said) {
            Some(before) if !self.rng.per_mille(100) => Ballot { block: *before, ..ballot },
            _ => ballot,
        };
        self.voted.insert(said, ballot.block);
        let vote = self.signed_vote(by, ballot);
        self.send(by, Message::Vote(vote));
    }

    /// All others vote for the same.
    fn vote_all(&mut self) {
        let phase = self.some_phase();
        let view = self.some_view(phase);
        if !self.of_view.contains_key(&view) && self.rng.per_mille(700) {
            return self.propose();
        }
        let ballot = self.some_ballot(view, phase);
        let mut order = self.others.clone();
        self.rng.shuffle(&mut order);
        for by in order {
            let vote = self.signed_vote(by, ballot);
            self.send(by, Message::Vote(vote));
        }
    }

    /// A certificate of some of the others, in the order of validators.
    fn certificate_of(&mut self, ballot: Ballot, mut signers: Vec<u16>) -> Certificate {
        signers.sort_unstable();
        let votes: Vec<Vote> = signers.into_iter().map(|by| self.signed_vote(by, ballot)).collect();
        Certificate::form(&self.net.set, ballot, votes.iter())
    }

    /// A certificate that holds, where the others are a quorum.
    fn certify(&mut self) {
        if !self.are_quorum(&self.others) {
            return self.vote_all();
        }
        let phase = self.some_phase();
        let view = self.some_view(phase);
        if !self.of_view.contains_key(&view) && self.rng.per_mille(700) {
            return self.propose();
        }
        let ballot = self.some_ballot(view, phase);
        let signers = self.others.clone();
        let certificate = self.certificate_of(ballot, signers);
        let from = self.other();
        self.send(from, Message::Certificate(certificate));
    }

    fn are_quorum(&self, members: &[u16]) -> bool {
        let members: Vec<ValidatorIndex> = members.iter().copied().map(ValidatorIndex).collect();
        self.judge.is_quorum(&members)
    }

    /// One of the latest messages comes again.
    fn repeat(&mut self) {
        let at = self.rng.index(self.sent.len());
        if let Some((from, message)) = self.sent.get(at).cloned() {
            self.give(Input::Message { from: ValidatorIndex(from), message });
        }
    }

    fn end_view(&mut self) {
        let view = self.core.view();
        let timer = if self.rng.per_mille(500) { Timer::View(view) } else { Timer::Retransmit(view) };
        self.give(Input::Timer(timer));
    }

    fn tell_status(&mut self) {
        let entry = self.certified.last_key_value().map(|(_, certificate)| certificate.clone());
        let from = self.other();
        self.send(from, Message::Status(status(entry)));
    }

    // What proves nothing.

    fn forge(&mut self) {
        let (from, phase) = (self.other(), self.some_phase());
        let (view, block) = (self.some_view(phase), self.fresh());
        let block = if phase == Phase::ViewChange { Hash::ZERO } else { block };
        let ballot = Ballot { epoch: Epoch(0), view, phase, block };
        let (what, message) = match self.rng.below(6) {
            0 => ("a forged vote", Message::Vote(self.vote_for_another_view(from, ballot))),
            1 => {
                let signers = self.too_few();
                ("a certificate without a quorum", Message::Certificate(self.certificate_of(ballot, signers)))
            }
            2 => ("a padded certificate", Message::Certificate(self.padded(ballot))),
            3 => {
                let signers = self.others.clone();
                let mut certificate = self.certificate_of(ballot, signers);
                certificate.view = view.next();
                ("a certificate of another view", Message::Certificate(certificate))
            }
            4 => ("a foreign message", self.foreign(from, ballot)),
            _ => {
                let earlier = View(self.rng.below(self.core.view().0));
                return self.give_void("a stale timer", Input::Timer(Timer::View(earlier)));
            }
        };
        self.give_void(what, Input::Message { from: ValidatorIndex(from), message });
    }

    /// The signature is of another ballot.
    fn vote_for_another_view(&mut self, by: u16, ballot: Ballot) -> Vote {
        let signed = Ballot { view: View(ballot.view.0 + 100), ..ballot };
        Vote { ballot, ..self.signed_vote(by, signed) }
    }

    /// As many of the others as just fail to be a quorum.
    fn too_few(&mut self) -> Vec<u16> {
        let mut signers = self.others.clone();
        self.rng.shuffle(&mut signers);
        while self.are_quorum(&signers) {
            signers.pop();
        }
        signers
    }

    /// All others sign, but one of them signed something else.
    fn padded(&mut self, ballot: Ballot) -> Certificate {
        let wrong = self.rng.index(self.others.len());
        let mut votes = Vec::new();
        for (at, by) in self.others.clone().into_iter().enumerate() {
            let voted = if at == wrong { Ballot { view: View(ballot.view.0 + 100), ..ballot } } else { ballot };
            votes.push(Vote { ballot, ..self.signed_vote(by, voted) });
        }
        Certificate::form(&self.net.set, ballot, votes.iter())
    }

    /// A vote or a certificate of a network with the same keys and another genesis.
    fn foreign(&mut self, from: u16, ballot: Ballot) -> Message {
        let vote = |by: &u16| Vote {
            ballot,
            voter: ValidatorIndex(*by),
            signature: self.net.sign_for(*by, &ballot, &ELSEWHERE),
            named: None,
        };
        if self.rng.per_mille(500) {
            return Message::Vote(vote(&from));
        }
        let votes: Vec<Vote> = self.others.iter().map(vote).collect();
        Message::Certificate(Certificate::form(&self.net.set, ballot, votes.iter()))
    }
}

fn status(entry: Option<Certificate>) -> Status {
    Status { epoch: Epoch(0), height: Height(0), entry, yours: None, reply: false }
}

#[test]
fn one_core_among_hostile_peers_keeps_the_rules() {
    for seed in 0..100 {
        assert_eq!(play(seed), None, "seed {seed}");
    }
}

/// The runs come far enough to be worth something: blocks become final, and views are skipped.
#[test]
fn hostile_runs_get_somewhere() {
    let (mut finals, mut skipped, mut signed) = (0, 0, 0);
    for seed in 0..20 {
        let mut run = Run::new(seed);
        run.begin();
        for _ in 0..STEPS {
            if run.over {
                break;
            }
            run.act();
        }
        finals += run.judge.head.1;
        skipped += run.skipped.len();
        signed += run.judge.made.keys().filter(|(who, _)| *who == run.judge.me).count();
    }
    assert!(finals >= 10 && skipped >= 20 && signed >= 40, "{finals} final, {skipped} skipped, {signed} signed");
}
