//! The state that a block being executed works upon.
//!
//! It remembers what it read from the parent's state and what the transactions so far have made of
//! it; at the end it says what the block changed. How revm's result of a transaction becomes
//! changes (creation, self-destruction, EIP-161) is decided here and nowhere else. The forks
//! differ in what revm marks, not in this code.

use std::collections::BTreeMap;

use alloy_primitives::map::hash_map::Entry;
use alloy_primitives::map::{AddressMap, B256Map, U256Map};
use alloy_primitives::{Address, B256, U256};
use revm::bytecode::Bytecode;
use revm::database_interface::{Database, DatabaseCommit, DatabaseRef};
use revm::state::{Account, AccountInfo, EvmState};

use super::{AccountDiff, FlatAccount, SlotDiff, StateDiff, StateError, StateView};

/// See the module.
#[derive(Debug)]
pub(crate) struct BlockState {
    parent: StateView,
    accounts: AddressMap<CachedAccount>,
    /// Code that was deployed in this block.
    code: B256Map<Bytecode>,
    /// Hashes that a call assumes of earlier blocks.
    block_hashes: BTreeMap<u64, B256>,
}

#[derive(Debug)]
struct CachedAccount {
    /// In the parent's state.
    old: Option<FlatAccount>,
    /// Now.
    new: Option<AccountInfo>,
    /// Whether the storage of the parent's state no longer shows through.
    wiped: bool,
    /// Slots that were read or written. In a wiped account the old values mean nothing.
    slots: U256Map<SlotDiff>,
}

impl CachedAccount {
    /// The storage of before is gone.
    fn wipe(&mut self) {
        self.wiped = true;
        self.slots.clear();
    }

    /// What changed between the parent's state and now, if anything did.
    fn into_diff(mut self) -> Option<AccountDiff> {
        let new = self.new.as_ref().map(FlatAccount::from);
        let wiped = self.wiped;
        self.slots.retain(|_, slot| if wiped { !slot.new.is_zero() } else { slot.old != slot.new });
        // Whether there is something to wipe is known only to the trie; an account that did not
        // exist before and does not now has nothing.
        let changed = self.old != new || !self.slots.is_empty() || (wiped && (self.old.is_some() || new.is_some()));
        changed.then_some(AccountDiff { old: self.old, new, wiped, slots: self.slots })
    }
}

impl BlockState {
    /// A state that so far is the parent's.
    pub(crate) fn new(parent: StateView) -> Self {
        Self { parent, accounts: AddressMap::default(), code: B256Map::default(), block_hashes: BTreeMap::new() }
    }

    /// What the transactions since have changed.
    pub(crate) fn into_diff(self) -> StateDiff {
        let accounts =
            self.accounts.into_iter().filter_map(|(address, account)| Some((address, account.into_diff()?))).collect();
        StateDiff { accounts, code: self.code }
    }

    /// Whether an account without code and nonce has storage all the same.
    pub(crate) fn has_storage(&mut self, address: Address) -> Result<bool, StateError> {
        let account = self.load(address)?;
        if account.slots.values().any(|slot| !slot.new.is_zero()) {
            return Ok(true);
        }
        if account.wiped || account.new.is_none() {
            return Ok(false);
        }
        self.parent.has_storage(&address)
    }

    /// Has a call see an account otherwise than it is.
    pub(crate) fn assume(&mut self, address: Address, change: impl FnOnce(&mut AccountInfo)) -> Result<(), StateError> {
        let account = self.load(address)?;
        let mut info = account.new.take().unwrap_or_default();
        change(&mut info);
        let code = info.code.clone().filter(|_| !info.is_empty_code_hash());
        let hash = info.code_hash;
        account.new = Some(info);
        if let Some(code) = code {
            self.code.insert(hash, code);
        }
        Ok(())
    }

    /// Has a call see these storage slots; with `all`, and no others.
    pub(crate) fn assume_slots(
        &mut self,
        address: Address,
        all: bool,
        slots: &U256Map<U256>,
    ) -> Result<(), StateError> {
        if !all && slots.is_empty() {
            return Ok(());
        }
        let account = self.load(address)?;
        // Slots belong to an account, so there is one.
        account.new.get_or_insert_default();
        if all {
            account.wipe();
        }
        for (slot, value) in slots {
            // What is there is read first: a simulated block changes it.
            let old = self.storage(address, *slot)?;
            let account = self.load(address)?;
            account.slots.entry(*slot).or_insert(SlotDiff { old, new: old }).new = *value;
        }
        Ok(())
    }

