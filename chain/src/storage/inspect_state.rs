//! Checking the whole stored state: the tries node by node, and the flat state against them.
//!
//! Reads everything once and keeps nothing, so it takes time in proportion to the state but little memory.

use alloy_primitives::{Address, B256, U256, keccak256};
use rocksdb::IteratorMode;

use super::inspect::StoredChain;
use super::{StorageError, schema};
use crate::state::FlatAccount;
use crate::trie::{StateTrie, TrieError};

/// Slots of one account that are looked up together.
const SLOTS_AT_ONCE: usize = 256;

/// A sound state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckedState {
    /// Accounts.
    pub accounts: u64,
    /// Storage slots that are not zero.
    pub slots: u64,
    /// Nodes of all tries.
    pub nodes: u64,
}

/// The stored state is not that of the head's state root.
#[derive(Debug, thiserror::Error)]
pub enum StateDamage {
    /// A trie cannot be read, or is not what its root says.
    #[error("state: {0}")]
    Trie(#[from] TrieError),
    /// An entry cannot be read.
    #[error("state: {0}")]
    Storage(#[from] StorageError),
    /// An account is not what the trie says.
    #[error("state: account {address}: expected {expected:?}, as the trie proves, got {got:?}")]
    Account {
        /// Whose.
        address: Address,
        /// What the trie says.
        expected: Box<Option<FlatAccount>>,
        /// What is stored.
        got: Box<FlatAccount>,
    },
    /// A slot is not what the trie says.
    #[error("state: account {address}, slot {slot:#x}: expected {expected:#x}, as the trie proves, got {got:#x}")]
    Slot {
        /// Whose.
        address: Address,
        /// Which.
        slot: U256,
        /// What the trie says.
        expected: U256,
        /// What is stored.
        got: U256,
    },
    /// Entries are missing.
    #[error("state: expected {expected} {what}, as the trie has them, got {got}")]
    Count {
        /// Of what.
        what: &'static str,
        /// Leaves of the trie.
        expected: u64,
        /// Entries.
        got: u64,
    },
    /// Code is missing or is not the code of its hash.
    #[error("state: account {address}: the code {hash} is {wrong}")]
    Code {
        /// Whose.
        address: Address,
        /// keccak256 of the code.
        hash: B256,
        /// What is wrong.
        wrong: &'static str,
    },
    /// A key does not have the length that it must have.
    #[error("state: `{column}` has a key of {got} bytes, expected {expected}")]
    Key {
        /// The column family.
        column: &'static str,
        /// The right length.
        expected: usize,
        /// Its length.
        got: usize,
    },
}

impl StoredChain {
    /// Checks the state after the head: every node of every trie is there and has the hash that its
    /// parent names, up to the head's state root; accounts, slots and code are what the tries say.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check_state(&self) -> Result<CheckedState, StateDamage> {
        let walked = self.trie().walk(&self.store)?;
        let accounts = self.check_accounts()?;
        let slots = self.check_slots()?;
        for (what, expected, got) in [("accounts", walked.accounts, accounts), ("storage slots", walked.slots, slots)] {
            if expected != got {
                return Err(StateDamage::Count { what, expected, got });
            }
        }
        Ok(CheckedState { accounts, slots, nodes: walked.nodes })
    }

    /// The trie with nothing of it in memory. What a look-up fetches stays with it, so each gets its own.
    fn trie(&self) -> StateTrie {
        StateTrie::stored(self.head.state_root)
    }

    fn check_accounts(&self) -> Result<u64, StateDamage> {
        let mut count = 0;
        for entry in self.store.db.iterator_cf(self.store.column(schema::ACCOUNTS), IteratorMode::Start) {
            let (key, value) = entry.map_err(StorageError::from)?;
            let address = Address::from(fixed::<20>(schema::ACCOUNTS, &key)?);
            let got = schema::decode_account(&value)
                .map_err(|error| super::read::malformed(schema::ACCOUNTS, &key, error))?;
            let proof = self.trie().proof(&self.store, self.head.number, keccak256(address), &[])?;
            if proof.account != Some(got) {
                return Err(StateDamage::Account { address, expected: Box::new(proof.account), got: Box::new(got) });
            }
            if got.has_code() {
                self.check_code(address, got.code_hash)?;
            }
            count += 1;
        }
        Ok(count)
    }

    fn check_code(&self, address: Address, hash: B256) -> Result<(), StateDamage> {
        let wrong = match self.store.get(schema::CODE, hash.as_slice())? {
            None => "missing",
            Some(code) if keccak256(&code) != hash => "damaged: it has another hash",
            Some(_) => return Ok(()),
        };
        Err(StateDamage::Code { address, hash, wrong })
    }

    fn check_slots(&self) -> Result<u64, StateDamage> {
        let mut count = 0;
        let mut batch: (Address, Vec<(U256, U256)>) = Default::default();
        for entry in self.store.db.iterator_cf(self.store.column(schema::STORAGE), IteratorMode::Start) {
            let (key, value) = entry.map_err(StorageError::from)?;
            let bytes = fixed::<52>(schema::STORAGE, &key)?;
            let (address, slot) = (Address::from_slice(&bytes[..20]), U256::from_be_slice(&bytes[20..]));
            let value = schema::decode_slot(&value)
                .ok_or_else(|| super::read::malformed(schema::STORAGE, &key, "more than 32 bytes"))?;
            if batch.0 != address || batch.1.len() == SLOTS_AT_ONCE {
                self.check_slots_of(batch.0, &batch.1)?;
                batch = (address, Vec::new());
            }
            batch.1.push((slot, value));
            count += 1;
        }
        self.check_slots_of(batch.0, &batch.1)?;
        Ok(count)
    }

    fn check_slots_of(&self, address: Address, slots: &[(U256, U256)]) -> Result<(), StateDamage> {
        let keys: Vec<B256> = slots.iter().map(|(slot, _)| keccak256(slot.to_be_bytes::<32>())).collect();
        let proof = self.trie().proof(&self.store, self.head.number, keccak256(address), &keys)?;
        for ((slot, got), (expected, _)) in slots.iter().zip(proof.slots) {
            if *got != expected || got.is_zero() {
                return Err(StateDamage::Slot { address, slot: *slot, expected, got: *got });
            }
        }
        Ok(())
    }
}

fn fixed<const N: usize>(column: &'static str, key: &[u8]) -> Result<[u8; N], StateDamage> {
    key.try_into().map_err(|_| StateDamage::Key { column, expected: N, got: key.len() })
}
