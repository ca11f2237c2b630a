//! What is asked: a token with owners and logs, the same on each chain, and the requests about it.

use std::{net::SocketAddr, time::Duration};

use alloy::{
    primitives::{Address, Bytes, TxKind, U256},
    signers::local::PrivateKeySigner,
    sol_types::{SolCall, SolEvent},
};
use anyhow::{Context, Result, ensure};
use assent_tests::{
    accounts::{Account, Signed},
    contracts::{Token, token_creation},
    rpc::Rpc,
    wait,
};
use serde_json::{Value, json};

use crate::client::encode;

const LIMIT: Duration = Duration::from_secs(60);
/// Hardhat's second account, which owns ether on each chain. The first one pays for the load.
const OWNER: &str = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d";
/// Accounts that own tokens.
const HOLDERS: u64 = 20;
/// Transfers of tokens that each of them gets: as many logs does a request for its logs find.
const TRANSFERS: u64 = 5;
/// Requests for blocks ask for so many of the last ones.
const BLOCKS: u64 = 100;

/// The methods that are measured.
pub(crate) const METHODS: [&str; 4] = ["eth_getBalance", "eth_call", "eth_getBlockByNumber", "eth_getLogs"];

/// A chain with the token.
#[derive(Debug)]
pub(crate) struct Chain {
    /// Its RPC.
    pub(crate) rpc: Rpc,
    token: Address,
}

fn holder(number: u64) -> Address {
    Address::left_padding_from(&(0x70_0000 + number).to_be_bytes())
}

impl Chain {
    /// Deploys the token and makes its transfers.
    pub(crate) async fn prepare(rpc: &Rpc) -> Result<Self> {
        let key: PrivateKeySigner = OWNER.parse().context("the key of the token's owner")?;
        let mut owner = Account::with_signer(key);
        owner.nonce = rpc.nonce(owner.address()).await?;
        let token = owner.address().create(owner.nonce);
        let creation = owner.next(TxKind::Create, U256::ZERO, token_creation(), 1_000_000);
        let mut last = send(rpc, &owner, creation).await?;
        for transfer in 0..HOLDERS * TRANSFERS {
            let call = Token::transferCall { to: holder(transfer % HOLDERS), value: U256::from(1_000 + transfer) };
            let call = owner.next(TxKind::Call(token), U256::ZERO, call.abi_encode().into(), 100_000);
            last = send(rpc, &owner, call).await?;
        }
        let receipt =
            wait::until("the last transfer is in a block", LIMIT, async || rpc.receipt(last.hash).await).await?;
        ensure!(receipt["status"] == "0x1", "a transfer failed: {receipt:#}");
        let chain = Self { rpc: rpc.clone(), token };
        chain.check().await?;
        Ok(chain)
    }

    /// The answers are right, so that both chains do the same work.
    async fn check(&self) -> Result<()> {
        for number in 0..HOLDERS {
            let params = self.params("eth_call", number, 0);
            let balance: U256 = self.rpc.get("eth_call", params).await?;
            let expected: u64 = (0..TRANSFERS).map(|round| 1_000 + round * HOLDERS + number).sum();
            ensure!(balance == U256::from(expected), "{} has {balance} tokens, expected {expected}", holder(number));
            let logs: Vec<Value> = self.rpc.get("eth_getLogs", self.params("eth_getLogs", number, 0)).await?;
            ensure!(logs.len() as u64 == TRANSFERS, "found {} logs, expected {TRANSFERS}", logs.len());
        }
        Ok(())
    }

    fn params(&self, method: &str, number: u64, head: u64) -> Value {
        let holder = holder(number % HOLDERS);
        match method {
            "eth_getBalance" => json!([holder, "latest"]),
            "eth_call" => {
                let input = Bytes::from(Token::balanceOfCall { owner: holder }.abi_encode());
                json!([{"to": self.token, "input": input}, "latest"])
            }
            "eth_getBlockByNumber" => json!([format!("{:#x}", head.saturating_sub(number)), false]),
            _ => json!([{
                "fromBlock": "0x0",
                "toBlock": "latest",
                "address": self.token,
                "topics": [Token::Transfer::SIGNATURE_HASH, null, holder.into_word()],
            }]),
        }
    }

    /// Different requests of a method as they go over the wire, with the last blocks of this moment.
    pub(crate) async fn requests(&self, method: &str, server: SocketAddr) -> Result<Vec<Vec<u8>>> {
        let head = self.rpc.block_number().await?;
        let count = if method == "eth_getBlockByNumber" { BLOCKS.min(head) } else { HOLDERS };
        Ok((0..count).map(|number| encode(server, method, &self.params(method, number, head))).collect())
    }
}

async fn send(rpc: &Rpc, owner: &Account, transaction: alloy::consensus::TxEip1559) -> Result<Signed> {
    let signed = owner.sign(transaction)?;
    signed.submit(rpc).await?;
    Ok(signed)
}
