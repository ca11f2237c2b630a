//! One node: the state machine with what the driver does around it. Outputs are carried out in order; what leaves the
//! node waits until log and signer are synced; a crash may come between any two of these steps.

use std::collections::VecDeque;
use std::sync::Arc;

use super::application::{Application, FinalBlock};
use super::disk::Disk;
use super::ideal::Signers;
use super::kinds::Counts;
use super::rng::Rng;
use crate::core::{Build, Config, Core, Divergence, Input, Memory0, Output, Standing, Timer, Timing};
use crate::durability::SyncOrder;
use crate::{
    Ballot, BlockInfo, Certificate, Evidence, Hash, Message, Phase, Proposal, Record, Signature, ValidatorIndex,
    ValidatorSet, View, Vote,
};

/// What a node does to the world around it.
#[derive(Debug)]
pub(super) enum Effect {
    /// A timer of the state machine, in milliseconds of its own clock from now.
    SetTimer(Timer, u64),
    /// Look for work, or whether the block can be built, at this time of its own clock.
    LookAt(u64),
    Validate(Proposal, bool),
    Construct(Build),
    Send(Option<ValidatorIndex>, Message),
    Entered(View),
    /// A view-change certificate exists for this view.
    Skipped(View),
    Signed(Ballot, Signature),
    Final(Arc<FinalBlock>),
    Evidence(Evidence),
    Diverged(Divergence),
    Crashed,
    /// The node did what no node may do.
    Broken(String),
}

/// What every node of a run shares.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    pub(super) set: ValidatorSet,
    pub(super) signers: Signers,
    pub(super) genesis: Hash,
    pub(super) timing: Timing,
    pub(super) min_block_interval_ms: u64,
    pub(super) empty_block_interval_ms: u64,
    pub(super) max_clock_skew_ms: u64,
}

/// The view's work, and the block that is to be built.
#[derive(Debug, Default)]
struct Construction {
    view: View,
    parent: Hash,
    told: bool,
    wanted: Option<Build>,
}

/// One node.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) index: ValidatorIndex,
    pub(super) core: Option<Core>,
    /// Counts the starts: what was on its way to an earlier one is lost.
    pub(super) incarnation: u32,
    /// Counts the views entered: earlier timers are void.
    pub(super) generation: u32,
    pub(super) disk: Disk,
    pub(super) application: Box<dyn Application>,
    /// Steps until it crashes.
    pub(super) crash_in: Option<u64>,
    /// It crashes in its next sync, or when it next begins a segment of its log.
    pub(super) crash_in_sync: bool,
    pub(super) crash_in_rotation: bool,
    /// The next sync fails.
    pub(super) sync_fails: bool,
    /// The operator's word for a validator that lost its memory.
    pub(super) accepted: bool,
    /// Transactions that it has heard of.
    pub(super) known: u64,
    /// Its inputs share one sync until [`Self::flush`].
    pub(super) gathers: bool,
    salt: u64,
    construction: Construction,
    held: Vec<Output>,
}

impl Node {
    pub(super) fn new(index: ValidatorIndex, application: Box<dyn Application>, salt: u64) -> Self {
        Self {
            index,
            core: None,
            incarnation: 0,
            generation: 0,
            disk: Disk::new(application.genesis().0.hash),
            application,
            crash_in: None,
            crash_in_sync: false,
            crash_in_rotation: false,
            sync_fails: false,
            accepted: false,
            known: 0,
            gathers: false,
            salt,
            construction: Construction::default(),
            held: Vec::new(),
        }
    }

    pub(super) fn standing(&self) -> Option<Standing> {
        self.core.as_ref().map(Core::standing)
    }

    pub(super) fn view(&self) -> View {
        self.core.as_ref().map_or(View(0), Core::view)
    }

    /// The last final block.
    fn head(&self) -> BlockInfo {
        self.disk.blocks().last().map_or_else(|| self.application.genesis().0, |block| block.info)
    }

