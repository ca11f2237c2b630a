//! The mempool: transactions that wait for a block.
//!
//! A transaction is **executable** when its sender's nonces lead up to it without a gap and the
//! sender's balance at the final head pays for it and all those before it; otherwise it is
//! **queued**. Only executable ones are given to the builder, pushed to other nodes again, and
//! counted as work.
//!
//! *Order* ([`BestTransactions`]): each sender's nonces in order; among senders the highest tip
//! first, with equal tips (on a chain without fees: always) the first arrival.
//!
//! *Replacement* ([`replacement`]): 10% more in both fees as in Geth; at price zero by a rule of
//! its own, so that correcting and cancelling work on a chain without fees.
//!
//! *Limits* ([`MempoolLimits`]): transactions and memory in all, executable and queued ones per
//! sender. A full pool evicts queued ones first; an executable one only ever goes for an
//! executable one that pays more, or equally much from a sender that holds fewer; never for an
//! equal, never a queued one.
//!
//! *Final blocks* ([`Mempool::on_final`]) re-check the senders whose accounts the block touched,
//! and nobody else. Unfinal blocks change nothing here: the builder says which nonces they used.
//!
//! *Restart* (`journal`): a file from which the content comes back through the same admission.
//!
//! What it does not do: it knows no block that is not final, it does not gossip, it does not run
//! transactions. An authorization (EIP-7702) that raises another account's nonce is noticed when
//! the block that holds it is final.

mod best;
mod error;
mod eviction;
mod gone;
mod index;
mod journal;
mod limits;
mod metrics;
mod pool;
pub mod replacement;
mod rules;
mod sender;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod view;

use std::collections::{HashSet, VecDeque};
use std::hash::BuildHasher;
use std::io;
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use alloy_primitives::{Address, B256, Bytes, U256};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::broadcast;

pub use self::metrics::METRICS;
pub use best::{BestTransactions, Room};
pub use error::PoolError;
pub use gone::Gone;
pub use limits::MempoolLimits;
pub use rules::{Account, AccountSource, PoolRules};
pub use view::{AddOutcome, Origin, PoolEvent, PoolStatus, SenderContent};

use crate::recovery;
use crate::transaction::{Recovered, SignedTransaction};
use gone::Memory;
use journal::{Journal, JournalReader};
use pool::{Admitted, Checked, Pool};
use sender::{Changes, SenderQueue};

/// News that a slow subscriber may be behind before it misses some. The news hold their
/// transactions in memory, 128 KiB each at worst, after these have left the pool.
const SUBSCRIBER_BACKLOG: usize = 1_024;

/// Senders and transactions that are looked at while the lock is held, when all are (of one sender always all).
const LOOKS_AT_A_TIME: usize = 256;

/// Journal records that are admitted at a time at start.
const RESTORE_BATCH: usize = 1_024;

/// The mempool. All methods may be called from any thread; those that admit or walk through
/// everything belong on a blocking thread.
#[derive(Debug)]
pub struct Mempool {
    journal: Option<Journal>,
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    accounts: Arc<dyn AccountSource>,
    events: broadcast::Sender<PoolEvent>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("state", &self.state).finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct State {
    pool: Pool,
    /// Counts final blocks and changes of the rules: an account that was read before one of them
    /// may be out of date after it.
    generation: u64,
    /// When each transaction was admitted or given out by [`Mempool::stale`] last, the oldest
    /// first. Those that left the pool are removed from here later.
    pushes: VecDeque<(Instant, B256)>,
    /// Why others are not here.
    gone: Memory,
}

impl Mempool {
    /// Opens the pool. With a path, first admits what the journal there holds, then keeps the
    /// journal; the only errors are those of creating it.
    pub fn open(
        limits: MempoolLimits,
        rules: PoolRules,
        accounts: Arc<dyn AccountSource>,
        journal: Option<&Path>,
    ) -> io::Result<Self> {
        let pool = Pool::new(limits, rules);
        let state = Mutex::new(State { pool, generation: 0, pushes: VecDeque::new(), gone: Memory::default() });
        let (events, _) = broadcast::channel(SUBSCRIBER_BACKLOG);
        let shared = Arc::new(Shared { state, accounts, events });
        let mut mempool = Self { journal: None, shared };
        if let Some(path) = journal {
            mempool.restore(path);
            mempool.journal = Some(Journal::start(path, Arc::downgrade(&mempool.shared))?);
        }
        Ok(mempool)
    }

