//! Transactions between nodes: pushed once by the node that received them; pushed again to the coming leaders by
//! whoever still holds them after a while, because the first holder may have crashed.

use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::Bytes;
use alloy_rlp::Header;
use assent_chain::Chain;
use assent_chain::mempool::{AddOutcome, Origin, PoolError};
use assent_consensus::{PublicKey, ValidatorSet, View};
use assent_rpc::Submission;
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::driver::{ConsensusStatus, Directory};
use crate::network::{Channel, Message, NetworkHandle, TRANSACTIONS_MAX};

/// Submissions taken in one go: their senders are recovered together, and they share a frame.
const BATCH: usize = 256;

/// A frame is closed when it is longer than this; one more transaction of the largest size still fits.
const FRAME_BYTES: usize = TRANSACTIONS_MAX / 2;

/// No signed transaction is shorter: its signature alone has 65 bytes. With the limit of a frame this bounds how many
/// there are.
const LEAST_BYTES: usize = 66;

/// A transaction that has waited this long is pushed again.
const STALE: Duration = Duration::from_secs(2);

/// How often stale transactions are looked for.
const TICK: Duration = Duration::from_millis(500);

/// Stale transactions pushed in one round.
const STALE_AT_ONCE: usize = 512;

/// Leaders of the coming views that stale transactions are pushed to.
const COMING: u64 = 3;

/// What the tasks work with.
#[derive(Clone, Debug)]
pub struct Gossip {
    /// The mempool's owner.
    pub chain: Arc<Chain>,
    /// The peers.
    pub network: NetworkHandle,
    /// Told when transactions were admitted.
    pub admitted: Arc<Notify>,
    /// Who is who.
    pub directory: Directory,
    /// The validators.
    pub set: Arc<ValidatorSet>,
    /// Where consensus stands, on a validator.
    pub consensus: Option<watch::Receiver<ConsensusStatus>>,
}

impl Gossip {
    /// Admits what comes over RPC, answers, and spreads what was admitted.
    pub async fn run_submissions(self, mut submissions: mpsc::Receiver<Submission>, stop: CancellationToken) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            batch.clear();
            tokio::select! {
                () = stop.cancelled() => return,
                count = submissions.recv_many(&mut batch, BATCH) => if count == 0 { return },
            }
            let raws: Vec<Bytes> = batch.iter().map(|submission| submission.raw.clone()).collect();
            let results = self.admit(raws, Origin::Local).await;
            let mut admitted = Vec::new();
            for (submission, result) in batch.drain(..).zip(results) {
                let answer = match result {
                    Ok(outcome) => {
                        admitted.push(submission.raw);
                        Ok(outcome.hash)
                    }
                    Err(error) => Err(error.into()),
                };
                // The client may have gone.
                let _ = submission.reply.send(answer);
            }
            for frame in frames(&admitted) {
                self.network.broadcast(Channel::Transactions, frame.0);
            }
        }
    }

    /// Admits what peers push.
    pub async fn run_peers(self, mut messages: mpsc::Receiver<Message>, stop: CancellationToken) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = tick.tick() => self.push_stale(),
                message = messages.recv() => match message {
                    Some(message) => self.on_frame(message).await,
                    None => return,
                }
            }
        }
    }

    async fn on_frame(&self, message: Message) {
        let peer = message.peer;
        let raws = match read_frame(&message.bytes) {
            Ok(raws) => raws,
            Err(error) => return self.network.disconnect(&peer, &format!("malformed transactions: {error}")),
        };
        let results = self.admit(raws, Origin::Peer).await;
        if let Some(error) = results.into_iter().filter_map(Result::err).find(PoolError::is_malformed) {
            // An honest node admits before it pushes.
            self.network.disconnect(&peer, &format!("a malformed transaction: {error}"));
        }
    }

    async fn admit(&self, raws: Vec<Bytes>, origin: Origin) -> Vec<Result<AddOutcome, PoolError>> {
        let chain = self.chain.clone();
        let admitted = tokio::task::spawn_blocking(move || chain.pool().add_batch(raws, origin)).await;
        let results = admitted.unwrap_or_else(|error| {
            // A fault of the program; submissions are answered by their dropped replies.
            tracing::error!(target: "assent::gossip", %error, "admission ended early");
            Vec::new()
        });
        if results.iter().any(Result::is_ok) {
            self.admitted.notify_one();
        }
        results
    }

    fn push_stale(&self) {
        let stale = self.chain.pool().stale(STALE, STALE_AT_ONCE);
        if stale.is_empty() {
            return;
        }
        let raws: Vec<Bytes> = stale.iter().map(|tx| tx.raw().clone()).collect();
        for frame in frames(&raws) {
            for peer in self.coming_leaders() {
                // Not connected or full: it is pushed again.
                let _ = self.network.send(&peer, Channel::Transactions, frame.clone().0);
            }
        }
    }

    /// The node keys of the next leaders; of all validators on a follower, which knows no view.
    fn coming_leaders(&self) -> Vec<PublicKey> {
        let mut leaders: Vec<_> = match &self.consensus {
            Some(status) => {
                let View(view) = status.borrow().view;
                (view..=view.saturating_add(COMING)).map(|view| self.set.leader(View(view))).collect()
            }
            None => self.set.iter().map(|(index, _)| index).collect(),
        };
        leaders.sort_unstable();
        leaders.dedup();
        leaders.into_iter().filter_map(|index| self.directory.node(index).copied()).collect()
    }
}

