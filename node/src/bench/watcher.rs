//! A watcher: reads the new blocks of one node as soon as it serves them.
//!
//! A node that serves a block serves its receipts as well, so the moment at which the block answers
//! is the moment at which a user of this node can read the receipts in it.

use std::time::Duration;

use tokio::time::sleep;

use super::{Run, chain, ledger::SeenBlock};
use crate::jsonrpc::JsonRpc;

/// Pause after a failed look, so that a node that is down is not hammered.
const PAUSE: Duration = Duration::from_millis(50);

/// Tells the ledger of every block of the node at `url` (an index) after block `after`, until the
/// run stops. Returns how many looks failed.
pub(super) async fn watch(node: JsonRpc, url: usize, after: u64, poll: Duration, run: &Run) -> u64 {
    let mut next = after + 1;
    let mut failures = 0;
    while !run.stop_watching.is_cancelled() {
        let pause = match chain::block(&node, next).await {
            Ok(Some(block)) => {
                let seen = SeenBlock {
                    number: block.number.to(),
                    hash: block.hash,
                    transactions: block.transactions.len(),
                    at: run.start.elapsed(),
                };
                run.ledger.lock().block(url, seen, &block.transactions);
                next += 1;
                continue;
            }
            Ok(None) => poll,
            Err(_) => {
                failures += 1;
                PAUSE
            }
        };
        tokio::select! {
            () = sleep(pause) => {}
            () = run.stop_watching.cancelled() => {}
        }
    }
    failures
}