    /// Stands up from its disk. The first inputs are then the caller's to give.
    pub(super) fn start(&mut self, shared: &Shared) -> Result<(), String> {
        self.application.reopen(self.disk.blocks());
        self.application.learn(self.known);
        let (recovered, records) = self.disk.open(self.index, &shared.set, &*self.application)?;
        let memory = if self.accepted { Memory0::LostButAccepted } else { recovered.memory };
        let mut core = Core::new(Config {
            genesis: shared.genesis,
            set: shared.set.clone(),
            me: self.index,
            timing: shared.timing,
            root: self.head(),
            root_certificate: self.disk.blocks().last().map(|block| block.certificate.clone()),
            memory,
        });
        for record in records.into_iter().chain(recovered.votes) {
            core.step(Input::Restore(record));
        }
        self.core = Some(core);
        self.disk.order = SyncOrder::new(shared.set.is_quorum(u128::from(shared.set.weight(self.index).0)));
        self.incarnation += 1;
        self.construction = Construction::default();
        Ok(())
    }

    /// Nothing crashes it any more.
    pub(super) fn calm_down(&mut self) {
        self.crash_in = None;
        (self.crash_in_sync, self.crash_in_rotation, self.sync_fails) = (false, false, false);
    }

    /// Power is lost.
    pub(super) fn crash(&mut self, rng: &mut Rng, counts: &mut Counts) {
        self.core = None;
        self.incarnation += 1;
        self.calm_down();
        self.gathers = false;
        self.held.clear();
        self.disk.crash(rng, counts);
    }

    fn crashes_now(&mut self) -> bool {
        match &mut self.crash_in {
            Some(0) => true,
            Some(steps) => {
                *steps -= 1;
                false
            }
            None => false,
        }
    }

