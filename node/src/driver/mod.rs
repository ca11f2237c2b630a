//! The consensus driver: carries out what the state machine asks for.
//!
//! One task owns the state machine, the log and the signer. It takes what is there (messages, timers, results of the
//! application), steps the machine through it, makes durable what was signed, and only then lets anything leave
//! the node: persist, sync, send (SPEC rule D). Blocks are built and validated on blocking threads, final ones are
//! handed to the [`Committer`].

mod blocks;
mod durable;
mod effects;
mod evidence;
mod failures;
mod inbox;
mod measures;
mod open;
mod peers;
mod phases;
mod timers;

use std::collections::VecDeque;
use std::sync::Arc;

use alloy_primitives::bytes::Bytes;
use assent_chain::Chain;
use assent_consensus::core::{Core, Input, Output, Standing};
use assent_consensus::{BlockInfo, Certificate, Hash, Message, Phase, PublicKey, ValidatorIndex, ValidatorSet, View};
use assent_genesis::{ConsensusParams, Genesis};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::committer::Committer;
use crate::network::{self, NetworkHandle};
use blocks::{BlockCache, Construction};
pub use blocks::{block_info, info};
use durable::Durable;
use evidence::EvidencePool;
use failures::FailedViews;
pub use failures::{FailedView, Failure};
use inbox::Inbox;
pub use measures::METRICS;
pub(crate) use open::timing;
pub use open::{OpenError, OpenOptions};
pub use peers::Directory;
use phases::Phases;
use timers::{Alarm, Timers};

/// Inputs taken in one go: they share one sync. Small enough that votes of the first do not wait for long.
const BATCH: usize = 64;

/// Results of blocking work that may wait for the driver.
const RESULTS: usize = 256;

/// What others tell the driver.
#[derive(Debug)]
pub enum Event {
    /// A connection to a peer stands.
    Connected(PublicKey),
    /// Block sync made a block final.
    Synced(BlockInfo, Certificate),
    /// A block was built, or could not be.
    Built(View, Option<blocks::BuiltBlock>),
    /// A block was judged.
    Validated(View, Hash, bool),
}

/// How consensus stands, for status and gossip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsensusStatus {
    /// The current view.
    pub view: View,
    /// Whether we vote.
    pub standing: Standing,
    /// Whether the view has work, so that its timer runs.
    pub working: bool,
    /// Who gave the current view up.
    pub gave_up: Vec<ValidatorIndex>,
    /// Whom the protocol takes for silent.
    pub silent: Vec<ValidatorIndex>,
    /// The last views that did not come to a block, newest first.
    pub failed: Arc<VecDeque<FailedView>>,
}

/// What the driver works with.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// The specification.
    pub genesis: Arc<Genesis>,
    /// Hash of block 0.
    pub genesis_hash: Hash,
    /// Blocks, state and mempool.
    pub chain: Arc<Chain>,
    /// The writer of final blocks.
    pub committer: Committer,
    /// The peers.
    pub network: NetworkHandle,
    /// Told when transactions were admitted.
    pub admitted: Arc<Notify>,
}

/// The driver of one validator.
#[derive(Debug)]
pub struct Driver {
    core: Core,
    set: Arc<ValidatorSet>,
    me: ValidatorIndex,
    params: ConsensusParams,
    directory: Directory,
    durable: Durable,
    around: Surroundings,
    timers: Timers,
    construction: Construction,
    cache: BlockCache,
    evidence: EvidencePool,
    /// What leaves the node once everything before it is durable.
    held: Vec<Output>,
    failed: FailedViews,
    phases: Phases,
    events: mpsc::Receiver<Event>,
    results: mpsc::Sender<Event>,
    status: watch::Sender<ConsensusStatus>,
}

