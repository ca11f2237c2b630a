//! The trie of all accounts with the storage tries that hang in its leaves.

use alloy_primitives::map::AddressSet;
use alloy_primitives::{Address, B256, U256};
use alloy_rlp::{Decodable, Encodable};
use alloy_trie::{EMPTY_ROOT_HASH, TrieAccount};

use super::node::{Leaf, Link};
use super::update::{Update, Writer, update};
use super::{NodeSource, Record, TrieError};
use crate::state::FlatAccount;

/// What a block does to one account.
#[derive(Clone, Debug)]
pub(crate) struct AccountChange {
    /// Whose.
    pub(crate) address: Address,
    /// What it is afterwards; `None`: it does not exist.
    pub(crate) account: Option<FlatAccount>,
    /// Whether its storage is emptied before `slots` are set.
    pub(crate) wipe: bool,
    /// Hashed slots and what they hold afterwards, sorted; zero removes.
    pub(crate) slots: Vec<(B256, U256)>,
}

/// The leaf of an account.
#[derive(Clone, Debug)]
pub(crate) struct AccountLeaf {
    pub(crate) account: FlatAccount,
    /// The root of its storage trie; `None`: empty.
    pub(crate) storage: Option<Link<SlotLeaf>>,
}

/// The leaf of a storage slot: its value, which is not zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SlotLeaf(pub(crate) U256);

impl AccountLeaf {
    pub(crate) fn storage_root(&self) -> B256 {
        self.storage.as_ref().map_or(EMPTY_ROOT_HASH, Link::root_hash)
    }
}

impl Leaf for AccountLeaf {
    fn encode(&self, out: &mut Vec<u8>) {
        let FlatAccount { nonce, balance, code_hash } = self.account;
        TrieAccount::new(nonce, balance, self.storage_root(), code_hash).encode(out);
    }

    fn decode(mut bytes: &[u8]) -> alloy_rlp::Result<Self> {
        let account = TrieAccount::decode(&mut bytes)?;
        let storage = match account.storage_root {
            EMPTY_ROOT_HASH => None,
            root => Some(Link::stored_root(root)),
        };
        let TrieAccount { nonce, balance, code_hash, .. } = account;
        Ok(Self { account: FlatAccount { nonce, balance, code_hash }, storage })
    }
}

impl Leaf for SlotLeaf {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }

    fn decode(mut bytes: &[u8]) -> alloy_rlp::Result<Self> {
        U256::decode(&mut bytes).map(Self)
    }
}

impl Update for SlotLeaf {
    type Change = U256;

    fn apply(
        _old: Option<&Self>,
        _key: &B256,
        change: &U256,
        _writer: &mut Writer<'_>,
    ) -> Result<Option<Self>, TrieError> {
        Ok((!change.is_zero()).then_some(Self(*change)))
    }
}

impl Update for AccountLeaf {
    type Change = AccountChange;

    fn apply(
        old: Option<&Self>,
        key: &B256,
        change: &AccountChange,
        writer: &mut Writer<'_>,
    ) -> Result<Option<Self>, TrieError> {
        let before = old.and_then(|leaf| leaf.storage.as_ref());
        let wipe = change.wipe || change.account.is_none();
        if wipe && before.is_some() {
            writer.wiped.insert(change.address);
        }
        let Some(account) = change.account else { return Ok(None) };
        let before = before.filter(|_| !wipe);
        let storage = update(writer, Some(*key), before, &change.slots)?;
        Ok(Some(Self { account, storage }))
    }
}

/// The trie of all accounts at some block. A clone shares everything.
#[derive(Clone, Debug, Default)]
pub(crate) struct StateTrie {
    pub(super) root: Option<Link<AccountLeaf>>,
}

/// What a block's changes make of a trie.
#[derive(Debug)]
pub(crate) struct TrieUpdate {
    /// The trie afterwards.
    pub(crate) trie: StateTrie,
    /// What to write to the storage, after the wipes.
    pub(crate) records: Vec<Record>,
    /// Accounts that lose the storage that they had.
    pub(crate) wiped: AddressSet,
}

impl StateTrie {
    /// The stored trie with this root.
    pub(crate) fn stored(root: B256) -> Self {
        Self { root: (root != EMPTY_ROOT_HASH).then(|| Link::stored_root(root)) }
    }

    /// The state root.
    pub(crate) fn root_hash(&self) -> B256 {
        self.root.as_ref().map_or(EMPTY_ROOT_HASH, Link::root_hash)
    }

    /// The trie after `changes`, which must be sorted by hashed address without duplicates.
    /// `number` is the number of the block that makes them.
    pub(crate) fn update(
        &self,
        source: &dyn NodeSource,
        number: u64,
        changes: &[(B256, AccountChange)],
    ) -> Result<TrieUpdate, TrieError> {
        let mut writer = Writer::new(source, number);
        let root = update(&mut writer, None, self.root.as_ref(), changes)?;
        let (records, wiped) = writer.finish();
        Ok(TrieUpdate { trie: Self { root }, records, wiped })
    }
}
