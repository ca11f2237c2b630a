//! A chain with one of everything that the explorer shows, hostile things among them, for the browser's programs.

use std::time::Duration;

use alloy::{
    primitives::{Address, B256, Bytes, TxKind, U256},
    signers::local::PrivateKeySigner,
    sol_types::SolCall,
};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::{
    accounts::{Account, Signed},
    contracts::{Counter, counter_creation},
    devnet::Devnet,
    rpc::Rpc,
    token::{self, Token, Words},
    wait,
};

/// Each transaction must be final this long after it was sent.
const LIMIT: Duration = Duration::from_secs(30);
/// Transactions in one request.
const BATCH: usize = 100;
/// Gas for whatever a contract does here.
const GAS: u64 = 2_000_000;
/// What every token has of its own.
const SUPPLY: u64 = 1_000_000_000;

/// What a hostile token calls itself. If one of these runs, a dialog opens and the test fails.
fn hostile() -> Words {
    Words {
        name: "<script>alert('name')</script>".into(),
        symbol: "\"><img src=x onerror=alert(1)>".into(),
        reason: "'\"><svg onload=alert('reason')></svg><a href=javascript:alert(2)>".into(),
    }
}

/// A name without a space in it, which must not make a page wider, with characters that turn the direction of text.
fn long() -> Words {
    Words { name: format!("\u{202e}{}", "W".repeat(400)), symbol: "M".repeat(80), reason: "no".into() }
}

/// A token as it should be.
fn ordinary() -> Words {
    Words { name: "Harbour Credit".into(), symbol: "HBR".into(), reason: "not that much".into() }
}

/// Writes transactions of one account, and waits until all are final.
struct Writer<'a> {
    rpc: &'a Rpc,
    account: Account,
}

impl Writer<'_> {
    async fn send(&mut self, to: TxKind, value: u64, input: Bytes) -> Result<B256> {
        let transaction = self.account.next(to, U256::from(value), input, GAS);
        let signed = self.account.sign(transaction)?;
        signed.submit(self.rpc).await?;
        finally(self.rpc, signed.hash).await?;
        Ok(signed.hash)
    }

    /// Deploys a contract; the transaction and the contract's address.
    async fn deploy(&mut self, code: Bytes) -> Result<(B256, Address)> {
        let address = self.account.address().create(self.account.nonce);
        Ok((self.send(TxKind::Create, 0, code).await?, address))
    }

    async fn call(&mut self, to: Address, call: impl SolCall) -> Result<B256> {
        self.send(TxKind::Call(to), 0, call.abi_encode().into()).await
    }
}

/// The receipt of a transaction, once it is there.
async fn finally(rpc: &Rpc, hash: B256) -> Result<Value> {
    wait::until(format!("{hash} is final"), LIMIT, async || rpc.receipt(hash).await).await
}

/// Puts one of everything on the chain and tells what is where. Only for a network on which nothing was sent before.
pub async fn arrange(devnet: &Devnet) -> Result<Value> {
    let rpc = first(devnet)?;
    let mut accounts = accounts(devnet)?;
    ensure!(accounts.len() > 2, "a devnet funds more accounts than {}", accounts.len());
    let (holder, recipient) = (accounts[1].address(), Address::repeat_byte(0xab));
    let mut writer = Writer { rpc: &rpc, account: accounts.remove(0) };
    let sender = writer.account.address();

    let transfer = writer.send(TxKind::Call(recipient), 1_500_000_000_000_000_000, Bytes::new()).await?;
    let (creation, counter) = writer.deploy(counter_creation()).await?;
    let call = writer.call(counter, Counter::addCall { amount: U256::from(5) }).await?;
    let reverted = writer.call(counter, Counter::addCall { amount: U256::ZERO }).await?;
    let input: Bytes = "<script>alert('input')</script><img src=x onerror=alert(3)>".as_bytes().into();
    let hostile_input = writer.send(TxKind::Call(recipient), 0, input.clone()).await?;

    let token = Issue::of(&mut writer, ordinary(), holder).await?;
    let evil = Issue::of(&mut writer, hostile(), holder).await?;
    let wide = Issue::of(&mut writer, long(), holder).await?;
    let block = finally(&rpc, token.transfer).await?;

    let mut spare = Vec::new();
    for _ in 0..8 {
        let Signed { hash, raw } = writer.account.transfer(recipient, U256::from(1))?;
        spare.push(json!({ "hash": hash, "raw": raw }));
    }
    let mut facts = whereabouts(devnet)?;
    facts["spare"] = json!(spare);
    facts["block"] = json!({
        "number": block["blockNumber"].as_str().and_then(quantity).context("a receipt without a block")?,
        "hash": block["blockHash"],
    });
    facts["transactions"] = json!({
        "transfer": transfer, "creation": creation, "call": call, "reverted": reverted, "hostileInput": hostile_input,
        "tokenTransfer": token.transfer, "tokenReverted": token.reverted,
        "hostileTransfer": evil.transfer, "hostileReverted": evil.reverted,
        "wideTransfer": wide.transfer, "wideReverted": wide.reverted,
    });
    facts["addresses"] = json!({
        "sender": sender, "recipient": recipient, "holder": holder, "empty": Address::repeat_byte(0xcd),
        "counter": counter, "token": token.address, "hostileToken": evil.address, "wideToken": wide.address,
    });
    for (name, words) in [("token", ordinary()), ("hostileToken", hostile()), ("wideToken", long())] {
        facts[name] = json!({ "name": words.name, "symbol": words.symbol, "reason": words.reason });
    }
    facts["token"]["code"] = json!(Bytes::from(token::runtime(&ordinary(), SUPPLY)));
    facts["hostileInput"] = json!(input);
    Ok(facts)
}

