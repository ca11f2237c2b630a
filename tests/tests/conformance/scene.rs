//! What happens on the network before anything is asked: a transaction of each type, each way to fail, creations, and
//! more logs than fit on a page.

use std::time::Duration;

use alloy::{
    eips::eip2930::{AccessList, AccessListItem},
    primitives::{Address, B256, Bytes, TxKind, U256, hex},
    sol_types::SolCall,
};
use anyhow::{Context, Result, ensure};
use assent_tests::{
    accounts::{Account, Signed},
    contracts::{Counter, counter_creation},
    devnet::Devnet,
    ports,
    rpc::Rpc,
    turn::Turn,
    wait,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::orders::{self, Order};

const LIMIT: Duration = Duration::from_secs(30);

/// Logs that the call of the emitter makes in its loop; it adds one without topics and one with four.
pub(crate) const LOOPED_LOGS: u64 = 200;

/// Transfers in each of the rounds that make the history of [`Scene::busy`] long.
const ROUND: u64 = 14;
/// Such rounds, one after the other.
const ROUNDS: u64 = 3;

/// What the payer hands on, in wei.
pub(crate) const PAID: u64 = 9;

/// Counts down from the number that it is called with and logs each: LOG2(number; caller, number). Then a log without
/// topics and data, and one with four topics.
const EMITTER: &str = concat!(
    "600035",             // 00: CALLDATALOAD(0)
    "5b",                 // 03: JUMPDEST
    "8015601b57",         // 04: to 1b when it is zero
    "80600052",           // 09: MSTORE(0, number)
    "8033",               // 0d: the topics: number, and before it CALLER
    "60206000a2",         // 0f: LOG2(0, 32)
    "600190036003",       // 14: number - 1, and where the loop begins
    "56",                 // 1a: JUMP
    "5b60006000a0",       // 1b: LOG0(0, 0)
    "3333333360006000a4", // 21: LOG4(0, 0), CALLER four times
    "00",                 // 2a: STOP
);

/// CREATE of the code that it is called with, with the value that it is sent.
const FACTORY: &str = concat!("366000600037", "36600034f0", "00");

/// Hands the value that it is sent to the address that it is called with.
const PAYER: &str = concat!("6000600060006000", "34", "600035", "5af100");

/// Code of a creation that ends itself within it.
pub(crate) const GONE_AT_ONCE: &str = "33ff";

/// A transaction that was sent, and what must come of it.
#[derive(Clone, Debug)]
pub(crate) struct Played {
    /// What it is.
    pub(crate) what: &'static str,
    /// Hash and bytes.
    pub(crate) signed: Signed,
    /// Its type.
    pub(crate) kind: u8,
    /// Whether it succeeds.
    pub(crate) succeeds: bool,
    /// Whether it creates a contract, or tries to.
    pub(crate) creates: bool,
    /// How many logs it leaves.
    pub(crate) logs: u64,
}

/// A network on which all that has happened.
#[derive(Debug)]
pub(crate) struct Scene {
    devnet: Devnet,
    /// The node that is asked.
    pub(crate) node: Rpc,
    /// Every transaction but the transfers of [`Self::busy`].
    pub(crate) played: Vec<Played>,
    /// The funded accounts. The first one sent most of the transactions.
    pub(crate) accounts: Vec<Account>,
    /// The counter of [`assent_tests::contracts`].
    pub(crate) counter: Address,
    /// Makes many logs.
    pub(crate) emitter: Address,
    /// Creates contracts.
    pub(crate) factory: Address,
    /// Hands on what it is sent.
    pub(crate) payer: Address,
    /// The account that let the counter's code act for it.
    pub(crate) delegating: Address,
    /// A transaction that waits for one before it.
    pub(crate) waiting: Signed,
    /// An account with a long history, and its transfers in order.
    pub(crate) busy: (Address, Vec<B256>),
    _folder: TempDir,
    _turn: Turn,
}

/// Somebody who has nothing and sends nothing.
pub(crate) const SOMEBODY: Address = Address::repeat_byte(0x5b);

/// Input of a call that adds to the counter.
pub(crate) fn add(amount: u64) -> Bytes {
    Counter::addCall { amount: U256::from(amount) }.abi_encode().into()
}

/// The input that makes the emitter loop so often.
pub(crate) fn looping(times: u64) -> Bytes {
    U256::from(times).to_be_bytes_vec().into()
}

/// Code that deploys this contract.
fn deploying(code: &str) -> Result<Bytes> {
    let code = hex::decode(code)?;
    // PUSH1 length, DUP1, PUSH1 11, PUSH1 0, CODECOPY, PUSH1 0, RETURN
    let mut creation = vec![0x60, u8::try_from(code.len())?, 0x80, 0x60, 11, 0x60, 0, 0x39, 0x60, 0, 0xf3];
    creation.extend(code);
    Ok(creation.into())
}

impl Scene {
    /// Starts a network and plays everything.
    pub(crate) async fn play() -> Result<Self> {
        let turn = Turn::take().await?;
        let folder = tempfile::tempdir()?;
        let (home, log) = (folder.path().join("net"), folder.path().join("log"));
        let devnet = Devnet::start(&home, ports::free_offset(4)?, &[], &log).await?;
        let node = devnet.rpcs()?.into_iter().next().context("a network without nodes")?;
        let mut accounts = Vec::new();
        for account in &devnet.description.accounts {
            accounts.push(Account::with_signer(account.private_key.parse().context("a key of devnet.json")?));
        }
        ensure!(accounts.len() >= 10, "devnet.json has {} accounts", accounts.len());
        let owner = accounts[0].address();
        let [counter, emitter, factory, payer] = [0, 1, 2, 3].map(|nonce| owner.create(nonce));
        let delegating = accounts[5].address();
        let waiting = {
            let account = &mut accounts[8];
            account.nonce = 3;
            account.transfer(SOMEBODY, U256::ONE)?
        };
        let busy = (accounts[9].address(), Vec::new());
        let played = Vec::new();
        let (_folder, _turn) = (folder, turn);
        let mut scene = Self {
            devnet,
            node,
            played,
            accounts,
            counter,
            emitter,
            factory,
            payer,
            delegating,
            waiting,
            busy,
            _folder,
            _turn,
        };
        let deployed = scene.deployments()?;
        scene.send(deployed).await?;
        let mut others = scene.types()?;
        others.extend(scene.failures()?);
        others.extend(scene.creations()?);
        scene.send(others).await?;
        scene.be_busy().await?;
        scene.waiting.submit(&scene.node).await?;
        scene.is_what_it_says().await?;
        Ok(scene)
    }

    /// Ends the network.
    pub(crate) async fn finish(mut self) -> Result<()> {
        self.devnet.stop(LIMIT).await
    }

    /// The transaction of this name.
    pub(crate) fn find(&self, what: &str) -> Result<&Played> {
        self.played.iter().find(|played| played.what == what).with_context(|| format!("nobody sent: {what}"))
    }

    /// Address of the account that sent most of the transactions.
    pub(crate) fn owner(&self) -> Address {
        self.accounts[0].address()
    }

    /// The next transaction of an account.
    fn played(&mut self, what: &'static str, by: usize, kind: u8, order: Order) -> Result<Played> {
        let creates = order.to == TxKind::Create;
        let signed = orders::sign(&mut self.accounts[by], kind, order)?;
        Ok(Played { what, signed, kind, succeeds: true, creates, logs: 0 })
    }

    fn deployments(&mut self) -> Result<Vec<Played>> {
        Ok(vec![
            self.played("creation of the counter", 0, 2, Order::create(counter_creation()))?,
            self.played("creation of the emitter", 0, 2, Order::create(deploying(EMITTER)?))?,
            self.played("creation of the factory", 0, 1, Order::create(deploying(FACTORY)?))?,
            self.played("creation of the payer", 0, 0, Order::create(deploying(PAYER)?))?,
        ])
    }

    /// One or more of each type.
    fn types(&mut self) -> Result<Vec<Played>> {
        let (counter, emitter) = (self.counter, self.emitter);
        let slots = AccessListItem { address: counter, storage_keys: vec![B256::ZERO, B256::repeat_byte(1)] };
        let list = AccessList(vec![slots, AccessListItem { address: SOMEBODY, storage_keys: Vec::new() }]);
        let delegation = orders::delegation(&self.accounts[5], counter, 0)?;
        let refused = orders::delegation(&self.accounts[6], counter, 99)?;
        let delegating = self.delegating;
        Ok(vec![
            self.played("legacy transfer", 1, 0, Order::call(SOMEBODY, Bytes::new()).paying(1))?,
            self.played("legacy call", 1, 0, Order::call(counter, add(5)))?.with_logs(1),
            self.played("call with an access list", 2, 1, Order::call(counter, add(7)).listing(list.clone()))?
                .with_logs(1),
            self.played("transfer with an empty access list", 2, 1, Order::call(SOMEBODY, Bytes::new()).paying(2))?,
            self.played("transfer", 3, 2, Order::call(SOMEBODY, Bytes::new()).paying(3))?,
            self.played("call with fees and an access list", 3, 2, Order::call(counter, add(1)).listing(list))?
                .with_logs(1),
            self.played("transfer with data", 3, 2, Order::call(SOMEBODY, Bytes::from_static(b"\x00note")).paying(4))?,
            self.played("delegation", 4, 4, Order::call(delegating, add(3)).allowing(vec![delegation, refused]))?
                .with_logs(1),
            self.played("many logs", 3, 2, Order::call(emitter, looping(LOOPED_LOGS)))?.with_logs(LOOPED_LOGS + 2),
        ])
    }

    /// Each way to fail.
    fn failures(&mut self) -> Result<Vec<Played>> {
        let counter = self.counter;
        let bytes = |code: &str| hex::decode(code).map(Bytes::from);
        let all = vec![
            self.played("revert with a reason", 0, 2, Order::call(counter, add(0)))?,
            self.played("legacy revert with a reason", 1, 0, Order::call(counter, add(0)))?,
            self.played("revert without data", 0, 2, Order::call(counter, bytes("deadbeef")?))?,
            self.played("out of gas", 0, 2, Order::call(counter, add(1)).within(24_000))?,
            self.played("creation that reverts", 0, 2, Order::create(bytes("60006000fd")?))?,
            self.played("creation with an invalid instruction", 0, 2, Order::create(bytes("fe")?).within(100_000))?,
            // Code that begins with ef is refused.
            self.played("creation of invalid code", 0, 1, Order::create(bytes("60ef60005360016000f3")?))?,
        ];
        Ok(all.into_iter().map(Played::failing).collect())
    }

    /// Creations that leave something unusual, and what contracts do inside.
    fn creations(&mut self) -> Result<Vec<Played>> {
        let (factory, payer) = (self.factory, self.payer);
        let gone = Bytes::from(hex::decode(GONE_AT_ONCE)?);
        let logging = Bytes::from(hex::decode("60006000a000")?);
        let somebody = Bytes::from(SOMEBODY.into_word().0);
        Ok(vec![
            self.played("creation that leaves no code and a log", 0, 0, Order::create(logging))?.with_logs(1),
            self.played("creation that ends itself", 0, 2, Order::create(gone.clone()).paying(5))?,
            self.played("creation by a contract", 0, 2, Order::call(factory, counter_creation()).paying(2))?,
            self.played("creation by a contract that ends itself", 0, 2, Order::call(factory, gone).paying(3))?,
            self.played("payment by a contract", 0, 2, Order::call(payer, somebody).paying(PAID))?,
        ])
    }

    /// Submits these, and waits until all of them are final.
    async fn send(&mut self, all: Vec<Played>) -> Result<()> {
        for played in &all {
            played.signed.submit(&self.node).await.with_context(|| played.what)?;
        }
        for played in &all {
            self.wait_for(played.what, played.signed.hash).await?;
        }
        self.played.extend(all);
        Ok(())
    }

    async fn wait_for(&self, what: &str, hash: B256) -> Result<()> {
        wait::until_true(format!("{what} is final"), LIMIT, async || {
            Ok::<_, anyhow::Error>(self.node.receipt(hash).await?.is_some())
        })
        .await
    }

    /// Makes the history that fills more than one page: rounds of transfers, none begun before the one before is final.
    async fn be_busy(&mut self) -> Result<()> {
        for _ in 0..ROUNDS {
            for _ in 0..ROUND {
                let transfer = self.accounts[9].transfer(SOMEBODY, U256::ONE)?;
                transfer.submit(&self.node).await?;
                self.busy.1.push(transfer.hash);
            }
            let last = self.busy.1.last().context("no transfer in a round")?;
            self.wait_for("the last transfer of a round", *last).await?;
        }
        Ok(())
    }

    /// Every transaction came to the end that it was sent for.
    async fn is_what_it_says(&self) -> Result<()> {
        for played in &self.played {
            let receipt = self.receipt(played).await?;
            let status = if played.succeeds { "0x1" } else { "0x0" };
            ensure!(receipt["status"] == status, "{}: {receipt:#}", played.what);
            ensure!(receipt["type"] == format!("{:#x}", played.kind), "{}: {receipt:#}", played.what);
            let logs = receipt["logs"].as_array().context("no logs")?.len() as u64;
            ensure!(logs == played.logs, "{}: {logs} logs, expected {}", played.what, played.logs);
            ensure!(receipt["contractAddress"].is_null() != played.creates, "{}: {receipt:#}", played.what);
        }
        Ok(())
    }

    /// The receipt of a transaction.
    pub(crate) async fn receipt(&self, played: &Played) -> Result<Value> {
        self.node.receipt(played.signed.hash).await?.with_context(|| format!("no receipt: {}", played.what))
    }

    /// Numbers of the blocks with transactions, in order, each once.
    pub(crate) async fn blocks(&self) -> Result<Vec<u64>> {
        let mut numbers = Vec::new();
        for hash in self.played.iter().map(|played| &played.signed.hash).chain(&self.busy.1) {
            let receipt = self.node.receipt(*hash).await?.context("no receipt")?;
            numbers.push(orders::quantity(&receipt["blockNumber"])?);
        }
        numbers.sort_unstable();
        numbers.dedup();
        Ok(numbers)
    }

    /// The next call to the counter, not submitted.
    pub(crate) fn unsent(&mut self) -> Result<Signed> {
        let order = Order::call(self.counter, add(1));
        orders::sign(&mut self.accounts[0], 2, order)
    }

    /// A call to the counter as `eth_call` takes it.
    pub(crate) fn call_of_counter(&self, amount: u64) -> Value {
        json!({"from": self.owner(), "to": self.counter, "input": add(amount)})
    }
}

impl Played {
    fn with_logs(mut self, logs: u64) -> Self {
        self.logs = logs;
        self
    }

    fn failing(mut self) -> Self {
        self.succeeds = false;
        self
    }
}