    fn restore(&self, path: &Path) {
        let mut reader = JournalReader::open(path);
        let (mut read, mut admitted) = (0, 0);
        loop {
            let batch = reader.next_batch(RESTORE_BATCH);
            if batch.is_empty() {
                break;
            }
            read += batch.len();
            let results = self.add_batch(batch, Origin::Journal);
            admitted += results.iter().filter(|result| result.is_ok()).count();
        }
        if read > 0 {
            tracing::info!(
                target: "assent::mempool", admitted, gone = read - admitted,
                "pending transactions of the last run are back"
            );
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock()
    }

    // Admission.

    /// Decodes a transaction, recovers its sender on the calling thread and admits it.
    pub fn add_raw(&self, raw: Bytes, origin: Origin) -> Result<AddOutcome, PoolError> {
        match self.recover_unknown(raw) {
            Ok(tx) => self.add(tx, origin),
            Err(error) => Err(metrics::refused(error)),
        }
    }

    /// Decodes transactions, recovers their senders on the recovery pool, and admits them in
    /// order. Those that the pool holds already cost no recovery.
    pub fn add_batch(&self, batch: Vec<Bytes>, origin: Origin) -> Vec<Result<AddOutcome, PoolError>> {
        recovery::map_batch(batch, |raw| self.recover_unknown(raw))
            .into_iter()
            .map(|recovered| match recovered {
                Ok(tx) => self.add(tx, origin),
                Err(error) => Err(metrics::refused(error)),
            })
            .collect()
    }

    fn recover_unknown(&self, raw: Bytes) -> Result<Recovered, PoolError> {
        let signed = SignedTransaction::decode(raw)?;
        if self.contains(signed.hash()) {
            return Err(PoolError::AlreadyKnown { hash: *signed.hash() });
        }
        Ok(recovery::recover(signed)?)
    }

    /// Admits a transaction.
    pub fn add(&self, tx: impl Into<Arc<Recovered>>, origin: Origin) -> Result<AddOutcome, PoolError> {
        let tx = tx.into();
        let (admitted, status) = self.admit(&tx).map_err(|error| {
            self.note_refused(&tx, origin, &error);
            metrics::refused(error)
        })?;
        let hash = *tx.hash();
        let outcome = AddOutcome {
            hash,
            executable: admitted.executable,
            replaced: admitted.replaced.as_ref().map(|old| *old.hash()),
        };
        if let Some(journal) = self.journal.as_ref() {
            journal.append(&tx);
        }
        metrics::admitted(origin);
        metrics::evicted(&admitted);
        metrics::sizes(&status);
        self.notify(PoolEvent::Admitted { tx, origin, executable: admitted.executable });
        for tx in admitted.promoted {
            self.notify(PoolEvent::Promoted { tx });
        }
        Ok(outcome)
    }

    fn admit(&self, tx: &Arc<Recovered>) -> Result<(Admitted, PoolStatus), PoolError> {
        let sender = tx.sender();
        loop {
            let (rules, generation, known) = {
                let state = self.lock();
                if state.pool.by_hash.contains_key(tx.hash()) {
                    return Err(PoolError::AlreadyKnown { hash: *tx.hash() });
                }
                let known = state.pool.senders.contains_key(&sender);
                (Arc::clone(&state.pool.rules), state.generation, known)
            };
            let tip = rules.check(tx.tx(), tx.size())?;
            let cost = tx.cost().unwrap_or(U256::MAX);
            let account = if known { None } else { Some(self.read_account(sender)?) };
            let mut state = self.lock();
            // A sender in the pool has its account there, kept up to date with every block.
            let known = state.pool.senders.contains_key(&sender);
            let current = state.generation == generation;
            if !Arc::ptr_eq(&rules, &state.pool.rules) || !(known || (current && account.is_some())) {
                continue;
            }
            let checked = Checked { tx: Arc::clone(tx), cost, tip };
            let admitted = state.pool.insert(checked, account)?;
            state.note_push(*tx.hash(), Instant::now());
            if let Some(old) = &admitted.replaced {
                state.gone.note(*old.hash(), Gone::Replaced { by: *tx.hash() });
            }
            for (_, evicted) in &admitted.evicted {
                state.gone.note(*evicted.hash(), Gone::Evicted);
            }
            let status = state.status();
            return Ok((admitted, status));
        }
    }

    /// Remembers why a transaction of our own clients was refused. Those of peers would push theirs out.
    fn note_refused(&self, tx: &Recovered, origin: Origin, error: &PoolError) {
        if origin == Origin::Local && !matches!(error, PoolError::AlreadyKnown { .. }) {
            self.lock().gone.note(*tx.hash(), Gone::Refused(error.clone()));
        }
    }

    fn read_account(&self, sender: Address) -> Result<Account, PoolError> {
        let account = self.shared.accounts.account(sender).map_err(|error| {
            tracing::error!(target: "assent::mempool", %error, %sender, "cannot read an account");
            PoolError::StateUnavailable(error.to_string())
        })?;
        if account.is_contract {
            return Err(PoolError::SenderNotEoa { sender });
        }
        Ok(account)
    }

    fn notify(&self, event: PoolEvent) {
        // Nobody may be listening.
        let _ = self.shared.events.send(event);
    }

    // The chain.

    /// Takes over a final block, after its state has become visible to the [`AccountSource`]:
    /// the hashes of its transactions, and every account that it changed. Only senders among
    /// those are looked at again.
    pub fn on_final(&self, included: &[B256], touched: &[(Address, Account)]) {
        let mut all = Vec::new();
        let final_ones: HashSet<&B256> = included.iter().collect();
        let status = {
            let mut state = self.lock();
            state.generation += 1;
            for (sender, account) in touched {
                let Some(changes) = state.pool.settle(*sender, account.nonce, account.balance) else { continue };
                for tx in changes.dropped.iter().filter(|tx| !final_ones.contains(tx.hash())) {
                    state.gone.note(*tx.hash(), Gone::after(tx, account));
                }
                all.push(changes);
            }
            // Senders of included transactions are touched, so nothing is left to remove here; if
            // something is, it must not be offered again all the same.
            for hash in included {
                all.extend(state.pool.remove(hash));
            }
            state.status()
        };
        metrics::sizes(&status);
        self.announce(all);
    }

    /// Changes the rules (a fork, a parameter), and checks everything again if they differ.
    pub fn set_rules(&self, rules: PoolRules) {
        let (status, dropped) = {
            let mut state = self.lock();
            if *state.pool.rules == rules {
                return;
            }
            state.generation += 1;
            let rules = Arc::new(rules);
            let all = state.pool.drain();
            state.pool.rules = Arc::clone(&rules);
            let mut dropped = Vec::new();
            for (tx, account) in all {
                let cost = tx.cost().unwrap_or(U256::MAX);
                let result = rules.check(tx.tx(), tx.size()).and_then(|tip| {
                    let checked = Checked { tx: Arc::clone(&tx), cost, tip };
                    state.pool.insert(checked, Some(account))
                });
                if let Err(error) = result {
                    state.gone.note(*tx.hash(), Gone::Refused(error));
                    dropped.push(tx);
                }
            }
            (state.status(), dropped)
        };
        metrics::dropped(dropped.len());
        metrics::sizes(&status);
    }

    /// Removes a transaction that can never run although it passed admission. What its sender
    /// has behind it becomes queued.
    pub fn discard(&self, hash: &B256) {
        let (changes, status) = {
            let mut state = self.lock();
            let changes = state.pool.remove(hash);
            if changes.is_some() {
                state.gone.note(*hash, Gone::Impossible);
            }
            (changes, state.status())
        };
        metrics::sizes(&status);
        self.announce(changes.into_iter().collect());
    }

    /// Counts and announces changes, outside of the lock; what left the pool is freed here.
    fn announce(&self, all: Vec<Changes>) {
        metrics::dropped(all.iter().map(|changes| changes.dropped.len()).sum());
        for tx in all.into_iter().flat_map(|changes| changes.promoted) {
            self.notify(PoolEvent::Promoted { tx });
        }
    }

    /// The executable transactions in a block's order. See [`BestTransactions::next_with`].
    pub fn best(&self, base_fee: u64) -> BestTransactions<'_> {
        BestTransactions::new(self, base_fee)
    }