/// Reads a frame: no more transactions than an honest one can hold, and nothing behind them.
fn read_frame(mut bytes: &[u8]) -> alloy_rlp::Result<Vec<Bytes>> {
    let mut list = Header::decode_bytes(&mut bytes, true)?;
    let mut raws = Vec::new();
    while !list.is_empty() {
        let raw = Header::decode_bytes(&mut list, false)?;
        if raw.len() < LEAST_BYTES {
            return Err(alloy_rlp::Error::Custom("shorter than any signed transaction"));
        }
        raws.push(Bytes::copy_from_slice(raw));
    }
    if bytes.is_empty() { Ok(raws) } else { Err(alloy_rlp::Error::UnexpectedLength) }
}

/// Packs transactions into frames: RLP lists of byte strings.
fn frames(raws: &[Bytes]) -> Vec<Bytes> {
    let mut frames = Vec::new();
    let mut rest = raws;
    while !rest.is_empty() {
        let mut bytes = 0;
        let fits = rest.iter().take_while(|raw| {
            let before = bytes;
            bytes += raw.len();
            before < FRAME_BYTES
        });
        let (frame, later) = rest.split_at(fits.count());
        frames.push(alloy_rlp::encode(frame.to_vec()).into());
        rest = later;
    }
    frames
}

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn frames_hold_everything_in_order_within_the_limit() {
        let raws: Vec<Bytes> = (0..40u8).map(|i| Bytes::from(vec![i; 100 * 1024])).collect();
        let frames = frames(&raws);
        assert!(frames.iter().all(|frame| frame.len() <= TRANSACTIONS_MAX));
        let back: Vec<Bytes> = frames.iter().flat_map(|frame| read_frame(frame).unwrap()).collect();
        assert_eq!(back, raws);
        assert!(super::frames(&[]).is_empty());
    }

    #[test]
    fn a_frame_of_crumbs_or_with_a_tail_is_refused() {
        let crumbs: Vec<Bytes> = vec![Bytes::new(); 1000];
        assert!(read_frame(&alloy_rlp::encode(crumbs)).is_err());
        let mut tail = alloy_rlp::encode(vec![Bytes::from(vec![1; 100])]);
        assert_eq!(read_frame(&tail).unwrap().len(), 1);
        tail.push(0);
        assert!(read_frame(&tail).is_err());
    }
}
