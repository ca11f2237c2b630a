//! The real chain as what simulated nodes agree about, as the driver of a node uses it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use alloy::primitives::{Address, B256, Bytes, TxKind, U256, hex, keccak256};
use alloy::signers::local::PrivateKeySigner;
use assent::driver::{block_info, info};
use assent_chain::mempool::{Origin, PoolError};
use assent_chain::{
    BlockError, BuildError, BuildRequest, Chain, ChainOptions, ExecutedBlock, Head, Seal, SealExpectation,
};
use assent_consensus::core::Build;
use assent_consensus::sim::{Application, Built, FinalBlock, ideal_validators};
use assent_consensus::{BlockInfo, Hash, ValidatorIndex, ValidatorSet, View};
use assent_genesis::{Genesis, NetworkPlan, SecretKey, dev_accounts};
use assent_tests::accounts::{Account, CHAIN_ID, TRANSFER_GAS};
use tempfile::TempDir;

/// Accounts that send transactions, in turn.
const SENDERS: usize = 5;
/// Accounts that only receive.
const RECEIVERS: usize = 8;
/// One transaction in so many puts a contract there.
const CREATIONS: usize = 20;
/// Running transactions may take as long as it takes: a run does not depend on the pace of the machine.
const TIME_BUDGET: Duration = Duration::from_secs(3600);

/// Stores the second word of its input in the slot that the first names, and TIMESTAMP in slot 255.
const CONTRACT: [u8; 12] = hex!("602035600035554260ff5500");

/// What the nodes of a run share.
#[derive(Debug)]
pub(super) struct Network {
    genesis: Genesis,
    /// The block of view 0.
    root: BlockInfo,
    /// The hash of the validator set, which each seal names.
    set: B256,
    transactions: Mutex<Transactions>,
    /// Most transactions that one of the nodes executed.
    executed: AtomicU64,
}

impl Network {
    /// A network whose simulated validators have these weights. Nothing of it is drawn: one seed is one run.
    pub(super) fn new(weights: &[u64], seed: u64) -> Self {
        let mut plan = NetworkPlan::new(CHAIN_ID, weights.to_vec());
        plan.fund_dev_accounts = true;
        plan.fee_recipients = (0xf0..).take(weights.len()).map(Address::repeat_byte).collect();
        let key = |number: u8| SecretKey::from_seed(&[number; 32]).public();
        let keys: Vec<_> = (1..).take(weights.len()).map(|number| (Some(key(number)), key(0x80 + number))).collect();
        let genesis = plan.build_with(&keys).expect("the plan is valid");
        let root = info(genesis.hash(), &genesis.header(), &Seal::default());
        let set = B256::from(ideal_validators(weights, seed).0.hash().0);
        let transactions = Mutex::new(Transactions::new());
        Self { genesis, root, set, transactions, executed: AtomicU64::new(0) }
    }

    /// How many transactions one of the nodes executed at most; known at the end of the run.
    pub(super) fn executed(&self) -> u64 {
        self.executed.load(Ordering::Relaxed)
    }

    /// The transactions of the run from one number to another.
    fn transactions(&self, from: u64, to: u64) -> Vec<Bytes> {
        let position = |number| usize::try_from(number).expect("a run has few transactions");
        let (from, to) = (position(from), position(to));
        let mut transactions = self.transactions.lock().expect("nobody panics while signing");
        while transactions.signed.len() < to {
            transactions.sign_next();
        }
        transactions.signed[from..to].to_vec()
    }

    /// Everybody who can own anything.
    fn owners(&self) -> BTreeSet<Address> {
        let transactions = self.transactions.lock().expect("nobody panics while signing");
        let validators = self.genesis.assent.validators.iter().map(|validator| validator.fee_recipient);
        let funded = self.genesis.ethereum.alloc.keys().copied();
        let created = transactions.created.iter().copied();
        validators.chain(funded).chain(created).chain((0..RECEIVERS).map(receiver)).collect()
    }

    fn supply(&self) -> U256 {
        self.genesis.ethereum.alloc.values().map(|account| account.balance).sum()
    }
}

/// The transactions of a run, each signed once for all nodes.
#[derive(Debug)]
struct Transactions {
    accounts: Vec<Account>,
    signed: Vec<Bytes>,
    /// The contracts that they create.
    created: Vec<Address>,
}

impl Transactions {
    fn new() -> Self {
        let account = |key: B256| Account::with_signer(PrivateKeySigner::from_bytes(&key).expect("a key"));
        let accounts = dev_accounts().into_iter().take(SENDERS).map(|it| account(it.private_key)).collect();
        Self { accounts, signed: Vec::new(), created: Vec::new() }
    }

