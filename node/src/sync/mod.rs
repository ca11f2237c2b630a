//! Block sync: a node that is behind fetches final blocks with their certificates, verifies and executes them, and
//! lets consensus take over at the head. Followers live by it alone.
//!
//! One task asks, one question at a time, another peer when one does not answer; the answers of others are given on
//! blocking threads. Nothing is believed that is not proven by certificates and by our own execution.

#[cfg(test)]
mod fuzz;
mod message;
mod server;
mod trust;
mod verify;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use assent_chain::Chain;
use assent_chain::metric::Metric;
use assent_consensus::{Hash, PublicKey, ValidatorSet};
use assent_rpc::{SyncProgress, SyncStatus};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::committer::Committer;
use crate::crash_point::{self, Point};
use crate::driver;
use crate::network::{Channel, Message, NetworkHandle};
use message::{Answer, Request, SyncMessage};
use trust::Heads;
use verify::verify;

/// All metrics of this area.
pub const METRICS: &[Metric] = &[BLOCKS, REFUSED];

const BLOCKS: Metric = Metric::counter("assent_sync_blocks_total", "Final blocks taken from peers by block sync");
const REFUSED: Metric =
    Metric::counter("assent_sync_refused_total", "Answers of peers to block sync that proved nothing");

/// How long a peer may take for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often the task looks whether it is behind, apart from when it hears of it.
const TICK: Duration = Duration::from_millis(250);

/// How long a validator waits for consensus to close a small gap before it syncs.
const GRACE: Duration = Duration::from_millis(750);

/// A validator that is further behind than this syncs at once.
const SMALL_GAP: u64 = 16;

/// How often progress is logged.
const REPORT: Duration = Duration::from_secs(5);

/// Questions of others that are answered at the same time.
const SERVED_AT_ONCE: usize = 2;

/// What the task works with.
#[derive(Debug)]
pub struct SyncConfig {
    /// Blocks and state.
    pub chain: Arc<Chain>,
    /// The writer of final blocks.
    pub committer: Committer,
    /// The peers.
    pub network: NetworkHandle,
    /// The validators whose certificates count.
    pub set: ValidatorSet,
    /// Hash of the genesis block.
    pub genesis: Hash,
    /// The consensus driver, on a validator.
    pub driver: Option<mpsc::Sender<driver::Event>>,
}

/// A question that is out.
#[derive(Debug)]
struct Asked {
    peer: PublicKey,
    request: Request,
    at: Instant,
}

/// The state of the task.
#[derive(Debug)]
pub struct Sync {
    config: SyncConfig,
    heads: Heads,
    asked: Option<Asked>,
    next_id: u64,
    /// Since when we are behind, and at which height that began.
    behind: Option<(Instant, u64)>,
    reported: Option<(Instant, u64)>,
    status: watch::Sender<SyncStatus>,
    serving: Arc<Semaphore>,
    /// Peers whose question is being answered, or waits for its turn: one each.
    served: Arc<Mutex<BTreeSet<PublicKey>>>,
}

impl Sync {
    /// Prepares the task.
    #[must_use]
    pub fn new(config: SyncConfig) -> Self {
        Self {
            config,
            heads: Heads::default(),
            asked: None,
            next_id: 1,
            behind: None,
            reported: None,
            status: watch::channel(SyncStatus::Synced).0,
            serving: Arc::new(Semaphore::new(SERVED_AT_ONCE)),
            served: Arc::default(),
        }
    }