    /// How many executable transactions are in none of these sets (no hash may be in two).
    pub fn executable_excluding<S: BuildHasher>(&self, excluded: &[&HashSet<B256, S>]) -> usize {
        let state = self.lock();
        let hashes = excluded.iter().flat_map(|set| set.iter());
        let absent = hashes.filter(|hash| state.pool.is_executable(hash)).count();
        state.pool.executable.saturating_sub(absent)
    }

    /// Whether there is an executable transaction in none of these sets. Mostly answered by a
    /// comparison of sizes.
    pub fn has_executable_excluding<S: BuildHasher>(&self, excluded: &[&HashSet<B256, S>]) -> bool {
        let executable = self.lock().pool.executable;
        executable > 0
            && (executable > excluded.iter().map(|set| set.len()).sum::<usize>()
                || self.executable_excluding(excluded) > 0)
    }

    // Questions.

    /// The transaction with this hash.
    pub fn get(&self, hash: &B256) -> Option<Arc<Recovered>> {
        self.lock().pool.by_hash.get(hash).cloned()
    }

    /// Whether the pool holds the transaction.
    pub fn contains(&self, hash: &B256) -> bool {
        self.lock().pool.by_hash.contains_key(hash)
    }

    /// The sender of a transaction that the pool holds.
    pub fn sender_of(&self, hash: &B256) -> Option<Address> {
        self.lock().pool.by_hash.get(hash).map(|tx| tx.sender())
    }

