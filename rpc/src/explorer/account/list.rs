//! The transactions of an account, newest first, through the index of accounts.

use alloy_consensus::Transaction as _;
use alloy_primitives::Address;
use assent_chain::{
    Chain,
    chain::FinalTransaction,
    storage::{StorageError, TransactionPosition},
};

use super::{Cursor, Kind};
use crate::explorer::page::Failure;

/// Entries of the index that one page goes through: most of a busy contract's are of one kind.
const MAX_SCANNED: usize = 500;

/// What a transaction is to an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// It sent it, to somebody else.
    Sent,
    /// It was sent to it.
    Received,
    /// It sent it to itself.
    Itself,
    /// It sent it, and it creates a contract.
    Creates,
    /// It was created in it.
    Created,
    /// Something within touched it.
    Within,
}

/// A transaction of the list.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) transaction: FinalTransaction,
    pub(super) role: Role,
    pub(super) success: bool,
}

/// A part of the list.
#[derive(Debug, Default)]
pub(super) struct Listed {
    pub(super) entries: Vec<Entry>,
    /// Where older ones begin; `None`: there are none.
    pub(super) older: Option<Cursor>,
}

/// What came of a search.
#[derive(Debug)]
pub(super) enum Searched {
    /// The list.
    Found(Listed),
    /// The node has no whole index; what it has ends at this block.
    NoIndex(u64),
}

/// The transactions of an account before a place.
pub(super) fn find(
    chain: &Chain,
    address: &Address,
    before: Option<Cursor>,
    kind: Kind,
    size: usize,
) -> Result<Searched, Failure> {
    let creation = match chain.creation_up_to(address, u64::MAX) {
        Ok(position) => position.map(place),
        Err(error) => return refused(error),
    };
    let from = before.map_or(u64::MAX, |before| before.number);
    let mut listed = Listed::default();
    let mut scanned = 0;
    let mut last = None;
    for position in chain.transactions_up_to(address, from) {
        let at = match position {
            Ok(position) => place(position),
            Err(error) => return refused(error),
        };
        if before.is_some_and(|before| at >= before) {
            continue;
        }
        if listed.entries.len() >= size || scanned >= MAX_SCANNED {
            listed.older = last;
            break;
        }
        (scanned, last) = (scanned + 1, Some(at));
        let transaction = chain.transaction_at(at.number, at.index)?;
        let transaction = transaction.ok_or_else(|| missing(at))?;
        let role = role(&transaction, address, creation == Some(at));
        if kind.holds(role) {
            let receipt = chain.receipt(transaction.transaction.hash())?.ok_or_else(|| missing(at))?;
            listed.entries.push(Entry { transaction, role, success: receipt.receipt.success });
        }
    }
    Ok(Searched::Found(listed))
}

fn place(position: TransactionPosition) -> Cursor {
    Cursor { number: position.number, index: position.index }
}

fn refused(error: StorageError) -> Result<Searched, Failure> {
    match error {
        StorageError::AddressIndex { number } => Ok(Searched::NoIndex(number)),
        error => Err(error.into()),
    }
}

fn missing(at: Cursor) -> Failure {
    Failure::Internal(format!("transaction {} of block {} is not stored", at.index, at.number))
}

fn role(found: &FinalTransaction, address: &Address, created: bool) -> Role {
    let (from, to) = (found.transaction.sender(), found.transaction.tx().to());
    role_of(&from, to.as_ref(), address, created)
}

fn role_of(from: &Address, to: Option<&Address>, address: &Address, created: bool) -> Role {
    match (from == address, to) {
        (true, Some(to)) if to == address => Role::Itself,
        (true, Some(_)) => Role::Sent,
        (true, None) => Role::Creates,
        (false, _) if created => Role::Created,
        (false, Some(to)) if to == address => Role::Received,
        (false, _) => Role::Within,
    }
}

impl Kind {
    fn holds(self, role: Role) -> bool {
        match self {
            Self::All => true,
            Self::Sent => matches!(role, Role::Sent | Role::Itself | Role::Creates),
            Self::Received => matches!(role, Role::Received | Role::Itself),
            Self::Creations => matches!(role, Role::Creates | Role::Created),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_has_one_role_for_an_account() {
        let [me, other, third] = [1, 2, 3].map(Address::repeat_byte);
        for (from, to, created, role) in [
            (me, Some(other), false, Role::Sent),
            (me, Some(me), false, Role::Itself),
            (me, None, false, Role::Creates),
            (other, Some(me), false, Role::Received),
            (other, None, true, Role::Created),
            (other, Some(third), true, Role::Created),
            (other, Some(third), false, Role::Within),
        ] {
            assert_eq!(role_of(&from, to.as_ref(), &me, created), role);
        }
    }

    #[test]
    fn kinds_hold_the_roles_of_their_names() {
        let of = |kind: Kind| {
            let roles = [Role::Sent, Role::Received, Role::Itself, Role::Creates, Role::Created, Role::Within];
            roles.map(|role| kind.holds(role))
        };
        assert_eq!(of(Kind::All), [true; 6]);
        assert_eq!(of(Kind::Sent), [true, false, true, true, false, false]);
        assert_eq!(of(Kind::Received), [false, true, true, false, false, false]);
        assert_eq!(of(Kind::Creations), [false, false, false, true, true, false]);
    }
}