    /// A creation, a call of the first contract, or a transfer to a sender or to somebody else.
    fn sign_next(&mut self) {
        let number = self.signed.len();
        let contract = self.accounts[0].address().create(0);
        let neighbour = self.accounts[(number + 1) % SENDERS].address();
        let sender = &mut self.accounts[number % SENDERS];
        let value = U256::from(number);
        let mut tx = if number.is_multiple_of(CREATIONS) {
            self.created.push(sender.address().create(sender.nonce));
            sender.next(TxKind::Create, value, creation(), 500_000)
        } else {
            match number % 4 {
                0 | 1 => sender.next(TxKind::Call(contract), U256::ZERO, words([number % 8, number]), 200_000),
                2 => sender.next(TxKind::Call(neighbour), value, Bytes::new(), TRANSFER_GAS),
                _ => sender.next(TxKind::Call(receiver(number)), value, Bytes::new(), TRANSFER_GAS),
            }
        };
        // With unequal prices blocks do not simply follow the order of arrival.
        let price = [10, 11, 12][number % 3];
        (tx.max_fee_per_gas, tx.max_priority_fee_per_gas) = (price, price);
        self.signed.push(sender.sign(tx).expect("a key of this process signs").raw);
    }
}

fn receiver(number: usize) -> Address {
    Address::repeat_byte([0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27, 0x28][number % RECEIVERS])
}

fn words(words: [usize; 2]) -> Bytes {
    words.iter().flat_map(|word| U256::from(*word).to_be_bytes::<32>()).collect::<Vec<u8>>().into()
}

/// Init code that leaves the contract behind.
fn creation() -> Bytes {
    // CODECOPY(0, 11, 12); RETURN(0, 12)
    let mut init = vec![0x60, 12, 0x80, 0x60, 11, 0x60, 0, 0x39, 0x60, 0, 0xf3];
    init.extend_from_slice(&CONTRACT);
    init.into()
}

fn text(error: impl Display) -> String {
    error.to_string()
}

/// The chain of one simulated node.
#[derive(Debug)]
pub(super) struct RealChain {
    /// None only while it is opened again. Dropped before its directory.
    chain: Option<Chain>,
    directory: TempDir,
    network: Arc<Network>,
    /// Transactions that were given to the pool since it was opened.
    learned: u64,
}

impl RealChain {
    /// A node with a new database.
    pub(super) fn new(network: Arc<Network>) -> Self {
        let directory = tempfile::tempdir().expect("a directory for a database");
        let chain = Some(open(&directory, &network));
        Self { chain, directory, network, learned: 0 }
    }

    fn chain(&self) -> &Chain {
        self.chain.as_ref().expect("it is open")
    }

    fn unfinal(&self, hash: &Hash) -> Option<Arc<ExecutedBlock>> {
        self.chain().get_unfinal(B256::from(hash.0))
    }

    /// Each sender's executed transactions, from the blocks.
    fn count_executed(&self) -> Result<BTreeMap<Address, u64>, String> {
        let chain = self.chain();
        let senders = dev_accounts().into_iter().take(SENDERS).map(|account| (account.address, 0));
        let mut executed: BTreeMap<Address, u64> = senders.collect();
        for number in 1..=chain.head().number {
            let block = chain.block_by_number(number).map_err(text)?;
            let block = block.ok_or_else(|| format!("final block {number} is not stored"))?;
            if chain.certificate(number).map_err(text)?.is_none() {
                return Err(format!("final block {number} is stored without its certificate"));
            }
            for tx in block.transactions() {
                let expected = executed.entry(tx.sender()).or_default();
                if tx.nonce() != *expected {
                    return Err(format!("block {number} has nonce {} of {}, not {expected}", tx.nonce(), tx.sender()));
                }
                *expected += 1;
            }
        }
        Ok(executed)
    }
}

fn open(directory: &TempDir, network: &Network) -> Chain {
    let path = directory.path().join("chain");
    Chain::open(&path, &network.genesis, &ChainOptions::default()).expect("the database opens")
}

/// Whether the head is genesis or one of the final blocks.
fn leads_to(head: &Head, blocks: &[Arc<FinalBlock>]) -> bool {
    let number = usize::try_from(head.number).unwrap_or(usize::MAX);
    number == 0 || blocks.get(number - 1).is_some_and(|block| head.hash == block.info.hash.0)
}

/// Takes over a final block as block sync does.
fn import(chain: &Chain, block: &FinalBlock) -> Result<(), String> {
    let decoded = chain.decode_block(&Bytes::copy_from_slice(&block.payload)).map_err(text)?;
    chain.import(decoded, block.certificate.encode()).map(drop).map_err(text)
}

impl Application for RealChain {
    fn genesis(&self) -> (BlockInfo, u64) {
        (self.network.root, self.network.genesis.ethereum.timestamp * 1000)
    }

    fn read(&self, payload: &[u8]) -> Option<(BlockInfo, Arc<[u8]>)> {
        let block = self.chain().decode_block(&Bytes::copy_from_slice(payload)).ok()?;
        Some((block_info(&block), alloy_rlp::encode(&block.header).into()))
    }

    fn header_hash(&self, header: &[u8]) -> Hash {
        Hash(keccak256(header).0)
    }

    /// Its own database is opened again, unless the simulated disk has lost blocks that are in there.
    fn reopen(&mut self, blocks: &[Arc<FinalBlock>]) {
        self.chain = None;
        let mut chain = open(&self.directory, &self.network);
        if !leads_to(&chain.head(), blocks) {
            drop(chain);
            self.directory = tempfile::tempdir().expect("a directory for a database");
            chain = open(&self.directory, &self.network);
        }
        let height = usize::try_from(chain.head().number).unwrap_or(usize::MAX);
        for block in blocks.iter().skip(height) {
            import(&chain, block).expect("a final block is valid");
        }
        self.chain = Some(chain);
        self.learned = 0;
    }

