//! What a block changes in the state.

use alloy_primitives::map::{AddressMap, AddressSet, B256Map, U256Map};
use alloy_primitives::{B256, U256, keccak256};
use revm::bytecode::Bytecode;

use super::FlatAccount;
use crate::trie::AccountChange;

/// A storage slot before and after a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotDiff {
    /// Before.
    pub old: U256,
    /// After.
    pub new: U256,
}

/// An account before and after a block.
#[derive(Clone, Debug, Default)]
pub struct AccountDiff {
    /// Before; `None`: it did not exist.
    pub old: Option<FlatAccount>,
    /// After; `None`: it does not exist.
    pub new: Option<FlatAccount>,
    /// Whether all of its storage went away before `slots` were set.
    pub wiped: bool,
    /// The slots that changed, and of a wiped account those that hold something afterwards.
    pub slots: U256Map<SlotDiff>,
}

/// Everything that a block changes in the state.
///
/// The maps have no defined order; whatever depends on an order sorts first.
#[derive(Clone, Debug, Default)]
pub struct StateDiff {
    /// The accounts that changed.
    pub accounts: AddressMap<AccountDiff>,
    /// Code that the block deployed.
    pub code: B256Map<Bytecode>,
}

impl StateDiff {
    /// The same for the trie, sorted by hashed address and hashed slot.
    pub(crate) fn trie_changes(&self) -> Vec<(B256, AccountChange)> {
        let mut changes: Vec<_> = self
            .accounts
            .iter()
            .map(|(address, diff)| {
                let hash_slot = |(slot, value): (&U256, &SlotDiff)| (keccak256(slot.to_be_bytes::<32>()), value.new);
                let mut slots: Vec<_> = diff.slots.iter().map(hash_slot).collect();
                slots.sort_unstable_by_key(|(key, _)| *key);
                let change = AccountChange { address: *address, account: diff.new, wipe: diff.wiped, slots };
                (keccak256(address), change)
            })
            .collect();
        changes.sort_unstable_by_key(|(key, _)| *key);
        changes
    }

    /// Keeps the mark of a wiped account only where there was storage to wipe.
    pub(crate) fn retain_wiped(&mut self, wiped: &AddressSet) {
        for (address, diff) in &mut self.accounts {
            diff.wiped = wiped.contains(address);
        }
    }

    /// About how much memory this takes.
    pub(crate) fn size(&self) -> usize {
        const ACCOUNT: usize = 224;
        const SLOT: usize = 104;
        let slots: usize = self.accounts.values().map(|diff| diff.slots.len()).sum();
        let code: usize = self.code.values().map(Bytecode::len).sum();
        self.accounts.len() * ACCOUNT + slots * SLOT + code
    }
}
