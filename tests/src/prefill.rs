//! A long chain in the homes of a network that has not run yet.
//!
//! Blocks are made by the real chain, one after the other, and their certificates are signed with the validators' own
//! keys, so that the nodes go on from there as if they had made it. It takes minutes where the network would take many.
//! No vote of it is in any log, and none is needed: the signers' marks are those of validators that never signed, and the
//! network begins in the view after the last block's.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use alloy::{
    primitives::{Address, B256, Bytes, TxKind, U256},
    sol_types::SolCall,
};
use anyhow::{Context, Result, ensure};
use assent_chain::{BuildRequest, Chain, ChainOptions, ExecutedBlock, Seal, mempool::Origin};
use assent_consensus::{Ballot, Certificate, Epoch, Hash, Phase, ValidatorSet, View};
use assent_genesis::{Genesis, SecretKey};

use crate::{
    accounts::Account,
    token::{self, Token, Words},
};

/// Transactions per block.
const PER_BLOCK: usize = 250;
/// One of so many transactions moves tokens, the others the chain's own money.
const TOKEN_EVERY: usize = 10;
/// One of so many transactions is remembered.
const SAMPLE_EVERY: usize = 997;
/// Accounts that are paid, in turn.
const RECIPIENTS: usize = 64;
/// Threads that sign.
const SIGNERS: usize = 2;
/// Gas for whatever the token does.
const TOKEN_GAS: u64 = 1_000_000;
/// Units of the token that each sender begins with.
const SHARE: u64 = 1_000_000;
/// In one of so many views the last validator was late with its vote.
const LATE_EVERY: u64 = 7;

/// What was written.
#[derive(Clone, Debug)]
pub struct Past {
    /// Transactions.
    pub transactions: usize,
    /// Number of the last block.
    pub blocks: u64,
    /// Hashes of some transactions, evenly picked.
    pub sample: Vec<B256>,
    /// A token that a tenth of the transactions move.
    pub token: Address,
    /// Accounts that were paid, each many times.
    pub recipients: Vec<Address>,
    /// Accounts that paid.
    pub senders: Vec<Address>,
    /// Size of one node's database.
    pub bytes: u64,
    /// How long it took.
    pub took: Duration,
}

/// Writes a chain with at least so many transactions into the homes of all validators, which are in the order of the
/// genesis file. The senders are funded in it and have sent nothing yet. Blocks the thread for minutes.
pub fn write(homes: &[PathBuf], senders: Vec<Account>, transactions: usize) -> Result<Past> {
    let start = Instant::now();
    let first = homes.first().context("no home to write into")?;
    let (genesis, _) = Genesis::load(&first.join("genesis.json"))?;
    let database = database(first);
    ensure!(!database.exists(), "{} is there already", database.display());
    let chain = Chain::open(&database, &genesis, &ChainOptions::default())?;
    let mut author = Author::new(homes, &genesis, chain)?;
    let addresses = senders.iter().map(Account::address).collect();
    let (senders, token) = issue(&mut author, senders)?;
    write_all(&mut author, senders, token, transactions)?;
    let (written, sample, blocks) = (author.transactions, author.sample, author.chain.head().number);
    author.chain.sync()?;
    // Closes the database.
    drop(author.chain);
    for home in &homes[1..] {
        copy(&database, &self::database(home))?;
    }
    let recipients = (0..RECIPIENTS).map(recipient).collect();
    let bytes = size(&database)?;
    Ok(Past {
        transactions: written,
        blocks,
        sample,
        token,
        recipients,
        senders: addresses,
        bytes,
        took: start.elapsed(),
    })
}

fn database(home: &Path) -> PathBuf {
    home.join("data").join("chain")
}

fn recipient(turn: usize) -> Address {
    Address::left_padding_from(&(0x2000 + turn % RECIPIENTS).to_be_bytes())
}

/// Makes blocks in the name of all validators.
struct Author {
    chain: Chain,
    genesis: Genesis,
    set: ValidatorSet,
    keys: Vec<SecretKey>,
    /// SHA-256 of the last block's certificate; zero for genesis, which has none.
    parent_certificate: Hash,
    transactions: usize,
    sample: Vec<B256>,
}

