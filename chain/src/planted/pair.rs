//! Two chains from one genesis: in random turns one builds a block of random transactions, the other judges it, both
//! make it final. They must stay the same, each (sender, nonce) runs once, nothing is made or lost, and a block that
//! repeats a transaction is refused.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use alloy_consensus::{Header, SignableTransaction, TxEip1559, TxEnvelope};
use alloy_eips::eip2718::Encodable2718;
use alloy_genesis::GenesisAccount;
use alloy_primitives::{Address, Bytes, TxKind, U256, hex, keccak256};
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use assent_consensus::sim::Rng;
use assent_genesis::NetworkPlan;
use tempfile::TempDir;

use crate::block::{RecoveredBlock, transactions_root};
use crate::mempool::Origin;
use crate::transaction::Recovered;
use crate::{BlockError, BuildRequest, Chain, ChainOptions, ExecutedBlock, Seal, SealExpectation};

const CHAIN_ID: u64 = 31337;
const SENDERS: usize = 4;
const RICH: u64 = 1_000_000_000_000_000_000;
const FEES: Address = Address::repeat_byte(0xfe);

/// Blocks of one run.
const BLOCKS: u64 = 8;
/// Most transactions that are sent before each of them.
const SENT: u64 = 10;
/// With fewer transactions a run proves nothing.
const LEAST: usize = 10;

/// Stores the second word of its input in the slot that the first names, and TIMESTAMP in slot 255.
const CONTRACT: [u8; 12] = hex!("602035600035554260ff5500");

/// Plays one run; what did not hold, if anything.
pub(super) fn play(seed: u64) -> Option<String> {
    Pair::new(seed).run().err()
}

struct Pair {
    rng: Rng,
    signers: Vec<PrivateKeySigner>,
    chains: [Chain; 2],
    /// Each sender's last executed transaction.
    last: BTreeMap<Address, Arc<Recovered>>,
    /// Everybody whose account has changed.
    touched: BTreeSet<Address>,
    executed: usize,
    /// Dropped after the chains.
    _directory: TempDir,
}

fn text(error: impl Display) -> String {
    error.to_string()
}

impl Pair {
    fn new(seed: u64) -> Self {
        let signer = |index: usize| PrivateKeySigner::from_bytes(&keccak256(index.to_be_bytes())).unwrap();
        let signers: Vec<PrivateKeySigner> = (0..SENDERS).map(signer).collect();
        let mut plan = NetworkPlan::new(CHAIN_ID, vec![1; 4]);
        plan.timestamp = 1_700_000_000;
        let rich = GenesisAccount::default().with_balance(U256::from(RICH));
        plan.alloc = signers.iter().map(|signer| (signer.address(), rich.clone())).collect();
        let genesis = plan.build().unwrap().0;
        let directory = tempfile::tempdir().unwrap();
        let open = |name: &str| Chain::open(&directory.path().join(name), &genesis, &ChainOptions::default()).unwrap();
        let chains = [open("a"), open("b")];
        let mut touched: BTreeSet<Address> = signers.iter().map(|signer| signer.address()).collect();
        touched.insert(FEES);
        let rng = Rng::new(seed);
        Self { rng, signers, chains, last: BTreeMap::new(), touched, executed: 0, _directory: directory }
    }

    fn run(mut self) -> Result<(), String> {
        for _ in 0..BLOCKS {
            let maker = self.rng.index(2);
            self.send(maker)?;
            let block = self.build(maker)?;
            self.refuses_a_repetition(1 - maker, &block)?;
            let judged = self.validate(1 - maker, block.encoded()).map_err(text)?;
            if judged.block().header() != block.block().header() {
                return Err("one block has two headers".to_owned());
            }
            for chain in &self.chains {
                chain.finalize(block.hash(), &[]).map_err(text)?;
            }
            self.check(&block)?;
        }
        if self.executed < LEAST {
            return Err(format!("{} transactions in {BLOCKS} blocks", self.executed));
        }
        Ok(())
    }

    /// Random transactions into the pool of one of the chains, some with a nonce that is wrong.
    fn send(&mut self, to: usize) -> Result<(), String> {
        if self.chains[to].head().number == 0 {
            let raw = self.sign(0, creation(0));
            self.chains[to].pool().add_raw(raw, Origin::Local).map_err(text)?;
        }
        for _ in 0..self.rng.between(2, SENT) {
            let from = self.rng.index(SENDERS);
            let next = self.next_nonce(to, from)?;
            let nonce = match self.rng.below(10) {
                0 => next.saturating_sub(1),
                1 => next + 1,
                _ => next,
            };
            let tx = self.transaction(nonce);
            let raw = self.sign(from, tx);
            // The pool refuses some of them, as it should; enough are executed (`LEAST`).
            let _ = self.chains[to].pool().add_raw(raw, Origin::Local);
        }
        Ok(())
    }

    fn next_nonce(&self, chain: usize, from: usize) -> Result<u64, String> {
        let (chain, sender) = (&self.chains[chain], self.signers[from].address());
        let in_state = chain.latest_state().nonce(&sender).map_err(text)?;
        Ok(chain.pool().pending_nonce(sender).unwrap_or(in_state))
    }

