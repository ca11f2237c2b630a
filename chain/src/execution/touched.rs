//! Which accounts a transaction had to do with.

use alloy_primitives::{Address, TxKind};
use revm::state::EvmState;

/// The accounts of one transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touched {
    /// Sender, recipient, whom inner calls went to, what was created or destroyed; sorted. The fee recipient and
    /// precompiles are among them only as sender or recipient: they would be in every list.
    pub accounts: Vec<Address>,
    /// Contracts that it created, sorted.
    pub created: Vec<Address>,
}

/// The addresses that rules of the protocol give to precompiles.
fn may_be_precompile(address: &Address) -> bool {
    let (zeros, last) = address.split_at(18);
    zeros.iter().all(|byte| *byte == 0) && matches!(last, [0 | 1, _]) && last != [0, 0]
}

impl Touched {
    /// What a transaction's changes tell. `state` is revm's, before it is taken over.
    pub(super) fn of(caller: Address, kind: TxKind, state: &EvmState, fee_recipient: &Address) -> Self {
        let named = |address: &Address| *address == caller || kind == TxKind::Call(*address);
        let hidden = |address: &Address| address == fee_recipient || may_be_precompile(address);
        let touched = state.iter().filter(|(_, account)| account.is_touched()).map(|(address, _)| *address);
        let mut accounts: Vec<_> = touched.filter(|address| named(address) || !hidden(address)).collect();
        accounts.sort_unstable();
        let created = state.iter().filter(|(_, account)| account.is_touched() && account.is_created());
        let mut created: Vec<_> = created.map(|(address, _)| *address).collect();
        created.sort_unstable();
        Self { accounts, created }
    }
}
