//! The state after some block, for reading.

use std::fmt;
use std::sync::Arc;

use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_trie::{EMPTY_ROOT_HASH, KECCAK_EMPTY};
use revm::bytecode::Bytecode;
use revm::database_interface::DatabaseRef;
use revm::state::AccountInfo;

use super::{AccountDiff, FlatAccount, StateError};
use crate::chain::{ExecutedBlock, NotInMemory, Tree};
use crate::storage::Store;

/// Blocks that are not final, newest first, each the parent of the one before it.
pub(crate) type Overlays = Vec<Arc<ExecutedBlock>>;

/// The state after one block. A clone is cheap and sees the same.
#[derive(Clone)]
pub struct StateView {
    overlays: Overlays,
    /// The final block under the overlays.
    base: u64,
    number: u64,
    store: Arc<Store>,
    tree: Arc<Tree>,
}

impl fmt::Debug for StateView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StateView").field("number", &self.number).field("base", &self.base).finish_non_exhaustive()
    }
}

impl StateView {
    /// The state after the newest of `overlays`, which lie on the final block `base`.
    pub(crate) fn new(overlays: Overlays, base: u64, store: Arc<Store>, tree: Arc<Tree>) -> Self {
        let number = overlays.first().map_or(base, |block| block.number());
        Self { overlays, base, number, store, tree }
    }

    /// The state after a block upon this one.
    pub(crate) fn upon(&self, block: Arc<ExecutedBlock>) -> Self {
        let number = block.number();
        let overlays = std::iter::once(block).chain(self.overlays.iter().cloned()).collect();
        Self { overlays, number, ..self.clone() }
    }

    /// The number of the block whose state this is.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// An account; `None`: it does not exist.
    pub fn account(&self, address: &Address) -> Result<Option<FlatAccount>, StateError> {
        for block in &self.overlays {
            if let Some(diff) = block.diff().accounts.get(address) {
                return Ok(diff.new);
            }
        }
        // First the storage, then the history: what the storage shows is then in the history.
        let stored = self.store.account(address)?;
        let earlier = match self.tree.before(self.base, |block| block.diff().accounts.get(address).map(|diff| diff.old))
        {
            Ok(earlier) => earlier,
            Err(NotInMemory) => self.kept(self.store.earlier_account(address, self.base)?)?,
        };
        Ok(earlier.unwrap_or(stored))
    }

    /// The nonce of an account, zero if it does not exist.
    pub fn nonce(&self, address: &Address) -> Result<u64, StateError> {
        Ok(self.account(address)?.map_or(0, |account| account.nonce))
    }

    /// The balance of an account, zero if it does not exist.
    pub fn balance(&self, address: &Address) -> Result<U256, StateError> {
        Ok(self.account(address)?.map_or(U256::ZERO, |account| account.balance))
    }

    /// The code of an account, empty if it has none.
    pub fn code(&self, address: &Address) -> Result<Bytes, StateError> {
        match self.account(address)? {
            Some(account) if account.has_code() => Ok(self.code_by_hash(&account.code_hash)?.original_bytes()),
            _ => Ok(Bytes::new()),
        }
    }

    /// A storage slot of an account.
    pub fn storage(&self, address: &Address, slot: &U256) -> Result<U256, StateError> {
        for block in &self.overlays {
            let Some(diff) = block.diff().accounts.get(address) else { continue };
            if let Some(change) = diff.slots.get(slot) {
                return Ok(change.new);
            }
            if diff.wiped || diff.new.is_none() {
                return Ok(U256::ZERO);
            }
        }
        let stored = self.store.slot(address, slot)?;
        let before = |block: &ExecutedBlock| slot_before(block.diff().accounts.get(address)?, slot);
        match self.tree.before(self.base, before) {
            Ok(None) => Ok(stored),
            Ok(Some(Some(value))) => Ok(value),
            // Blocks that destroy a contract do not hold in memory what was in its storage.
            Ok(Some(None)) | Err(NotInMemory) => {
                let earlier = self.kept(self.store.earlier_slot(address, slot, self.base)?)?;
                Ok(earlier.unwrap_or(stored))
            }
        }
    }