    /// The nonce after a sender's last executable transaction; `None` when the pool holds nothing
    /// of it, and the account's own nonce is the answer.
    pub fn pending_nonce(&self, sender: Address) -> Option<u64> {
        self.lock().pool.senders.get(&sender).map(|queue| queue.next_nonce())
    }

    /// Number of transactions, executable and queued.
    pub fn len(&self) -> usize {
        self.lock().pool.by_hash.len()
    }

    /// Whether the pool holds nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sizes of the pool.
    pub fn status(&self) -> PoolStatus {
        self.lock().status()
    }

    /// Everything, by sender in the order of addresses. Each sender is shown as of one moment, all of them are not: the
    /// pool goes on admitting meanwhile.
    pub fn content(&self) -> Vec<SenderContent> {
        let mut content = Vec::new();
        self.each_sender(|sender, queue| content.push(SenderContent::of(sender, queue)));
        content.sort_unstable_by_key(|content| content.sender);
        content
    }

    /// Looks at all senders, some at a time, so that the lock is never held for long.
    fn each_sender(&self, mut look: impl FnMut(Address, &SenderQueue)) {
        let senders: Vec<Address> = self.lock().pool.senders.keys().copied().collect();
        let mut rest = senders.iter();
        while !rest.as_slice().is_empty() {
            let state = self.lock();
            let mut looks = 0;
            while looks < LOOKS_AT_A_TIME
                && let Some(sender) = rest.next()
            {
                looks += 1;
                if let Some(queue) = state.pool.senders.get(sender) {
                    looks += queue.executable.len() + queue.queued.len();
                    look(*sender, queue);
                }
            }
        }
    }

