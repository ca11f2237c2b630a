//! Which transaction may take the place of another one with the same sender and nonce.
//!
//! *Priced.* As in Geth: both caps (fee and tip) must be above the old ones and at least
//! [`PRICE_BUMP_PERCENT`] higher.
//!
//! *Free.* Where the old transaction would pay nothing (base fee and price zero), a percentage
//! means nothing, and yet people must be able to correct and to cancel:
//! 1. Any newcomer that pays something replaces it.
//! 2. A **cancellation** (a transfer of 0 to oneself without input) replaces anything else that is
//!    free, and no free transaction replaces a cancellation. So a cancellation wins on every node
//!    in whatever order the two arrive.
//! 3. Otherwise the newcomer wins, at most [`MAX_FREE_REPLACEMENTS`] times per sender and nonce,
//!    and a transaction that was replaced does not come back. The bound is what makes it safe: a
//!    free slot costs its nodes a fixed number of recoveries and pushes at most, where it would
//!    otherwise be an endless, unpaid stream. That a replaced one stays out keeps two nodes that
//!    saw the two in different order from pushing them to each other in turn; each keeps what it
//!    saw last, and the block decides.
//!
//! A free newcomer never replaces a transaction that pays.

use alloy_consensus::Transaction as _;
use alloy_primitives::{B256, TxKind};

use crate::transaction::{Recovered, Transaction};

/// How much higher both caps of a replacement must be. Geth's default, which wallets know.
pub const PRICE_BUMP_PERCENT: u128 = 10;

/// How often a free transaction may be replaced by a free one that is no cancellation.
///
/// Enough for a person who corrects mistakes; it multiplies the cost of a free slot by at most
/// this and two.
pub const MAX_FREE_REPLACEMENTS: usize = 8;

/// Whether `new` may replace `old`, which has replaced those in `replaced` for free.
pub(super) fn may_replace(old: &Recovered, replaced: &[B256], new: &Recovered, base_fee: u64) -> bool {
    if outbids(old.tx(), new.tx()) {
        return true;
    }
    match (is_free(old.tx(), base_fee), is_free(new.tx(), base_fee)) {
        (false, _) => false,
        (true, false) => true,
        (true, true) if is_cancellation(old) => false,
        (true, true) if is_cancellation(new) => true,
        (true, true) => replaced.len() < MAX_FREE_REPLACEMENTS && !replaced.contains(new.hash()),
    }
}

/// Whether replacing `old` by `new` counts against [`MAX_FREE_REPLACEMENTS`].
pub(super) fn is_free_replacement(old: &Recovered, new: &Recovered, base_fee: u64) -> bool {
    is_free(old.tx(), base_fee) && is_free(new.tx(), base_fee)
}

fn outbids(old: &Transaction, new: &Transaction) -> bool {
    let higher = |old: u128, new: u128| new > old && new >= old.saturating_add(old / (100 / PRICE_BUMP_PERCENT));
    higher(old.max_fee_per_gas(), new.max_fee_per_gas())
        && higher(old.priority_fee_or_price(), new.priority_fee_or_price())
}

/// Whether the transaction pays nothing at this base fee.
fn is_free(tx: &Transaction, base_fee: u64) -> bool {
    tx.effective_gas_price(Some(base_fee)) == 0
}

/// Whether it is what wallets send to cancel: 0 to oneself, with nothing else in it.
fn is_cancellation(tx: &Recovered) -> bool {
    let (sender, tx) = (tx.sender(), tx.tx());
    tx.kind() == TxKind::Call(sender)
        && tx.value().is_zero()
        && tx.input().is_empty()
        && tx.access_list().is_none_or(|list| list.is_empty())
        && tx.authorization_list().is_none_or(<[_]>::is_empty)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mempool::testing::{Draft, address};

    #[test]
    fn priced() {
        // (old fee cap, old tip, new fee cap, new tip, replaces)
        let table = [
            (100, 100, 110, 110, true),
            (100, 100, 109, 110, false),
            (100, 100, 110, 109, false),
            (100, 100, 100, 100, false),
            (1, 1, 2, 2, true),
            (1, 1, 1, 1, false),
            (100, 0, 110, 0, false),
            (100, 0, 110, 1, true),
            (100, 10, 0, 0, false),
            (u128::MAX, u128::MAX, u128::MAX, u128::MAX, false),
        ];
        for (old_cap, old_tip, cap, tip, expected) in table {
            let old = Draft::new(1, 0).fees(old_cap, old_tip).recovered();
            let new = Draft::new(1, 0).fees(cap, tip).value(1).recovered();
            let got = may_replace(&old, &[], &new, 1);
            assert_eq!(got, expected, "{old_cap}/{old_tip} -> {cap}/{tip}");
        }
    }

    #[test]
    fn free() {
        let plain = Draft::new(1, 0).recovered();
        let other = Draft::new(1, 0).value(1).recovered();
        let cap_only = Draft::new(1, 0).fees(5, 0).recovered();
        let one_wei = Draft::new(1, 0).fees(1, 1).recovered();
        let cancel = Draft::new(1, 0).to(address(1)).recovered();
        let cancel2 = Draft::new(1, 0).to(address(1)).gas(30_000).recovered();
        let self_with_input = Draft::new(1, 0).to(address(1)).input(vec![1]).recovered();
        let self_with_value = Draft::new(1, 0).to(address(1)).value(1).recovered();
        let table = [
            (&plain, &other, true, "another free one"),
            (&other, &plain, true, "and back, if it was not replaced before"),
            (&plain, &cap_only, true, "a cap alone pays nothing"),
            (&cap_only, &plain, true, "so it is free to be replaced"),
            (&plain, &one_wei, true, "one that pays"),
            (&cap_only, &one_wei, true, "one that pays, whatever the cap"),
            (&one_wei, &plain, false, "free does not replace paid"),
            (&one_wei, &cancel, false, "not even to cancel"),
            (&plain, &cancel, true, "a cancellation"),
            (&self_with_input, &cancel, true, "input is no cancellation"),
            (&self_with_value, &cancel, true, "value is no cancellation"),
            (&cancel, &plain, false, "a cancellation stays"),
            (&cancel, &cancel2, false, "also before another one"),
            (&cancel, &one_wei, true, "but not before one that pays"),
        ];
        for (old, new, expected, why) in table {
            assert_eq!(may_replace(old, &[], new, 0), expected, "{why}");
        }
    }

    #[test]
    fn free_limit_and_one_more() {
        let old = Draft::new(1, 0).recovered();
        let new = Draft::new(1, 0).value(1).recovered();
        let cancel = Draft::new(1, 0).to(address(1)).recovered();
        let mut replaced = vec![B256::ZERO; MAX_FREE_REPLACEMENTS - 1];
        assert!(may_replace(&old, &replaced, &new, 0));
        replaced.push(B256::ZERO);
        assert!(!may_replace(&old, &replaced, &new, 0));
        assert!(may_replace(&old, &replaced, &cancel, 0), "cancelling works for ever");
        assert!(!may_replace(&old, &[*new.hash()], &new, 0), "replaced ones stay out");
    }

    #[test]
    fn with_a_base_fee_nothing_is_free() {
        let old = Draft::new(1, 0).fees(7, 0).recovered();
        let new = Draft::new(1, 0).fees(7, 0).value(1).recovered();
        assert!(!may_replace(&old, &[], &new, 7));
    }
}