    /// A transfer, a call of the contract, or another contract.
    fn transaction(&mut self, nonce: u64) -> TxEip1559 {
        match self.rng.below(10) {
            0..=4 => {
                let to = Address::repeat_byte(0x20 + u8::try_from(self.rng.below(8)).unwrap());
                TxEip1559 { to: TxKind::Call(to), value: U256::from(self.rng.below(1000)), ..plain(nonce) }
            }
            5..=8 => {
                let words = [self.rng.below(8), self.rng.below(3)];
                let input: Vec<u8> = words.iter().flat_map(|word| U256::from(*word).to_be_bytes::<32>()).collect();
                let contract = self.signers[0].address().create(0);
                TxEip1559 { to: TxKind::Call(contract), input: input.into(), gas_limit: 200_000, ..plain(nonce) }
            }
            _ => creation(nonce),
        }
    }

    fn sign(&self, from: usize, tx: TxEip1559) -> Bytes {
        let signature = self.signers[from].sign_hash_sync(&tx.signature_hash()).unwrap();
        TxEnvelope::from(tx.into_signed(signature)).encoded_2718().into()
    }

    fn build(&self, maker: usize) -> Result<Arc<ExecutedBlock>, String> {
        let head = self.chains[maker].head();
        let (view, time_ms) = (head.number + 1, head.time_ms + 100);
        let seal = Seal { view, time_ms, parent_certificate: keccak256(head.hash), ..Seal::default() };
        let time_budget = Duration::from_secs(60);
        let request = BuildRequest { parent: head.hash, seal, fee_recipient: FEES, empty: false, time_budget };
        self.chains[maker].build(request).map_err(text)
    }

    fn validate(&self, judge: usize, encoded: &Bytes) -> Result<Arc<ExecutedBlock>, BlockError> {
        let block = self.chains[judge].decode_block(encoded)?;
        let (expect, now_ms) = (SealExpectation::of(&block.seal), block.seal.time_ms);
        self.chains[judge].validate(block, &expect, now_ms, Duration::ZERO)
    }

    /// The same block with a transaction at its end that has run before is refused for that reason.
    fn refuses_a_repetition(&mut self, judge: usize, block: &ExecutedBlock) -> Result<(), String> {
        let mut last = self.last.clone();
        last.extend(block.block().transactions().iter().map(|tx| (tx.sender(), tx.clone())));
        let last: Vec<Arc<Recovered>> = last.into_values().collect();
        let Some(again) = last.get(self.rng.index(last.len())) else { return Ok(()) };
        match self.validate(judge, &with(block.block(), again.clone())) {
            Err(BlockError::Transaction { .. }) => Ok(()),
            Err(other) => Err(format!("nonce {} of {} was executed again: {other}", again.nonce(), again.sender())),
            Ok(_) => Err(format!("nonce {} of {} may be executed again", again.nonce(), again.sender())),
        }
    }

    /// What must hold after each final block.
    fn check(&mut self, block: &ExecutedBlock) -> Result<(), String> {
        let [a, b] = &self.chains;
        if a.head() != b.head() {
            return Err(format!("two heads: {:?} and {:?}", a.head(), b.head()));
        }
        for tx in block.block().transactions() {
            let expected = self.last.get(&tx.sender()).map_or(0, |last| last.nonce() + 1);
            if tx.nonce() != expected {
                return Err(format!("nonce {} of {} is executed, not {expected}", tx.nonce(), tx.sender()));
            }
            self.last.insert(tx.sender(), tx.clone());
            self.executed += 1;
        }
        self.touched.extend(block.diff().accounts.keys().copied());
        let state = a.latest_state();
        let mut supply = U256::ZERO;
        for address in &self.touched {
            supply += state.balance(address).map_err(text)?;
        }
        if supply != U256::from(RICH) * U256::from(SENDERS) {
            return Err(format!("all accounts together own {supply}"));
        }
        Ok(())
    }
}

/// A transaction to nobody in particular, which pays a little.
fn plain(nonce: u64) -> TxEip1559 {
    TxEip1559 {
        chain_id: CHAIN_ID,
        nonce,
        gas_limit: 21_000,
        max_fee_per_gas: 10,
        max_priority_fee_per_gas: 10,
        ..TxEip1559::default()
    }
}

/// Puts the contract there.
fn creation(nonce: u64) -> TxEip1559 {
    // CODECOPY(0, 11, length); RETURN(0, length)
    let length = u8::try_from(CONTRACT.len()).unwrap();
    let mut init = vec![0x60, length, 0x80, 0x60, 11, 0x60, 0, 0x39, 0x60, 0, 0xf3];
    init.extend_from_slice(&CONTRACT);
    TxEip1559 { to: TxKind::Create, input: init.into(), gas_limit: 500_000, ..plain(nonce) }
}

/// The block with one transaction more.
fn with(block: &RecoveredBlock, tx: Arc<Recovered>) -> Bytes {
    let mut transactions = block.transactions().to_vec();
    transactions.push(tx);
    let transactions_root = transactions_root(transactions.iter().map(|tx| tx.signed()));
    let header = Header { transactions_root, ..block.header().clone() };
    let block = RecoveredBlock::from_parts(header.hash_slow(), header, transactions, block.seal().clone());
    block.encoded().clone()
}