    fn learn(&mut self, transactions: u64) {
        if transactions <= self.learned {
            return;
        }
        for raw in self.network.transactions(self.learned, transactions) {
            match self.chain().pool().add_raw(raw, Origin::Peer) {
                // Those that were executed meanwhile have had their turn.
                Ok(_) | Err(PoolError::NonceTooLow { .. }) => {}
                Err(error) => panic!("the pool refuses a sound transaction: {error}"),
            }
        }
        self.learned = transactions;
    }

    fn has_work(&self, parent: &Hash) -> bool {
        self.chain().has_work(B256::from(parent.0))
    }

    fn time_of(&self, block: &Hash) -> u64 {
        self.unfinal(block).map_or_else(|| self.chain().head().time_ms, |block| block.time_ms())
    }

    fn build(&mut self, build: &Build, proposer: ValidatorIndex, now_ms: u64, _salt: u64) -> Option<Built> {
        let seal = Seal {
            epoch: build.epoch.0,
            view: build.view.0,
            proposer: proposer.0,
            time_ms: now_ms.max(self.time_of(&build.parent)),
            parent_certificate: B256::from(build.parent_certificate.0),
            validator_set: self.network.set,
            evidence: Vec::new(),
        };
        let request = BuildRequest {
            parent: B256::from(build.parent.0),
            seal,
            fee_recipient: self.network.genesis.fee_recipient(proposer)?,
            empty: build.empty,
            time_budget: TIME_BUDGET,
        };
        let executed = match self.chain().build(request) {
            Ok(executed) => executed,
            // Another block has become final in the parent's place meanwhile.
            Err(BuildError::UnknownParent(_)) => return None,
            Err(error) => panic!("no block can be built: {error}"),
        };
        let block = executed.block();
        Some(Built {
            info: info(block.hash(), block.header(), block.seal()),
            payload: executed.encoded().as_ref().into(),
            header: alloy_rlp::encode(block.header()).into(),
        })
    }

    fn time_in(&self, payload: &[u8]) -> Option<u64> {
        self.chain().decode_block(&Bytes::copy_from_slice(payload)).ok().map(|block| block.seal.time_ms)
    }

    /// The time is the simulator's affair, which asks for it before.
    fn validate(&mut self, payload: &[u8], set: &ValidatorSet) -> Option<bool> {
        let Ok(block) = self.chain().decode_block(&Bytes::copy_from_slice(payload)) else { return Some(false) };
        let (proposer, now_ms) = (set.leader(View(block.seal.view)), block.seal.time_ms);
        let expect = SealExpectation {
            proposer: proposer.0,
            validator_set: B256::from(set.hash().0),
            ..SealExpectation::of(&block.seal)
        };
        let recipient = self.network.genesis.fee_recipient(proposer);
        if recipient != Some(block.header.beneficiary) || !block.seal.evidence.is_empty() {
            return Some(false);
        }
        match self.chain().validate(block, &expect, now_ms, Duration::ZERO) {
            Ok(_) => Some(true),
            Err(error) if error.is_invalid() => Some(false),
            Err(BlockError::UnknownParent { .. } | BlockError::Stale { .. }) => None,
            Err(error) => panic!("a block cannot be judged: {error}"),
        }
    }

    fn valid_block(&self, hash: &Hash) -> Option<(Arc<[u8]>, u64)> {
        self.unfinal(hash).map(|block| (block.encoded().as_ref().into(), block.time_ms()))
    }

    fn finalize(&mut self, block: &FinalBlock) -> Result<(), String> {
        let (chain, hash) = (self.chain(), B256::from(block.info.hash.0));
        let head = chain.head().hash;
        if head != block.info.parent.0 {
            return Err(format!("final block {hash} does not follow {head}"));
        }
        if chain.has(hash) {
            chain.finalize(hash, &[(hash, block.certificate.encode())]).map_err(text)?;
        } else {
            import(chain, block)?;
        }
        let head = chain.head().hash;
        if head == hash { Ok(()) } else { Err(format!("{hash} is final and the head is {head}")) }
    }

    fn audit(&self) -> Result<(), String> {
        let (executed, state) = (self.count_executed()?, self.chain().latest_state());
        for (sender, count) in &executed {
            let nonce = state.nonce(sender).map_err(text)?;
            if nonce != *count {
                return Err(format!("{sender} has nonce {nonce} and {count} executed transactions"));
            }
        }
        let mut owned = U256::ZERO;
        for owner in self.network.owners() {
            owned += state.balance(&owner).map_err(text)?;
        }
        let supply = self.network.supply();
        if owned != supply {
            return Err(format!("all accounts together own {owned}, at genesis {supply}"));
        }
        self.network.executed.fetch_max(executed.values().sum(), Ordering::Relaxed);
        Ok(())
    }
}
