//! Messages of peers on their way to the state machine: small ones, votes above all, pass large ones.
//!
//! The network gives votes a stream of their own, but to read a block of some megabytes takes as long as to count
//! thousands of votes, and a peer may send one after the other. So blocks are set aside until the votes that are here
//! are taken. Not without end: a flood of votes must not keep out the leader's block either.

use std::collections::VecDeque;

use tokio::sync::mpsc;

use crate::network::{CONSENSUS_SMALL_MAX, Message};

/// So many small messages may pass a large one that waits.
const PASSING: usize = 64;

/// The messages that came. What waits here counts against its sender's budget like what waits in the channel.
#[derive(Debug)]
pub(super) struct Inbox {
    arrivals: mpsc::Receiver<Message>,
    large: VecDeque<Message>,
    /// Small ones taken since a large one waits.
    passed: usize,
}

/// Whether it is one that others pass.
pub(super) fn is_large(message: &Message) -> bool {
    message.bytes.len() > CONSENSUS_SMALL_MAX
}

impl Inbox {
    pub(super) const fn new(arrivals: mpsc::Receiver<Message>) -> Self {
        Self { arrivals, large: VecDeque::new(), passed: 0 }
    }

    /// The next message, if there is one.
    pub(super) fn try_recv(&mut self) -> Option<Message> {
        while self.large.is_empty() || self.passed < PASSING {
            let Ok(message) = self.arrivals.try_recv() else { break };
            if is_large(&message) {
                self.large.push_back(message);
                continue;
            }
            self.passed = if self.large.is_empty() { 0 } else { self.passed + 1 };
            return Some(message);
        }
        self.passed = 0;
        self.large.pop_front()
    }

    /// Waits for the next message; none when no more will come. Nothing is lost when the wait is given up.
    pub(super) async fn recv(&mut self) -> Option<Message> {
        loop {
            if let Some(message) = self.try_recv() {
                return Some(message);
            }
            let message = self.arrivals.recv().await?;
            if !is_large(&message) {
                return Some(message);
            }
            // Votes that came right behind it pass it.
            self.large.push_back(message);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use assent_consensus::PublicKey;

    fn message(tag: u8, length: usize) -> Message {
        Message::new(PublicKey([1; 32]), vec![tag; length])
    }

    fn inbox(messages: impl IntoIterator<Item = Message>) -> Inbox {
        let (sender, receiver) = mpsc::channel(4096);
        messages.into_iter().for_each(|message| sender.try_send(message).unwrap());
        Inbox::new(receiver)
    }

    fn tags(inbox: &mut Inbox) -> Vec<u8> {
        std::iter::from_fn(|| inbox.try_recv()).map(|message| message.bytes[0]).collect()
    }

    #[test]
    fn reliability_13_votes_pass_blocks_and_each_kind_keeps_its_order() {
        let (vote, block) = (|tag| message(tag, CONSENSUS_SMALL_MAX), |tag| message(tag, CONSENSUS_SMALL_MAX + 1));
        let mut inbox = inbox([block(1), vote(2), block(3), vote(4), vote(5)]);
        assert_eq!(tags(&mut inbox), [2, 4, 5, 1, 3]);
    }

    #[test]
    fn reliability_13_a_flood_of_votes_does_not_keep_out_a_block() {
        let flood = (0..10 * PASSING).map(|_| message(2, 100));
        let mut inbox = inbox([message(1, 1 << 20), message(3, 1 << 20)].into_iter().chain(flood));
        let tags = tags(&mut inbox);
        assert_eq!(tags.iter().position(|tag| *tag == 1), Some(PASSING));
        assert_eq!(tags.iter().position(|tag| *tag == 3), Some(2 * PASSING + 1));
        assert_eq!(tags.len(), 10 * PASSING + 2);
    }

    #[tokio::test]
    async fn everything_comes_and_then_the_end() {
        let mut inbox = inbox([message(1, 1 << 20), message(2, 1)]);
        let mut tags = Vec::new();
        while let Some(message) = inbox.recv().await {
            tags.push(message.bytes[0]);
        }
        assert_eq!(tags, [2, 1]);
    }
}