    /// How far it is.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<SyncStatus> {
        self.status.subscribe()
    }

    /// Runs until it is told to stop.
    pub async fn run(mut self, mut messages: mpsc::Receiver<Message>, stop: CancellationToken) {
        let mut finals = self.config.chain.subscribe();
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                Some(message) = messages.recv() => self.on_message(message).await,
                _ = finals.recv() => self.announce(),
                _ = tick.tick() => self.refresh_heads(),
            }
            self.ask_if_behind();
        }
    }

    fn head(&self) -> u64 {
        self.config.chain.head().number
    }

    fn announce(&self) {
        let head = self.head();
        self.config.network.set_head(head);
        self.config.network.broadcast(Channel::Sync, SyncMessage::Head(head).encode().0);
    }

    /// The heartbeats tell the heads of peers that announce nothing.
    fn refresh_heads(&mut self) {
        for peer in self.config.network.peers() {
            match peer.head.filter(|_| peer.connected) {
                Some(head) => self.heads.claim(peer.key, head),
                None => self.heads.forget(&peer.key),
            }
        }
    }

    async fn on_message(&mut self, message: Message) {
        let peer = message.peer;
        let bytes = message.into_bytes();
        if SyncMessage::is_answer(&bytes) && self.asked.as_ref().is_none_or(|asked| asked.peer != peer) {
            return;
        }
        match SyncMessage::decode(&bytes) {
            Ok(SyncMessage::Head(height)) => self.heads.claim(peer, height),
            Ok(SyncMessage::Request(request)) => self.serve(peer, request),
            Ok(SyncMessage::Answer(answer)) => self.on_answer(peer, answer).await,
            Err(error) => self.config.network.disconnect(&peer, &format!("malformed sync message: {error}")),
        }
    }

    fn serve(&self, peer: PublicKey, request: Request) {
        if !self.served.lock().insert(peer) {
            return;
        }
        let (serving, served) = (self.serving.clone(), self.served.clone());
        let (chain, network, validators) =
            (self.config.chain.clone(), self.config.network.clone(), self.config.set.len());
        tokio::spawn(async move {
            let permit = serving.acquire_owned().await;
            let answer = tokio::task::spawn_blocking(move || server::answer(&chain, request, validators)).await;
            drop(permit);
            served.lock().remove(&peer);
            let sent = match answer {
                Ok(Ok(answer)) => network.send(&peer, Channel::Sync, SyncMessage::Answer(answer).encode().0),
                Ok(Err(error)) => {
                    return tracing::error!(target: "assent::sync", %error, "a request could not be answered");
                }
                Err(error) => return tracing::error!(target: "assent::sync", %error, "an answer ended early"),
            };
            if let Err(error) = sent {
                tracing::warn!(target: "assent::sync", %peer, from = request.from, %error, "an answer was not sent");
            }
        });
    }

    /// Whether there is anything to fetch that consensus will not bring by itself.
    fn target(&mut self) -> Option<u64> {
        let (head, best) = (self.head(), self.heads.best(Instant::now()));
        if best <= head {
            self.behind = None;
            return None;
        }
        let (since, from) = *self.behind.get_or_insert((Instant::now(), head));
        let moving = from != head;
        if moving && self.asked.is_none() && best - head <= SMALL_GAP {
            self.behind = Some((Instant::now(), head));
        }
        let patient = self.config.driver.is_some() && best - head <= SMALL_GAP;
        (!patient || (!moving && since.elapsed() >= GRACE)).then_some(best)
    }

    fn ask_if_behind(&mut self) {
        if let Some(asked) = self.asked.take_if(|asked| asked.at.elapsed() > PATIENCE) {
            tracing::debug!(target: "assent::sync", peer = %asked.peer, "no answer");
            self.heads.doubt(asked.peer, Instant::now());
        }
        let target = self.target();
        self.publish(target);
        let (Some(_), None) = (target, &self.asked) else { return };
        let head = self.head();
        let request = Request { id: self.next_id, from: head + 1 };
        let ahead = self.heads.above(head, Instant::now());
        let turn = usize::try_from(self.next_id).unwrap_or(0) % ahead.len().max(1);
        if let Some(peer) = ahead.get(turn)
            && self.config.network.send(peer, Channel::Sync, SyncMessage::Request(request).encode().0).is_ok()
        {
            self.next_id += 1;
            self.asked = Some(Asked { peer: *peer, request, at: Instant::now() });
        }
    }

    async fn on_answer(&mut self, peer: PublicKey, answer: Answer) {
        let Some(asked) = self.asked.take_if(|asked| asked.peer == peer && asked.request.id == answer.id) else {
            return;
        };
        if answer.items.is_empty() {
            return self.heads.doubt(peer, Instant::now());
        }
        let head = self.config.chain.head();
        if head.number + 1 != asked.request.from {
            return;
        }
        let (chain, set, genesis) = (self.config.chain.clone(), self.config.set.clone(), self.config.genesis);
        let checked = tokio::task::spawn_blocking(move || {
            verify(&chain, (head.number, head.hash), &answer.items, &set, &genesis)
        });
        match checked.await {
            Ok(Ok(blocks)) => {
                self.heads.trust(&peer);
                self.import(peer, blocks).await;
            }
            // The head moved while it was verified; nobody lied.
            Ok(Err(_)) if self.head() != head.number => {}
            Ok(Err(error)) => self.accuse(peer, &error.to_string()),
            Err(error) => tracing::error!(target: "assent::sync", %error, "verification ended early"),
        }
    }

    async fn import(&mut self, peer: PublicKey, blocks: Vec<verify::Proven>) {
        for proven in blocks {
            let info = driver::block_info(&proven.block);
            if info.height.0 <= self.head() {
                continue;
            }
            match self.config.committer.import(proven.block, proven.certificate.encode()).await {
                Some(Ok(_)) => {
                    crash_point::reached(Point::ImportUntold);
                    metrics::counter!(BLOCKS.name).increment(1);
                    if let Some(driver) = &self.config.driver {
                        // The driver is gone only when the node stops.
                        let _ = driver.send(driver::Event::Synced(info, proven.certificate)).await;
                    }
                }
                Some(Err(_)) if info.height.0 <= self.head() => {}
                Some(Err(error)) => {
                    // A quorum's certificate stands on it: either our execution or our state is wrong.
                    tracing::error!(target: "assent::sync", height = info.height.0, hash = %info.hash, %error,
                        %peer, "a final block does not execute as its certificate says: compare program and genesis.json \
                         with the others'; if they are equal, wipe the data folder");
                    return self.heads.doubt(peer, Instant::now());
                }
                None => return,
            }
        }
        self.report();
    }

    fn accuse(&mut self, peer: PublicKey, reason: &str) {
        tracing::warn!(target: "assent::sync", %peer, reason, "a peer sent blocks that prove nothing");
        metrics::counter!(REFUSED.name).increment(1);
        self.heads.doubt(peer, Instant::now());
        self.config.network.disconnect(&peer, reason);
    }

    fn publish(&self, target: Option<u64>) {
        let head = self.head();
        let status = match (target, self.behind) {
            (Some(highest_block), Some((_, starting_block))) => {
                SyncStatus::Syncing(SyncProgress { starting_block, current_block: head, highest_block })
            }
            _ => SyncStatus::Synced,
        };
        self.status.send_if_modified(|current| {
            let changed = *current != status;
            *current = status;
            changed
        });
    }

    /// Progress with rate and estimate.
    fn report(&mut self) {
        let (head, now) = (self.head(), Instant::now());
        let best = self.heads.best(now).max(head);
        let (since, from) = *self.reported.get_or_insert((now, head));
        let elapsed = now - since;
        if elapsed >= REPORT {
            let rate = (head - from) as f64 / elapsed.as_secs_f64();
            let left = best.saturating_sub(head) as f64 / rate.max(0.001);
            tracing::info!(target: "assent::sync", head, of = best, blocks_per_second = rate.round(),
                seconds_left = left.round(), "syncing");
            self.reported = Some((now, head));
        }
        if head >= best {
            tracing::info!(target: "assent::sync", head, "caught up");
            self.reported = None;
        }
    }
}