impl Author {
    fn new(homes: &[PathBuf], genesis: &Genesis, chain: Chain) -> Result<Self> {
        let set = genesis.validator_set(Epoch(0), genesis.header().timestamp)?;
        let mut keys = Vec::new();
        for (index, home) in homes.iter().enumerate() {
            let key = SecretKey::load(&home.join("keys").join("validator.json"))?;
            let found = set.index_of(&key.public()).map(|index| index.position());
            ensure!(found == Some(index), "the key of {} is that of validator {found:?}", home.display());
            keys.push(key);
        }
        ensure!(keys.len() == set.len(), "{} homes for {} validators", keys.len(), set.len());
        let (genesis, parent_certificate) = (genesis.clone(), Hash([0; 32]));
        Ok(Self { chain, genesis, set, keys, parent_certificate, transactions: 0, sample: Vec::new() })
    }

    /// Puts these transactions into the pool, and what is there into the next block.
    fn add(&mut self, batch: Vec<Bytes>) -> Result<()> {
        for outcome in self.chain.pool().add_batch(batch, Origin::Local) {
            outcome.context("the pool refused a transaction")?;
        }
        self.block()
    }

    fn block(&mut self) -> Result<()> {
        let head = self.chain.head();
        // Nothing was given up: each view has its block.
        let view = View(head.number + 1);
        let proposer = self.set.leader(view);
        let seal = Seal {
            epoch: 0,
            view: view.0,
            proposer: proposer.0,
            time_ms: now_ms()?,
            parent_certificate: B256::from(self.parent_certificate.0),
            validator_set: B256::from(self.set.hash().0),
            evidence: Vec::new(),
        };
        let built = self.chain.build(BuildRequest {
            parent: head.hash,
            seal,
            fee_recipient: self.genesis.fee_recipient(proposer).unwrap_or_default(),
            empty: false,
            time_budget: Duration::from_secs(60),
        })?;
        let hash = built.hash();
        let certificate = self.certificate(view, hash)?;
        self.parent_certificate = certificate.hash();
        self.chain.finalize(hash, &[(hash, certificate.encode())])?;
        self.count(&built);
        Ok(())
    }

    fn count(&mut self, block: &ExecutedBlock) {
        for transaction in block.block().transactions() {
            if self.transactions.is_multiple_of(SAMPLE_EVERY) {
                self.sample.push(*transaction.hash());
            }
            self.transactions += 1;
        }
    }

    /// The votes with which the validators made a block final.
    fn certificate(&self, view: View, block: B256) -> Result<Certificate> {
        let genesis = Hash(self.genesis.hash().0);
        let ballot = Ballot { epoch: Epoch(0), view, phase: Phase::Commit, block: Hash(block.0) };
        let message = ballot.sign_bytes(&genesis);
        let late = view.0.is_multiple_of(LATE_EVERY);
        let voters = if late { self.keys.len().saturating_sub(1) } else { self.keys.len() };
        let mut bitmap = vec![0u8; self.keys.len().div_ceil(8)];
        for voter in 0..voters {
            bitmap[voter / 8] |= 1 << (voter % 8);
        }
        // The wire form of the specification, section 4.3.
        let mut bytes = vec![Phase::Commit as u8];
        bytes.extend(0u64.to_be_bytes());
        bytes.extend(view.0.to_be_bytes());
        bytes.extend(block.0);
        bytes.extend(u16::try_from(self.keys.len())?.to_be_bytes());
        bytes.extend(bitmap);
        for key in &self.keys[..voters] {
            bytes.extend(key.sign(&message).0);
        }
        let certificate = Certificate::decode(&bytes, self.keys.len())?;
        certificate.verify(&self.set, &genesis)?;
        Ok(certificate)
    }
}

fn now_ms() -> Result<u64> {
    Ok(u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?)
}