    /// Whether an account without code and nonce has storage. Nobody writes to such an account's
    /// storage: what the genesis put there stays until the account goes away.
    pub(crate) fn has_storage(&self, address: &Address) -> Result<bool, StateError> {
        for block in &self.overlays {
            let Some(diff) = block.diff().accounts.get(address) else { continue };
            if diff.slots.values().any(|slot| !slot.new.is_zero()) {
                return Ok(true);
            }
            if diff.wiped || diff.new.is_none() {
                return Ok(false);
            }
        }
        let stored = self.store.has_slots(address)?;
        let changed = |block: &ExecutedBlock| {
            let diff = block.diff().accounts.get(address)?;
            (diff.wiped || !diff.slots.is_empty()).then_some(())
        };
        match self.tree.before(self.base, changed) {
            Ok(None) => Ok(stored),
            _ => self.had_storage(address),
        }
    }

    /// Whether an account had storage after the final block `base`, as the tries of then tell.
    fn had_storage(&self, address: &Address) -> Result<bool, StateError> {
        let header = self.store.header(self.base)?.ok_or(StateError::Unknown)?.header;
        let proof = self.store.proof_at(self.base, header.state_root, address, &[]);
        Ok(self.kept(proof)??.storage_root != EMPTY_ROOT_HASH)
    }

    /// Code by its hash.
    pub fn code_by_hash(&self, hash: &B256) -> Result<Bytecode, StateError> {
        if *hash == KECCAK_EMPTY {
            return Ok(Bytecode::default());
        }
        // Code is never removed from the storage, so there is nothing to look behind.
        let overlay = self.overlays.iter().find_map(|block| block.diff().code.get(hash).cloned());
        match overlay {
            Some(code) => Ok(code),
            None => self.store.code(hash)?.ok_or(StateError::MissingCode(*hash)),
        }
    }

    /// The hash of an ancestor (or of the block itself); zero when there is no such block.
    pub fn block_hash(&self, number: u64) -> Result<B256, StateError> {
        if number > self.number {
            return Ok(B256::ZERO);
        }
        let overlay = self.overlays.iter().find(|block| block.number() == number);
        match overlay {
            Some(block) => Ok(block.hash()),
            None => Ok(self.store.hash_by_number(number)?.unwrap_or_default()),
        }
    }

    /// What was read of the storage's history, unless that went away meanwhile.
    fn kept<T>(&self, read: T) -> Result<T, StateError> {
        let oldest = self.store.oldest_state();
        if self.base < oldest {
            return Err(StateError::Pruned { number: self.number, oldest, head: self.tree.head().number });
        }
        Ok(read)
    }
}

/// The value of a slot before a block: `None` if the block did not touch it, `Some(None)` if it
/// is not known.
fn slot_before(diff: &AccountDiff, slot: &U256) -> Option<Option<U256>> {
    match diff.slots.get(slot) {
        // In a wiped account the old value was not read.
        Some(_) if diff.wiped => Some(None),
        Some(change) => Some(Some(change.old)),
        None if diff.wiped => Some(None),
        None if diff.old.is_none() => Some(Some(U256::ZERO)),
        None => None,
    }
}

impl DatabaseRef for StateView {
    type Error = StateError;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, StateError> {
        Ok(self.account(&address)?.map(FlatAccount::to_info))
    }

    fn code_by_hash_ref(&self, code_hash: B256) -> Result<Bytecode, StateError> {
        self.code_by_hash(&code_hash)
    }

    fn storage_ref(&self, address: Address, index: U256) -> Result<U256, StateError> {
        self.storage(&address, &index)
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, StateError> {
        self.block_hash(number)
    }
}
