//! What the pool's tests share: drafts of transactions, accounts, and the check of everything
//! that must hold at all times.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use alloy_consensus::{SignableTransaction, TxEip1559};
use alloy_primitives::{Address, Signature, TxKind, U256};
use parking_lot::Mutex;
use revm::primitives::hardfork::SpecId;

use super::index::Indices;
use super::pool::{Pool, charge};
use super::sender::Keys;
use super::{Account, AccountSource, Mempool, MempoolLimits, PoolRules};
use crate::transaction::{Recovered, SignedTransaction, Transaction};

pub(crate) const CHAIN_ID: u64 = 31337;
pub(crate) const BLOCK_GAS: u64 = 30_000_000;

pub(crate) fn address(sender: u64) -> Address {
    let mut bytes = [0x11; 20];
    bytes[12..].copy_from_slice(&sender.to_be_bytes());
    Address::from(bytes)
}

/// A transfer of nothing at price zero, to be varied. Its signature is none: the sender is set.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    sender: u64,
    tx: TxEip1559,
}

impl Draft {
    pub(crate) fn new(sender: u64, nonce: u64) -> Self {
        let to = TxKind::Call(Address::repeat_byte(0xee));
        let tx = TxEip1559 { chain_id: CHAIN_ID, nonce, gas_limit: 21_000, to, ..Default::default() };
        Self { sender, tx }
    }

    pub(crate) fn fees(mut self, cap: u128, tip: u128) -> Self {
        (self.tx.max_fee_per_gas, self.tx.max_priority_fee_per_gas) = (cap, tip);
        self
    }

    pub(crate) fn price(self, price: u128) -> Self {
        self.fees(price, price)
    }

    pub(crate) fn value(mut self, value: u64) -> Self {
        self.tx.value = U256::from(value);
        self
    }

    pub(crate) fn to(mut self, to: Address) -> Self {
        self.tx.to = TxKind::Call(to);
        self
    }

    pub(crate) fn create(mut self) -> Self {
        self.tx.to = TxKind::Create;
        self
    }

    pub(crate) fn gas(mut self, gas: u64) -> Self {
        self.tx.gas_limit = gas;
        self
    }

    pub(crate) fn chain_id(mut self, chain_id: u64) -> Self {
        self.tx.chain_id = chain_id;
        self
    }

    pub(crate) fn input(mut self, input: Vec<u8>) -> Self {
        self.tx.input = input.into();
        self
    }

    pub(crate) fn recovered(&self) -> Recovered {
        // The sender is no part of a transaction, so the signature makes their hashes differ.
        let signature = Signature::new(U256::from(self.sender + 1), U256::from(1), false);
        let tx: Transaction = self.tx.clone().into_signed(signature).into();
        Recovered::from_trusted(SignedTransaction::encode(&tx).unwrap(), address(self.sender))
    }
}

/// Accounts by hand; those not set own plenty.
#[derive(Debug, Default)]
pub(crate) struct Accounts {
    pub(crate) known: Mutex<HashMap<Address, Account>>,
    pub(crate) reads: AtomicUsize,
}

pub(crate) const PLENTY: u128 = 1 << 100;

impl Accounts {
    pub(crate) fn set(&self, sender: u64, nonce: u64, balance: u128) -> (Address, Account) {
        let account = Account { nonce, balance: U256::from(balance), is_contract: false };
        self.known.lock().insert(address(sender), account);
        (address(sender), account)
    }

    pub(crate) fn get(&self, address: Address) -> Account {
        let plenty = Account { balance: U256::from(PLENTY), ..Account::default() };
        self.known.lock().get(&address).copied().unwrap_or(plenty)
    }
}

impl AccountSource for Accounts {
    fn account(&self, address: Address) -> Result<Account, Box<dyn std::error::Error + Send + Sync>> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        Ok(self.get(address))
    }
}

pub(crate) fn rules() -> PoolRules {
    PoolRules::new(CHAIN_ID, SpecId::PRAGUE, 0, 0, BLOCK_GAS)
}

pub(crate) fn pool_with(limits: MempoolLimits, rules: PoolRules) -> (Mempool, Arc<Accounts>) {
    let accounts = Arc::new(Accounts::default());
    let source: Arc<dyn AccountSource> = accounts.clone();
    (Mempool::open(limits, rules, source, None).unwrap(), accounts)
}

pub(crate) fn pool() -> (Mempool, Arc<Accounts>) {
    pool_with(MempoolLimits::default(), rules())
}

/// Checks everything that must hold at all times, from scratch.
pub(super) fn check_invariants(pool: &Pool) {
    let limits = pool.limits;
    let (mut count, mut executable, mut bytes, mut encoded) = (0, 0, 0, 0);
    let mut expected = Indices::default();
    for (sender, queue) in &pool.senders {
        assert!(!queue.is_empty(), "a sender without transactions is kept");
        assert!(queue.executable.len() <= limits.executable_per_sender);
        assert!(queue.queued.len() <= limits.queued_per_sender);
        let mut floor = u128::MAX;
        let mut spent = U256::ZERO;
        for (i, entry) in queue.executable.iter().enumerate() {
            assert_eq!(entry.tx.nonce(), queue.nonce + i as u64, "executable without a gap");
            floor = floor.min(entry.tip);
            assert_eq!(entry.floor, floor);
            spent += entry.cost;
        }
        assert_eq!(queue.spent, spent);
        assert!(spent <= queue.balance, "executable means paid for");
        let next = queue.next_nonce();
        for (nonce, entry) in &queue.queued {
            assert_eq!(entry.tx.nonce(), *nonce);
            assert!(*nonce >= next, "queued comes behind executable");
            assert!(entry.cost <= queue.balance);
        }
        if let Some(entry) = queue.queued.get(&next) {
            assert!(
                queue.executable.len() == limits.executable_per_sender || entry.cost > queue.unspent(),
                "what can be executable is"
            );
        }
        for entry in queue.executable.iter().chain(queue.queued.values()) {
            assert_eq!(entry.tx.sender(), *sender);
            assert!(Arc::ptr_eq(&pool.by_hash[entry.tx.hash()], &entry.tx));
            count += 1;
            bytes += charge(&entry.tx);
            encoded += entry.tx.size();
        }
        executable += queue.executable.len();
        let keys = queue.keys(*sender);
        assert_eq!(queue.indexed, keys);
        expected.update(*sender, &Keys::default(), &keys);
    }
    assert_eq!(pool.by_hash.len(), count);
    assert_eq!(pool.executable, executable);
    assert_eq!((pool.bytes, pool.encoded_bytes), (bytes, encoded));
    assert_eq!(pool.indices.heads, expected.heads);
    assert_eq!(pool.indices.executable_tails, expected.executable_tails);
    assert_eq!(pool.indices.queued_tails, expected.queued_tails);
    assert!(count <= limits.transactions && bytes <= limits.bytes, "limits hold");
}

/// Hashes by class, sender and nonce.
pub(super) type Contents = BTreeMap<(Address, u64), alloy_primitives::B256>;

/// The executable and the queued transactions.
pub(super) fn contents(pool: &Mempool) -> (Contents, Contents) {
    let (mut executable, mut queued) = (Contents::new(), Contents::new());
    for content in pool.content() {
        for tx in &content.executable {
            executable.insert((content.sender, tx.nonce()), *tx.hash());
        }
        for tx in &content.queued {
            queued.insert((content.sender, tx.nonce()), *tx.hash());
        }
    }
    let both: BTreeSet<_> = executable.values().chain(queued.values()).collect();
    assert_eq!(both.len(), executable.len() + queued.len(), "no transaction twice");
    (executable, queued)
}
