//! The send queue of one peer and lane: bounded in frames and bytes, with the lane's policy when full.
//!
//! It is closed while the peer is not connected: nothing is kept for a peer that is away.

use super::channel::{Lane, WhenFull};
use alloy_primitives::bytes::Bytes;
use parking_lot::Mutex;
use std::collections::VecDeque;
use tokio::sync::Notify;

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Push {
    /// It waits to be sent; so many older ones were dropped for it.
    Queued { dropped: usize },
    /// There is no room, and the lane keeps what it has.
    Full,
    /// The peer is not connected.
    Closed,
}

#[derive(Debug)]
pub(crate) struct SendQueue {
    lane: Lane,
    waiting: Mutex<Waiting>,
    filled: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    frames: VecDeque<Bytes>,
    bytes: usize,
    open: bool,
}

impl Waiting {
    fn pop(&mut self) -> Option<Bytes> {
        let frame = self.frames.pop_front()?;
        self.bytes -= frame.len();
        Some(frame)
    }
}

impl SendQueue {
    pub(crate) fn new(lane: Lane) -> Self {
        Self { lane, waiting: Mutex::default(), filled: Notify::new() }
    }

    /// Takes a frame that is within the lane's limit.
    pub(crate) fn push(&self, frame: Bytes) -> Push {
        let limits = self.lane.limits();
        let mut waiting = self.waiting.lock();
        if !waiting.open {
            return Push::Closed;
        }
        let mut dropped = 0;
        while waiting.frames.len() >= limits.send_frames || waiting.bytes + frame.len() > limits.send_bytes {
            if self.lane.when_full() == WhenFull::Refuse || waiting.pop().is_none() {
                return Push::Full;
            }
            dropped += 1;
        }
        waiting.bytes += frame.len();
        waiting.frames.push_back(frame);
        drop(waiting);
        self.filled.notify_one();
        Push::Queued { dropped }
    }

    /// Waits until there is a frame. For one waiter at a time.
    pub(crate) async fn filled(&self) {
        while self.waiting.lock().frames.is_empty() {
            self.filled.notified().await;
        }
    }

    /// Takes frames in their order: at least one if there is one, then as many as fit in so many bytes.
    pub(crate) fn pop(&self, bytes: usize) -> Vec<Bytes> {
        let mut waiting = self.waiting.lock();
        let mut taken = Vec::new();
        let mut sum = 0;
        while let Some(next) = waiting.frames.front() {
            sum += next.len();
            if !taken.is_empty() && sum > bytes {
                break;
            }
            taken.extend(waiting.pop());
        }
        taken
    }

    /// Frames that wait, and their bytes.
    pub(crate) fn waiting(&self) -> (usize, usize) {
        let waiting = self.waiting.lock();
        (waiting.frames.len(), waiting.bytes)
    }

    /// Starts to take frames.
    pub(crate) fn open(&self) {
        self.waiting.lock().open = true;
    }

    /// Forgets what waits, and takes no more until it is opened again.
    pub(crate) fn close(&self) {
        *self.waiting.lock() = Waiting::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(lane: Lane) -> SendQueue {
        let queue = SendQueue::new(lane);
        queue.open();
        queue
    }

    fn frame(length: usize, tag: u8) -> Bytes {
        vec![tag; length].into()
    }

    #[test]
    fn consensus_drops_the_oldest() {
        for lane in [Lane::ConsensusSmall, Lane::ConsensusLarge] {
            let queue = opened(lane);
            let limit = lane.limits().send_frames;
            for number in 0..limit {
                assert_eq!(queue.push(frame(1, number as u8)), Push::Queued { dropped: 0 });
            }
            assert_eq!(queue.push(frame(1, 99)), Push::Queued { dropped: 1 });
            let left = queue.pop(usize::MAX);
            assert_eq!(left.len(), limit);
            assert_eq!(left.first(), Some(&frame(1, 1)));
            assert_eq!(left.last(), Some(&frame(1, 99)));
        }
    }

    #[test]
    fn transactions_and_sync_refuse_the_newest() {
        for lane in [Lane::Transactions, Lane::Sync] {
            let queue = opened(lane);
            let limit = lane.limits().send_frames;
            for _ in 0..limit {
                assert_eq!(queue.push(frame(1, 1)), Push::Queued { dropped: 0 });
            }
            assert_eq!(queue.push(frame(1, 2)), Push::Full);
            assert_eq!(queue.pop(usize::MAX), vec![frame(1, 1); limit]);
        }
    }

    #[test]
    fn reliability_13_bytes_are_bounded_at_the_limit_and_one_more() {
        let half = Lane::Sync.limits().send_bytes / 2;
        let queue = opened(Lane::Sync);
        assert_eq!(queue.push(frame(half, 1)), Push::Queued { dropped: 0 });
        assert_eq!(queue.push(frame(half, 2)), Push::Queued { dropped: 0 });
        assert_eq!(queue.push(frame(1, 3)), Push::Full);

        let limits = Lane::ConsensusLarge.limits();
        let queue = opened(Lane::ConsensusLarge);
        assert_eq!(queue.push(frame(limits.frame_bytes, 1)), Push::Queued { dropped: 0 });
        assert_eq!(queue.push(frame(limits.frame_bytes, 2)), Push::Queued { dropped: 0 });
        assert_eq!(queue.push(frame(limits.frame_bytes, 3)), Push::Queued { dropped: 1 });
        assert_eq!(queue.pop(usize::MAX)[0][0], 2);
    }

    #[test]
    fn a_batch_is_bounded_but_never_empty() {
        let queue = opened(Lane::Transactions);
        for tag in 0..4 {
            queue.push(frame(100, tag));
        }
        assert_eq!(queue.pop(250).len(), 2);
        assert_eq!(queue.pop(1), vec![frame(100, 2)]);
        assert_eq!(queue.pop(1_000), vec![frame(100, 3)]);
        assert!(queue.pop(1_000).is_empty());
    }

    #[test]
    fn a_closed_queue_takes_nothing_and_forgets() {
        let queue = SendQueue::new(Lane::Sync);
        assert_eq!(queue.push(frame(1, 1)), Push::Closed);
        queue.open();
        queue.push(frame(1, 1));
        queue.close();
        assert_eq!(queue.push(frame(1, 1)), Push::Closed);
        queue.open();
        assert!(queue.pop(10).is_empty());
    }
}