/// Deploys a token and gives some of it to each sender; the senders with their next nonces, and the token.
fn issue(author: &mut Author, mut senders: Vec<Account>) -> Result<(Vec<Account>, Address)> {
    let others: Vec<Address> = senders.iter().map(Account::address).collect();
    let issuer = senders.first_mut().context("no sender")?;
    let words = Words { name: "Harbour Credit".into(), symbol: "HBR".into(), reason: "not that much".into() };
    let token = issuer.address().create(issuer.nonce);
    let supply = SHARE.saturating_mul(others.len() as u64 + 1);
    let creation = issuer.next(TxKind::Create, U256::ZERO, token::creation(&words, supply), 2 * TOKEN_GAS);
    author.add(vec![issuer.sign(creation)?.raw])?;
    for some in others.chunks(PER_BLOCK) {
        let mut batch = Vec::with_capacity(some.len());
        for to in some {
            batch.push(move_tokens(issuer, token, *to, SHARE)?);
        }
        author.add(batch)?;
    }
    Ok((senders, token))
}

fn move_tokens(sender: &mut Account, token: Address, to: Address, value: u64) -> Result<Bytes> {
    let call = Token::transferCall { to, value: U256::from(value) };
    let transaction = sender.next(TxKind::Call(token), U256::ZERO, call.abi_encode().into(), TOKEN_GAS);
    Ok(sender.sign(transaction)?.raw)
}

/// Signs on threads of their own, each with senders of its own, and makes a block of each batch as it comes.
fn write_all(author: &mut Author, senders: Vec<Account>, token: Address, transactions: usize) -> Result<()> {
    let missing = transactions.saturating_sub(author.transactions);
    let batches = missing.div_ceil(PER_BLOCK).div_ceil(SIGNERS);
    let share = senders.len().div_ceil(SIGNERS);
    thread::scope(|scope| {
        let mut queues: Vec<Receiver<Result<Vec<Bytes>>>> = Vec::new();
        for group in senders.chunks(share.max(1)) {
            let (queue, signed) = sync_channel(4);
            let group = group.to_vec();
            scope.spawn(move || sign(group, token, batches, &queue));
            queues.push(signed);
        }
        for _ in 0..batches {
            for queue in &queues {
                let batch = queue.recv().context("a thread that signs has ended")?;
                author.add(batch?)?;
            }
            if author.chain.head().number.is_multiple_of(500) {
                eprintln!("{} of {transactions} transactions are written", author.transactions);
            }
        }
        while !author.chain.pool().is_empty() {
            let before = author.transactions;
            author.block()?;
            ensure!(author.transactions > before, "the pool holds transactions that fit into no block");
        }
        Ok(())
    })
}

/// Signs batches until there are enough, or nobody takes them any more.
fn sign(mut senders: Vec<Account>, token: Address, batches: usize, queue: &SyncSender<Result<Vec<Bytes>>>) {
    let mut turn = 0;
    for _ in 0..batches {
        let batch = (0..PER_BLOCK).map(|_| sign_next(&mut senders, &mut turn, token)).collect();
        if queue.send(batch).is_err() {
            return;
        }
    }
}

fn sign_next(senders: &mut [Account], turn: &mut usize, token: Address) -> Result<Bytes> {
    let (number, count) = (*turn, senders.len());
    *turn += 1;
    // The turn of the senders moves on from round to round, so that each of them meets each recipient.
    let to = recipient(number + number / count.max(1));
    let sender = senders.get_mut(number % count.max(1)).context("no sender")?;
    if number % TOKEN_EVERY == number / count.max(1) % TOKEN_EVERY {
        return move_tokens(sender, token, to, 1);
    }
    Ok(sender.transfer(to, U256::from(1_000_000_000_u64))?.raw)
}

/// Copies a database that nobody has open. Its tables never change, so they are shared where the file system can.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let (path, target) = entry.map(|entry| (entry.path(), to.join(entry.file_name())))?;
        if path.is_dir() {
            copy(&path, &target)?;
        } else if path.extension().is_none_or(|kind| kind != "sst") || fs::hard_link(&path, &target).is_err() {
            fs::copy(&path, &target).with_context(|| format!("cannot copy {}", path.display()))?;
        }
    }
    Ok(())
}

/// Bytes of all files of a folder.
fn size(folder: &Path) -> Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        sum += if entry.file_type()?.is_dir() { size(&entry.path())? } else { entry.metadata()?.len() };
    }
    Ok(sum)
}
