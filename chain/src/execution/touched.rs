//! Which accounts a transaction had to do with.

use alloy_primitives::{Address, TxKind};
use revm::state::EvmState;

/// The accounts of one transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touched {
    /// Sender and recipient, whatever came of the transaction; whom inner calls went to, what was created or destroyed,
    /// unless that was taken back; sorted. Who is paid the fees is not among them for that alone, nor are precompiles
    /// that inner calls use: they would be in every list.
    pub accounts: Vec<Address>,
    /// Contracts that it created and that it left behind, sorted.
    pub created: Vec<Address>,
}

/// The addresses that rules of the protocol give to precompiles.
fn may_be_precompile(address: &Address) -> bool {
    let (zeros, last) = address.split_at(18);
    zeros.iter().all(|byte| *byte == 0) && matches!(last, [0 | 1, _]) && last != [0, 0]
}

impl Touched {
    /// What a transaction's changes tell. `state` is revm's, before it is taken over; `only_paid` is the fee recipient if
    /// the transaction had nothing else to do with it.
    pub(super) fn of(caller: Address, kind: TxKind, state: &EvmState, only_paid: Option<Address>) -> Self {
        let hidden = |address: &Address| only_paid == Some(*address) || may_be_precompile(address);
        let touched = || state.iter().filter(|(_, account)| account.is_touched());
        let mut accounts: Vec<_> = touched().map(|(address, _)| *address).filter(|address| !hidden(address)).collect();
        // A transaction that fails takes the touch of its recipient back.
        accounts.extend([caller].into_iter().chain(kind.into_to()));
        accounts.sort_unstable();
        accounts.dedup();
        let left_behind = touched().filter(|(_, account)| account.is_created() && !account.is_selfdestructed());
        let mut created: Vec<_> = left_behind.map(|(address, _)| *address).collect();
        created.sort_unstable();
        Self { accounts, created }
    }
}
