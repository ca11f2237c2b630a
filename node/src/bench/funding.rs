//! Gives the senders what they need: one funder pays a few accounts, these pay further ones, and so
//! on, so that thousands are funded within a few blocks and no account has a long queue.

use std::time::Duration;

use alloy_primitives::{Address, U256, utils::format_ether};
use anyhow::{Result, bail};

use super::{
    account::{Account, Signed, Terms},
    chain,
};
use crate::jsonrpc::JsonRpc;

/// Accounts that one account pays in one round. Nodes limit how many transactions of one sender
/// may wait; the strictest known limit is 16.
const FAN_OUT: usize = 16;

/// Time for one round to get into blocks.
const PATIENCE: Duration = Duration::from_secs(60);

/// One payment of a round. The funder is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Payment {
    from: Option<usize>,
    to: usize,
}

/// Rounds of payments that reach the accounts 0..`accounts`, none before it has itself been paid.
fn rounds(accounts: usize) -> Vec<Vec<Payment>> {
    let mut rounds = Vec::new();
    let mut paid = 0;
    while paid < accounts {
        let payers = std::iter::once(None).chain((0..paid).map(Some));
        let payments = payers.flat_map(|from| std::iter::repeat_n(from, FAN_OUT));
        let round: Vec<Payment> = payments.zip(paid..accounts).map(|(from, to)| Payment { from, to }).collect();
        paid += round.len();
        rounds.push(round);
    }
    rounds
}

/// What each account must be paid so that it keeps `need` after it has paid others, and what the
/// funder pays in all, costs included.
fn amounts(rounds: &[Vec<Payment>], accounts: usize, need: U256, cost: U256) -> (Vec<U256>, U256) {
    let mut amounts = vec![need; accounts];
    let mut total = U256::ZERO;
    // Who is paid in a later round pays nobody in an earlier one, so backwards is bottom up.
    for payment in rounds.iter().flatten().rev() {
        let outlay = amounts[payment.to] + cost;
        match payment.from {
            Some(from) => amounts[from] += outlay,
            None => total += outlay,
        }
    }
    (amounts, total)
}

/// Sees to it that every sender owns at least `need`. Returns the block in which the last payment
/// is (0 when none was needed). `progress` is told how many are funded.
pub(super) async fn fund(
    node: &JsonRpc,
    funder: &Account,
    senders: &[Account],
    need: U256,
    terms: &Terms,
    progress: impl Fn(usize),
) -> Result<u64> {
    let addresses: Vec<Address> = senders.iter().map(|sender| sender.address).collect();
    let balances = chain::balances(node, &addresses).await?;
    let poor: Vec<&Account> =
        senders.iter().zip(balances).filter(|(_, balance)| *balance < need).map(|(sender, _)| sender).collect();
    let rounds = rounds(poor.len());
    let (amounts, total) = amounts(&rounds, poor.len(), need, terms.transfer_cost());
    let owned = chain::balances(node, &[funder.address]).await?[0];
    if owned < total {
        bail!(
            "the funder {} has {} ether, and funding {} senders takes {} ether: give --funder the \
             private key of a richer account, or use fewer --senders, a lower --rate or a shorter --duration",
            funder.address,
            format_ether(owned),
            poor.len(),
            format_ether(total)
        );
    }
    let mut done = senders.len() - poor.len();
    progress(done);
    let mut highest = 0;
    for round in rounds {
        let payments = sign(node, funder, &poor, &amounts, &round, terms).await?;
        highest = highest.max(chain::settle(node, &payments, PATIENCE).await?);
        done += round.len();
        progress(done);
    }
    Ok(highest)
}

async fn sign(
    node: &JsonRpc,
    funder: &Account,
    accounts: &[&Account],
    amounts: &[U256],
    round: &[Payment],
    terms: &Terms,
) -> Result<Vec<Signed>> {
    let account = |from: Option<usize>| from.map_or(funder, |index| accounts[index]);
    // The payments of one payer stand together.
    let payers: Vec<&[Payment]> = round.chunk_by(|a, b| a.from == b.from).collect();
    let addresses: Vec<Address> = payers.iter().map(|payments| account(payments[0].from).address).collect();
    let nonces = chain::nonces(node, &addresses).await?;
    let mut signed = Vec::with_capacity(round.len());
    for (payments, nonce) in payers.into_iter().zip(nonces) {
        for (nonce, payment) in (nonce..).zip(payments) {
            let (to, value) = (accounts[payment.to].address, amounts[payment.to]);
            signed.push(account(payment.from).transfer(terms, nonce, to, value));
        }
    }
    Ok(signed)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn everybody_is_paid_once_and_pays_only_what_it_got() {
        let (need, cost) = (U256::from(1_000), U256::from(7));
        for accounts in [0, 1, FAN_OUT, FAN_OUT + 1, 1_000, 10_000] {
            let rounds = rounds(accounts);
            let (amounts, total) = amounts(&rounds, accounts, need, cost);
            let mut balances = vec![U256::ZERO; accounts];
            let mut funder = total;
            for round in &rounds {
                let before = balances.clone();
                let mut spent = vec![U256::ZERO; accounts];
                for payment in round {
                    let outlay = amounts[payment.to] + cost;
                    match payment.from {
                        None => funder -= outlay,
                        Some(from) => spent[from] += outlay,
                    }
                    assert_eq!(balances[payment.to], U256::ZERO);
                    balances[payment.to] += amounts[payment.to];
                }
                for (index, spent) in spent.iter().enumerate() {
                    assert!(*spent <= before[index], "nobody pays ahead of being paid");
                    balances[index] -= *spent;
                }
            }
            assert!(balances.iter().all(|balance| *balance == need));
            assert_eq!(funder, U256::ZERO);
        }
        assert!(rounds(10_000).len() <= 4);
    }
}