/// A token that was issued and used.
struct Issue {
    address: Address,
    transfer: B256,
    reverted: B256,
}

impl Issue {
    async fn of(writer: &mut Writer<'_>, words: Words, holder: Address) -> Result<Self> {
        let (_, address) = writer.deploy(token::creation(&words, SUPPLY)).await?;
        let value = U256::from(12_500_000);
        let transfer = writer.call(address, Token::transferCall { to: holder, value }).await?;
        let reverted = writer.call(address, Token::transferCall { to: holder, value: U256::MAX }).await?;
        Ok(Self { address, transfer, reverted })
    }
}

/// Sends `count` transfers of 1 wei to one address that has nothing yet, from all funded accounts but the first, which
/// have sent nothing yet, and waits until all are final.
pub async fn crowd(devnet: &Devnet, address: Address, count: usize) -> Result<()> {
    let rpc = first(devnet)?;
    let mut accounts = accounts(devnet)?.split_off(1);
    let (mut sent, senders) = (0, accounts.len());
    ensure!(senders > 0, "a devnet funds more accounts than one");
    while sent < count {
        let mut calls = Vec::with_capacity(BATCH);
        while calls.len() < BATCH && sent < count {
            let signed = accounts[sent % senders].transfer(address, U256::from(1))?;
            calls.push(("eth_sendRawTransaction", json!([signed.raw])));
            sent += 1;
        }
        for answer in rpc.batch(&calls).await? {
            answer.context("a transfer of the crowd")?;
        }
    }
    let all = U256::from(count);
    wait::until_true(format!("{count} transfers are final"), LIMIT, async || {
        Ok::<_, anyhow::Error>(rpc.balance(address).await? == all)
    })
    .await
}

/// Where the explorer and the RPC are, and who validates: the facts that need nothing on the chain.
pub fn whereabouts(devnet: &Devnet) -> Result<Value> {
    let node = devnet.description.nodes.first().context("no node")?;
    let explorer = node.explorer.as_deref().context("devnet.json names no explorer for node 0")?;
    let validators: Vec<&str> = devnet.description.nodes.iter().map(|node| node.name.as_str()).collect();
    Ok(json!({ "explorer": explorer, "rpc": node.rpc, "validators": validators }))
}

fn first(devnet: &Devnet) -> Result<Rpc> {
    Rpc::new(&devnet.description.nodes.first().context("no node")?.rpc)
}

/// The devnet's funded accounts.
fn accounts(devnet: &Devnet) -> Result<Vec<Account>> {
    let keys = devnet.description.accounts.iter().map(|account| &account.private_key);
    keys.map(|key| Ok(Account::with_signer(key.parse::<PrivateKeySigner>()?))).collect()
}

/// A number as JSON-RPC writes it.
fn quantity(text: &str) -> Option<u64> {
    u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}