    /// How many executable transactions come before this one in the order of blocks, its sender's own among them; `None`
    /// when it is not executable.
    pub fn ahead_of(&self, hash: &B256) -> Option<usize> {
        let (sender, own, key) = {
            let state = self.lock();
            let tx = state.pool.by_hash.get(hash)?;
            let queue = state.pool.senders.get(&tx.sender())?;
            let own = queue.position(tx.nonce())?;
            (tx.sender(), own, queue.place(own)?)
        };
        let mut ahead = own;
        self.each_sender(|other, queue| {
            if other != sender {
                ahead += queue.places().take_while(|place| *place < key).count();
            }
        });
        Some(ahead)
    }

    /// Why a transaction is not in the pool, if that was not long ago. It may be final all the same.
    pub fn gone(&self, hash: &B256) -> Option<Gone> {
        self.lock().gone.get(hash)
    }

    /// Everything of one sender.
    pub fn content_from(&self, sender: Address) -> Option<SenderContent> {
        self.lock().pool.senders.get(&sender).map(|queue| SenderContent::of(sender, queue))
    }

    /// Executable transactions that were admitted, or given out by this method, at least
    /// `older_than` ago: whoever spread them may have failed, so they are to be pushed again. At
    /// most `count`, the oldest first; each begins to wait anew.
    pub fn stale(&self, older_than: Duration, count: usize) -> Vec<Arc<Recovered>> {
        self.lock().stale_at(Instant::now(), older_than, count)
    }

    /// News of the pool from now on. A receiver that falls behind by more than a thousand misses
    /// some.
    pub fn subscribe(&self) -> broadcast::Receiver<PoolEvent> {
        self.shared.events.subscribe()
    }

    /// Waits until all admissions so far are in the journal's file.
    pub fn flush_journal(&self) {
        if let Some(journal) = &self.journal {
            journal.flush();
        }
    }
}

impl State {
    fn status(&self) -> PoolStatus {
        PoolStatus {
            executable: self.pool.executable,
            queued: self.pool.by_hash.len() - self.pool.executable,
            bytes: self.pool.bytes,
            senders: self.pool.senders.len(),
        }
    }

    fn note_push(&mut self, hash: B256, at: Instant) {
        if self.pushes.len() > 2 * self.pool.by_hash.len() + 1024 {
            let Self { pushes, pool, .. } = self;
            pushes.retain(|(_, hash)| pool.by_hash.contains_key(hash));
        }
        self.pushes.push_back((at, hash));
    }

    fn stale_at(&mut self, now: Instant, older_than: Duration, count: usize) -> Vec<Arc<Recovered>> {
        let mut stale = Vec::new();
        for _ in 0..self.pushes.len() {
            match self.pushes.front() {
                Some((at, _)) if now.saturating_duration_since(*at) >= older_than => {}
                _ => break,
            }
            if stale.len() >= count {
                break;
            }
            let Some((_, hash)) = self.pushes.pop_front() else {
                break;
            };
            let Some(tx) = self.pool.by_hash.get(&hash) else {
                continue;
            };
            if self.pool.executable_at(tx.sender(), tx.nonce()).is_some() {
                stale.push(Arc::clone(tx));
            }
            self.pushes.push_back((now, hash));
        }
        stale
    }
}

impl journal::Contents for Weak<Shared> {
    fn encoded_bytes(&self) -> Option<u64> {
        Some(self.upgrade()?.state.lock().pool.encoded_bytes as u64)
    }

    fn transactions(&self) -> Option<Vec<Arc<Recovered>>> {
        Some(self.upgrade()?.state.lock().pool.by_arrival())
    }
}