/// Why the driver ended. The node must end with it.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// Others are final on what this node cannot agree to.
    #[error(
        "{0}. This node has stopped, so that it does no harm. Compare its program and genesis.json with the others'; if \
         they are equal, its disk is damaged: wipe its data folder and let it join again"
    )]
    Diverged(#[from] assent_consensus::core::Divergence),
    /// The signer refused what the state machine wanted to sign.
    #[error("{0}. This is a fault of the program: please report it with the log")]
    Signer(#[from] crate::signer::SignerError),
    /// The log could not be written.
    #[error("the consensus log cannot be written: {0}. Check the disk, then start again")]
    Log(#[from] std::io::Error),
    /// A new segment of the log could not be begun.
    #[error("{0}. Check the disk, then start again")]
    Wal(#[from] crate::wal::WalError),
    /// Final blocks can no longer be written.
    #[error(transparent)]
    Committer(#[from] crate::committer::Ended),
}

impl Driver {
    /// A handle for telling the driver things.
    #[must_use]
    pub fn events(&self) -> mpsc::Sender<Event> {
        self.results.clone()
    }

    /// How consensus stands.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<ConsensusStatus> {
        self.status.subscribe()
    }

    /// Runs until it is told to stop, or fails.
    ///
    /// # Errors
    /// See [`DriverError`].
    pub async fn run(
        mut self,
        messages: mpsc::Receiver<network::Message>,
        stop: CancellationToken,
    ) -> Result<(), DriverError> {
        let mut messages = Inbox::new(messages);
        let admitted = self.around.admitted.clone();
        self.process(VecDeque::from([Input::Start])).await?;
        loop {
            let next = self.timers.next();
            let alarm = async {
                match next {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let mut inputs = VecDeque::new();
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                Some(event) = self.events.recv() => self.on_event(event, &mut inputs),
                Some(message) = messages.recv() => self.on_message(message, &mut inputs),
                () = alarm => {}
                () = admitted.notified() => self.look_for_work(&mut inputs),
            }
            self.take_more(&mut messages, &mut inputs);
            self.process(inputs).await?;
            self.rotate_log().await?;
            self.publish_status();
        }
    }

    /// Whatever else is there already goes with the same sync; a large message is the last, because it took a while to
    /// read, and votes that wait with it should not.
    fn take_more(&mut self, messages: &mut Inbox, inputs: &mut VecDeque<Input>) {
        let mut large = false;
        while inputs.len() < BATCH && !large {
            if let Ok(event) = self.events.try_recv() {
                self.on_event(event, inputs);
            } else if let Some(message) = messages.try_recv() {
                large = inbox::is_large(&message);
                self.on_message(message, inputs);
            } else {
                break;
            }
        }
        // A full inbox must not keep us from seeing work.
        self.look_for_work(inputs);
        let now = Instant::now();
        while let Some(alarm) = self.timers.pop(now) {
            match alarm {
                Alarm::Core(timer) => inputs.push_back(Input::Timer(timer)),
                Alarm::Pace => self.try_construct(),
                Alarm::Empty => self.look_for_work(inputs),
            }
        }
    }

    fn on_event(&mut self, event: Event, inputs: &mut VecDeque<Input>) {
        match event {
            Event::Connected(peer) => inputs.extend(self.directory.validator(&peer).map(Input::Connected)),
            Event::Synced(block, certificate) => inputs.push_back(Input::Synced { block, certificate }),
            Event::Validated(view, block, valid) => inputs.push_back(Input::Validated { view, block, valid }),
            Event::Built(view, built) => inputs.push_back(Self::on_built(view, built)),
        }
    }

    fn on_message(&mut self, message: network::Message, inputs: &mut VecDeque<Input>) {
        let Some(from) = self.directory.validator(&message.peer) else { return };
        let bytes: Bytes = message.into_bytes();
        let cache = &self.cache;
        let chain = &self.around.chain;
        let read = |payload: &[u8]| cache.read(chain, payload);
        match Message::decode(&bytes, self.set.len(), &read) {
            Ok(message) if names_its_header(&message) => {
                measures::received(&message);
                inputs.push_back(Input::Message { from, message });
            }
            Ok(_) => self.refuse(from, "a ViewChange names a header that is not of its block"),
            Err(error) => self.refuse(from, &error.to_string()),
        }
    }

    fn refuse(&self, from: ValidatorIndex, reason: &str) {
        measures::malformed();
        let name = self.directory.name(from);
        tracing::warn!(target: "assent::consensus", from = name, reason, "malformed message: the peer is sent away");
        if let Some(peer) = self.directory.node(from) {
            self.around.network.disconnect(peer, reason);
        }
    }

    fn publish_status(&self) {
        let status = ConsensusStatus {
            view: self.core.view(),
            standing: self.core.standing(),
            working: self.core.is_armed(),
            gave_up: self.core.gave_up().collect(),
            silent: self.core.silent().collect(),
            failed: self.failed.recent(),
        };
        measures::working(status.working);
        self.status.send_if_modified(|current| {
            let changed = *current != status;
            *current = status;
            changed
        });
    }
}

/// A ViewChange that names a block carries the header with that hash (SPEC rule V).
fn names_its_header(message: &Message) -> bool {
    match message {
        Message::Vote(vote) if vote.ballot.phase == Phase::ViewChange => {
            vote.named.as_ref().is_none_or(|named| alloy_primitives::keccak256(&named.header).0 == vote.ballot.block.0)
        }
        _ => true,
    }
}
