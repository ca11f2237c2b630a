//! A lane: one connection that submits its transactions in order, on time, in batches.
//!
//! The load is open: a transaction's time does not depend on answers to earlier ones. A lane has one
//! request under way at a time, because that alone keeps a sender's order; what comes due meanwhile
//! goes into the next batch, and the wait counts as latency. A node that is out of reach or too busy
//! gets the same transactions again, also at the cost of their latency.

use std::{collections::VecDeque, time::Duration};

use serde::de::IgnoredAny;
use tokio::time::{Instant, sleep_until};

use super::{Run, chain};
use crate::jsonrpc::{Batch, CallError, ErrorObject, JsonRpc};

/// Pause before transactions are sent again.
const BACKOFF: Duration = Duration::from_millis(100);

/// JSON-RPC's code for "too many requests", as Ethereum's nodes use it.
const LIMIT_EXCEEDED: i64 = -32005;

/// A transaction on its lane.
#[derive(Debug)]
pub(super) struct Item {
    /// Its number in the ledger.
    pub(super) index: u32,
    pub(super) due: Duration,
    pub(super) raw: Box<[u8]>,
    /// Whether the node may have got it already.
    pub(super) tried: bool,
}

/// How a lane submits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// Transactions in one request at most.
    pub(super) batch: usize,
    /// Least time between two requests, unless a full batch is due.
    pub(super) tick: Duration,
}

/// Transactions for one connection, in order.
pub(super) struct Lane {
    node: JsonRpc,
    pace: Pace,
    ahead: VecDeque<Item>,
    /// Why those at the front were not taken at their last attempt.
    trouble: Option<String>,
}

/// What an answer to a submission means.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Taken,
    Again,
    Refused,
}

impl Verdict {
    fn of(error: &ErrorObject, tried: bool) -> Self {
        let text = error.message.to_lowercase();
        if text.contains("already known") || text.contains("already imported") {
            return Self::Taken;
        }
        // The attempt without an answer got through, all the way into a block.
        if tried && text.contains("nonce too low") {
            return Self::Taken;
        }
        if error.code == LIMIT_EXCEEDED || text.contains("pool is full") || text.contains("account limit exceeded") {
            return Self::Again;
        }
        Self::Refused
    }
}

impl Lane {
    /// A lane to `node` for `items`, which are in the order of their times.
    pub(super) fn new(node: JsonRpc, pace: Pace, items: Vec<Item>) -> Self {
        Self { node, pace, ahead: items.into(), trouble: None }
    }

    /// Submits everything at its time; ends early when the run stops.
    pub(super) async fn run(mut self, run: &Run) {
        let mut not_before = run.start;
        while let Some(first) = self.ahead.front() {
            let wake = not_before.max(run.start + first.due);
            tokio::select! {
                () = sleep_until(wake) => {}
                () = run.stop_sending.cancelled() => break,
            }
            let round = self.collect(run);
            if round.is_empty() {
                continue;
            }
            let full = round.len() == self.pace.batch;
            let sent = Instant::now();
            let again = self.submit(run, round).await;
            not_before = if !again.is_empty() {
                Instant::now() + BACKOFF
            } else if full {
                sent
            } else {
                sent + self.pace.tick
            };
            for item in again.into_iter().rev() {
                self.ahead.push_front(item);
            }
        }
        self.close(run);
    }

    /// Takes what is due, up to a batch.
    fn collect(&mut self, run: &Run) -> Vec<Item> {
        let now = run.start.elapsed();
        let mut ledger = run.ledger.lock();
        let mut round = Vec::new();
        while round.len() < self.pace.batch
            && let Some(item) = self.ahead.pop_front_if(|item| item.due <= now)
        {
            if ledger.may_send(item.index) {
                ledger.sent(item.index, now);
                round.push(item);
            }
        }
        round
    }

    /// Sends one batch and returns what must be sent again.
    async fn submit(&mut self, run: &Run, round: Vec<Item>) -> Vec<Item> {
        let mut batch = Batch::default();
        for item in &round {
            batch.push("eth_sendRawTransaction", &chain::raw_params(&item.raw));
        }
        let answers = self.node.batch::<IgnoredAny>(batch).await;
        let mut again = Vec::new();
        let mut ledger = run.ledger.lock();
        let answers = match answers {
            Ok(answers) => answers,
            Err(error) => {
                let (error, transient) = whole(error);
                for mut item in round {
                    if transient {
                        item.tried = true;
                        ledger.retried(&error);
                        again.push(item);
                    } else {
                        ledger.refused(item.index, &error);
                    }
                }
                self.trouble = Some(error);
                return again;
            }
        };
        for (item, answer) in round.into_iter().zip(answers) {
            let Err(error) = answer else { continue };
            match Verdict::of(&error, item.tried) {
                Verdict::Taken => {}
                Verdict::Refused => ledger.refused(item.index, &error.message),
                Verdict::Again => {
                    ledger.retried(&error.message);
                    self.trouble = Some(error.message);
                    again.push(item);
                }
            }
        }
        again
    }

    /// Accounts for what will not be sent any more.
    fn close(self, run: &Run) {
        let mut ledger = run.ledger.lock();
        for item in self.ahead {
            // What the node may have got is found in a block, or is lost.
            ledger.skipped(item.index);
            if !item.tried
                && let Some(trouble) = &self.trouble
                && ledger.is_under_way(item.index)
            {
                ledger.refused(item.index, trouble);
            }
        }
    }
}

/// What a failure of a whole request means: its text, and whether to try again.
fn whole(error: CallError) -> (String, bool) {
    match error {
        CallError::Unreachable { reason, .. } => (format!("no answer: {reason}"), true),
        CallError::Refused { error, .. } => {
            let transient = Verdict::of(&error, false) == Verdict::Again;
            (error.message, transient)
        }
        foreign => (foreign.to_string(), true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart() {
        let verdict = |code, message: &str, tried| {
            let message = message.to_string();
            Verdict::of(&ErrorObject { code, message }, tried)
        };
        assert_eq!(verdict(-32000, "already known", false), Verdict::Taken);
        assert_eq!(verdict(-32000, "nonce too low", false), Verdict::Refused);
        assert_eq!(verdict(-32000, "nonce too low: next 5", true), Verdict::Taken);
        assert_eq!(verdict(-32005, "limit exceeded", false), Verdict::Again);
        assert_eq!(verdict(-32000, "txpool is full", false), Verdict::Again);
        assert_eq!(verdict(-32000, "insufficient funds", true), Verdict::Refused);
    }
}