    /// One input and all that follows from it, then the sync, then what leaves; while inputs are gathered these two wait for
    /// [`Self::flush`].
    pub(super) fn process(&mut self, input: Input, shared: &Shared, now_ms: u64, effects: &mut Vec<Effect>) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let Some(core) = &mut self.core else { return };
            for output in core.step(input) {
                if self.crashes_now() {
                    return effects.push(Effect::Crashed);
                }
                self.carry_out(output, shared, now_ms, &mut inputs, effects);
            }
        }
        if !self.gathers {
            self.flush(effects);
        }
    }

    /// The sync, then what leaves. False: it crashed meanwhile.
    pub(super) fn flush(&mut self, effects: &mut Vec<Effect>) -> bool {
        self.gathers = false;
        #[cfg(test)]
        if crate::planted::is(crate::planted::Bug::VoteBeforeSync) {
            self.release_all(effects);
        }
        if self.disk.begin_sync() {
            if self.crashes_now() || self.crash_in_sync || self.sync_fails {
                effects.push(Effect::Crashed);
                return false;
            }
            self.disk.synced();
        }
        let released = self.release_all(effects);
        if released && self.disk.is_full() {
            return self.rotate(effects);
        }
        released
    }

    /// Lets out what waited for the sync. False: it crashed meanwhile.
    fn release_all(&mut self, effects: &mut Vec<Effect>) -> bool {
        for output in std::mem::take(&mut self.held) {
            if self.crashes_now() {
                effects.push(Effect::Crashed);
                return false;
            }
            self.release(output, effects);
        }
        true
    }

    /// False: it crashed meanwhile.
    fn rotate(&mut self, effects: &mut Vec<Effect>) -> bool {
        let Some(core) = &self.core else { return true };
        self.disk.begin_rotation(&core.snapshot());
        if self.crashes_now() || self.crash_in_rotation {
            effects.push(Effect::Crashed);
            return false;
        }
        self.disk.end_rotation();
        true
    }

    fn carry_out(
        &mut self,
        output: Output,
        shared: &Shared,
        now_ms: u64,
        inputs: &mut VecDeque<Input>,
        effects: &mut Vec<Effect>,
    ) {
        match output {
            Output::Persist(record) => {
                if let Record::Certificate(certificate) = &record
                    && certificate.phase == Phase::ViewChange
                {
                    effects.push(Effect::Skipped(certificate.view));
                }
                self.disk.append(&record);
            }
            Output::Sign(ballot) => {
                let signature = shared.signers.sign(self.index, &ballot.sign_bytes(&shared.genesis));
                if !self.disk.sign(ballot, signature) {
                    effects.push(Effect::Broken(format!("wants to sign {ballot:?}, which is not above its mark")));
                }
                effects.push(Effect::Signed(ballot, signature));
                inputs.push_front(Input::Signed(ballot, signature));
            }
            Output::SetTimer(timer, after) => effects.push(Effect::SetTimer(timer, after)),
            Output::EnteredView { view, parent, .. } => {
                self.generation += 1;
                self.construction = Construction { view, parent, told: false, wanted: None };
                effects.push(Effect::Entered(view));
                inputs.extend(self.look_for_work(shared, now_ms, effects));
            }
            Output::Build(build) => {
                self.construction.wanted = Some(build);
                self.try_construct(shared, now_ms, effects);
            }
            Output::Validate(proposal, certified) => effects.push(Effect::Validate(proposal, certified)),
            Output::Diverged(divergence) => effects.push(Effect::Diverged(divergence)),
            Output::Forgotten => self.disk.forget(),
            leaving => self.held.push(leaving),
        }
    }

    /// SPEC rule D1: nothing leaves that a crash could make this node contradict.
    fn check_durable(&self, message: &Message, effects: &mut Vec<Effect>) {
        let ballot = match message {
            Message::Vote(vote) => vote.ballot,
            Message::Propose(proposal) => proposal.ballot(),
            _ => return,
        };
        if self.disk.may_forget(&ballot) {
            effects.push(Effect::Broken(format!("{ballot:?} leaves before it is durable")));
        }
    }

    fn release(&mut self, output: Output, effects: &mut Vec<Effect>) {
        if let Output::Broadcast(message) | Output::Send(_, message) = &output {
            self.check_durable(message, effects);
        }
        match output {
            Output::Broadcast(message) => effects.push(Effect::Send(None, message)),
            Output::Send(to, message) => effects.push(Effect::Send(Some(to), message)),
            Output::Final(blocks) => self.make_final(blocks, effects),
            Output::Evidence(evidence) => effects.push(Effect::Evidence(evidence)),
            _ => {}
        }
    }

    fn make_final(&mut self, blocks: Vec<(BlockInfo, Certificate)>, effects: &mut Vec<Effect>) {
        for (info, certificate) in blocks {
            match self.application.valid_block(&info.hash) {
                Some((payload, time_ms)) => {
                    self.append_final(Arc::new(FinalBlock { info, time_ms, payload, certificate }), effects);
                }
                None => effects.push(Effect::Broken(format!("block {} is final and was never valid here", info.hash))),
            }
        }
    }

    fn append_final(&mut self, block: Arc<FinalBlock>, effects: &mut Vec<Effect>) {
        let (head, info) = (self.head(), block.info);
        if info.parent != head.hash || info.height != head.height.next() {
            let text = format!("final block {} of height {} does not follow {}", info.hash, info.height, head.height);
            return effects.push(Effect::Broken(text));
        }
        if let Err(error) = self.application.finalize(&block) {
            return effects.push(Effect::Broken(error));
        }
        self.disk.push(block.clone());
        effects.push(Effect::Final(block));
    }

    /// Block sync brought an answer: blocks upon the head, each with a certificate that holds, the last one with a commit
    /// certificate. Otherwise nothing of it is believed.
    pub(super) fn import(
        &mut self,
        blocks: &[Arc<FinalBlock>],
        shared: &Shared,
        now_ms: u64,
        effects: &mut Vec<Effect>,
    ) {
        // What consensus made final comes first.
        if self.gathers && !self.flush(effects) {
            return;
        }
        let head = self.head();
        let above = blocks.iter().skip_while(|block| block.info.height <= head.height);
        let mut before = head;
        for block in above.clone() {
            if !self.is_sound(block, &before, shared) {
                return;
            }
            before = block.info;
        }
        if blocks.last().is_none_or(|block| block.certificate.phase != Phase::Commit) {
            return;
        }
        for block in above {
            // The blocks before it may have brought consensus beyond it.
            if self.core.is_some() && block.info.height > self.head().height {
                self.append_final(block.clone(), effects);
                let certificate = block.certificate.clone();
                self.process(Input::Synced { block: block.info, certificate }, shared, now_ms, effects);
            }
        }
    }

    fn is_sound(&self, block: &FinalBlock, before: &BlockInfo, shared: &Shared) -> bool {
        let info = block.info;
        let read = self.application.read(&block.payload);
        info.parent == before.hash
            && info.height == before.height.next()
            && read.is_some_and(|(claimed, _)| claimed == info)
            && block.certificate.block == info.hash
            && block.certificate.view == info.view
            && block.certificate.phase != Phase::ViewChange
            && block.certificate.verify(&shared.set, &shared.genesis).is_ok()
    }

    /// SPEC rule V4: a ViewChange that names a block carries the header with that hash. The driver looks.
    pub(super) fn names_its_header(&self, message: &Message) -> bool {
        match message {
            Message::Vote(Vote { ballot, named: Some(named), .. }) => {
                self.application.header_hash(&named.header) == ballot.block
            }
            _ => true,
        }
    }

    /// Whether an empty block upon `parent` is due now; if it is later, a look is taken then.
    fn empty_block_is_due(&self, parent: &Hash, shared: &Shared, now_ms: u64, effects: &mut Vec<Effect>) -> bool {
        if shared.empty_block_interval_ms == 0 {
            return false;
        }
        let due = self.application.time_of(parent) + shared.empty_block_interval_ms;
        if due > now_ms {
            effects.push(Effect::LookAt(due));
        }
        due <= now_ms
    }

    fn look_for_work(&mut self, shared: &Shared, now_ms: u64, effects: &mut Vec<Effect>) -> Option<Input> {
        let (view, parent) = (self.construction.view, self.construction.parent);
        if self.construction.told {
            return None;
        }
        let work = self.application.has_work(&parent) || self.empty_block_is_due(&parent, shared, now_ms, effects);
        self.construction.told = work;
        work.then_some(Input::Work(view))
    }

    /// Looks for work, and whether the wanted block can be built.
    pub(super) fn look(&mut self, shared: &Shared, now_ms: u64, effects: &mut Vec<Effect>) {
        if let Some(input) = self.look_for_work(shared, now_ms, effects) {
            self.process(input, shared, now_ms, effects);
        }
        self.try_construct(shared, now_ms, effects);
    }

    fn try_construct(&mut self, shared: &Shared, now_ms: u64, effects: &mut Vec<Effect>) {
        let Some(build) = &self.construction.wanted else { return };
        let parent = build.parent;
        let interval = shared.min_block_interval_ms;
        let made = self.application.time_of(&parent);
        // A parent from the future delays by one interval at most, as in the node.
        if made <= now_ms && made + interval > now_ms {
            return effects.push(Effect::LookAt(made + interval));
        }
        if build.needed
            || self.application.has_work(&parent)
            || self.empty_block_is_due(&parent, shared, now_ms, effects)
        {
            effects.extend(self.construction.wanted.take().map(Effect::Construct));
        }
    }

    /// The block is built now, or cannot be.
    pub(super) fn built(
        &mut self,
        build: &Build,
        possible: bool,
        shared: &Shared,
        now_ms: u64,
        effects: &mut Vec<Effect>,
    ) {
        let built = self.application.build(build, self.index, now_ms, self.salt).filter(|_| possible);
        let view = build.view;
        let input = match built {
            Some(built) => Input::Built { view, block: built.info, payload: built.payload, header: built.header },
            None => Input::NotBuilt(view),
        };
        self.process(input, shared, now_ms, effects);
    }

    /// The application judges a block. What is too far ahead of the node's clock gets no verdict, unless it is certified.
    pub(super) fn validated(
        &mut self,
        proposal: &Proposal,
        certified: bool,
        shared: &Shared,
        now_ms: u64,
        effects: &mut Vec<Effect>,
    ) {
        let (view, block) = (proposal.block.view, proposal.block.hash);
        let time_ms = self.application.time_in(&proposal.payload).unwrap_or(0);
        let parent_ms = self.application.time_of(&proposal.block.parent);
        if !certified && time_ms > parent_ms && time_ms > now_ms + shared.max_clock_skew_ms {
            return;
        }
        // It stands on a branch that finality left behind meanwhile.
        let left_behind = view <= self.head().view || proposal.block.height <= self.head().height.next();
        match self.application.validate(&proposal.payload, &shared.set) {
            Some(valid) => self.process(Input::Validated { view, block, valid }, shared, now_ms, effects),
            None if left_behind => {}
            None => effects.push(Effect::Broken(format!("asks to validate {block} before its parent"))),
        }
    }
}