    /// Has a call see this hash of an earlier block.
    pub(crate) fn assume_block_hash(&mut self, number: u64, hash: B256) {
        self.block_hashes.insert(number, hash);
    }

    fn load(&mut self, address: Address) -> Result<&mut CachedAccount, StateError> {
        match self.accounts.entry(address) {
            Entry::Occupied(entry) => Ok(entry.into_mut()),
            Entry::Vacant(entry) => {
                let old = self.parent.account(&address)?;
                let new = old.map(FlatAccount::to_info);
                Ok(entry.insert(CachedAccount { old, new, wiped: false, slots: U256Map::default() }))
            }
        }
    }

    /// Takes over what a transaction made of one account. revm has loaded it from here before.
    fn commit_account(&mut self, address: Address, account: Account) {
        if !account.is_touched() {
            return;
        }
        let Some(cached) = self.accounts.get_mut(&address) else {
            debug_assert!(false, "revm changed account {address} without loading it");
            return;
        };
        if account.is_selfdestructed() {
            cached.wipe();
            cached.new = None;
            return;
        }
        let created = account.is_created();
        if created {
            cached.wipe();
        } else if account.is_empty() {
            // EIP-161: a touched empty account goes away. (For older forks revm has taken the
            // touch back.)
            cached.wipe();
            cached.new = None;
            return;
        }
        if let Some(code) = account.info.code.as_ref().filter(|_| code_changed(cached.new.as_ref(), &account.info)) {
            self.code.insert(account.info.code_hash, code.clone());
        }
        for (slot, value) in account.storage {
            if value.is_changed() || created {
                let entry = cached.slots.entry(slot);
                entry.or_insert(SlotDiff { old: value.original_value, new: U256::ZERO }).new = value.present_value;
            }
        }
        cached.new = Some(account.info);
    }
}

fn code_changed(before: Option<&AccountInfo>, after: &AccountInfo) -> bool {
    !after.is_empty_code_hash() && before.map(|info| info.code_hash) != Some(after.code_hash)
}

impl Database for BlockState {
    type Error = StateError;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, StateError> {
        Ok(self.load(address)?.new.clone())
    }

    fn code_by_hash(&mut self, code_hash: B256) -> Result<Bytecode, StateError> {
        self.code_by_hash_ref(code_hash)
    }

    fn storage(&mut self, address: Address, index: U256) -> Result<U256, StateError> {
        let account = self.load(address)?;
        if let Some(slot) = account.slots.get(&index) {
            return Ok(slot.new);
        }
        if account.wiped || account.new.is_none() {
            return Ok(U256::ZERO);
        }
        let value = self.parent.storage(&address, &index)?;
        let account = self.load(address)?;
        account.slots.insert(index, SlotDiff { old: value, new: value });
        Ok(value)
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, StateError> {
        self.block_hash_ref(number)
    }
}

/// The same without remembering what was read.
impl DatabaseRef for BlockState {
    type Error = StateError;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, StateError> {
        match self.accounts.get(&address) {
            Some(account) => Ok(account.new.clone()),
            None => self.parent.basic_ref(address),
        }
    }

    fn code_by_hash_ref(&self, code_hash: B256) -> Result<Bytecode, StateError> {
        match self.code.get(&code_hash) {
            Some(code) => Ok(code.clone()),
            None => self.parent.code_by_hash(&code_hash),
        }
    }

    fn storage_ref(&self, address: Address, index: U256) -> Result<U256, StateError> {
        let Some(account) = self.accounts.get(&address) else { return self.parent.storage(&address, &index) };
        match account.slots.get(&index) {
            Some(slot) => Ok(slot.new),
            None if account.wiped || account.new.is_none() => Ok(U256::ZERO),
            None => self.parent.storage(&address, &index),
        }
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, StateError> {
        match self.block_hashes.get(&number) {
            Some(hash) => Ok(*hash),
            None => self.parent.block_hash(number),
        }
    }
}

impl DatabaseCommit for BlockState {
    fn commit(&mut self, changes: EvmState) {
        for (address, account) in changes {
            self.commit_account(address, account);
        }
    }
}
