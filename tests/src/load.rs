//! Transfers that go on in the background while a test does something to the network.
//!
//! Not for measuring: `assent bench` does that.

use std::time::Duration;

use alloy::primitives::{Address, B256, U256};
use anyhow::{Context, Result};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, MissedTickBehavior, interval, timeout},
};

use crate::{
    accounts::{Account, Signed},
    checks,
    rpc::{CallError, Rpc},
    wait,
};

/// All transfers of a load must be final this long after all nodes are back.
const SETTLING: Duration = Duration::from_secs(60);

/// A node that has not answered after this time is passed over.
const PATIENCE: Duration = Duration::from_secs(1);

/// Accounts that transfers go to, in turn.
const RECIPIENTS: usize = 64;

/// Transfers in the background.
#[derive(Debug)]
pub struct Load {
    stop: watch::Sender<bool>,
    task: JoinHandle<Vec<Signed>>,
}

impl Load {
    /// Sends `per_second` transfers of 1 wei from `accounts` in turn to `nodes` in turn. A node that does
    /// not answer is passed over; a transaction counts as sent when one node took it.
    pub fn start(nodes: &[&Rpc], accounts: Vec<Account>, per_second: u32) -> Self {
        let nodes: Vec<Rpc> = nodes.iter().map(|node| (*node).clone()).collect();
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(send_all(nodes, accounts, per_second, stopped));
        Self { stop, task }
    }

    /// Ends the load and returns everything that a node took.
    pub async fn stop(self) -> Result<Vec<Signed>> {
        self.stop.send_replace(true);
        self.task.await.context("the load ended by itself")
    }

    /// Ends the load, then waits until each of its transactions is final and has the same receipt on each
    /// of `nodes`, all of which must be up. What only a node that died had taken is handed in once more,
    /// as a client would do.
    pub async fn settle(self, nodes: &[&Rpc]) -> Result<Vec<B256>> {
        let sent = self.stop().await?;
        let deadline = Instant::now() + SETTLING;
        for transaction in &sent {
            settle_one(nodes, transaction, deadline).await?;
        }
        let hashes: Vec<B256> = sent.iter().map(|transaction| transaction.hash).collect();
        checks::same_receipts(nodes, &hashes).await?;
        Ok(hashes)
    }
}

async fn settle_one(nodes: &[&Rpc], transaction: &Signed, deadline: Instant) -> Result<()> {
    for node in nodes {
        if node.receipt(transaction.hash).await?.is_some() {
            continue;
        }
        // A refusal is no matter: it may be known, or final since.
        if let Err(lost @ CallError::Transport(_)) = transaction.submit(node).await {
            return Err(lost).with_context(|| format!("{} is not up", node.url()));
        }
        let what = format!("{} is final at {}", transaction.hash, node.url());
        let left = deadline.saturating_duration_since(Instant::now());
        wait::until_true(what, left, async || Ok::<_, anyhow::Error>(node.receipt(transaction.hash).await?.is_some()))
            .await?;
    }
    Ok(())
}

async fn send_all(
    nodes: Vec<Rpc>,
    mut accounts: Vec<Account>,
    per_second: u32,
    stopped: watch::Receiver<bool>,
) -> Vec<Signed> {
    let mut sent = Vec::new();
    let mut tick = interval(Duration::from_secs(1) / per_second.max(1));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let count = accounts.len().max(1);
    for turn in 0usize.. {
        tick.tick().await;
        if *stopped.borrow() {
            break;
        }
        let Some(account) = accounts.get_mut(turn % count) else {
            break;
        };
        let before = account.nonce;
        let Ok(transaction) = account.transfer(recipient(turn), U256::from(1)) else {
            break;
        };
        if taken_by_one(&nodes, turn, &transaction).await {
            sent.push(transaction);
        } else {
            account.nonce = before;
        }
    }
    sent
}

/// Offers the transaction to one node after the other, beginning with another one each time.
async fn taken_by_one(nodes: &[Rpc], turn: usize, transaction: &Signed) -> bool {
    for step in 0..nodes.len() {
        let node = &nodes[(turn + step) % nodes.len()];
        match timeout(PATIENCE, transaction.submit(node)).await {
            Ok(Ok(())) => return true,
            // It was taken by a node that then did not answer any more.
            Ok(Err(CallError::Refused(refusal)))
                if ["already known", "nonce too low"].contains(&refusal.message.as_str()) =>
            {
                return true;
            }
            // Refused, or no answer.
            Ok(Err(_)) | Err(_) => {}
        }
    }
    false
}

/// What all transfers of a network's loads have brought, in wei: one for each that was executed.
pub async fn received(node: &Rpc) -> Result<U256> {
    let mut sum = U256::ZERO;
    for turn in 0..RECIPIENTS {
        sum += node.balance(recipient(turn)).await?;
    }
    Ok(sum)
}

fn recipient(turn: usize) -> Address {
    Address::left_padding_from(&(0x1000 + turn % RECIPIENTS).to_be_bytes())
}
