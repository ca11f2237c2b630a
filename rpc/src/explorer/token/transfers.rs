//! Transfers of tokens, found through the index of logs, newest first.
//!
//! The index tells blocks in their order, oldest first. So the chain is searched in windows from the newest block down,
//! small ones first: a busy account fills its page from the first, a quiet one from a few large ones.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    time::Instant,
};

use alloy_primitives::{Address, B256, Log, U256, b256};
use assent_chain::{
    Chain,
    storage::{LogTerms, Searched},
};

use super::Standard;
use crate::explorer::{account::Cursor, page::Failure};

/// `Transfer(address,address,uint256)`, of ERC-20 and ERC-721
pub(crate) const TRANSFER: B256 = b256!("ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef");
/// `TransferSingle(address,address,address,uint256,uint256)`, of ERC-1155
pub(crate) const SINGLE: B256 = b256!("c3d58168c5ae7397731d063d5bbf3d657854427343f4c083240f7aacaa2d0f62");
/// `TransferBatch(address,address,address,uint256[],uint256[])`, of ERC-1155
pub(crate) const BATCH: B256 = b256!("4a39dc06d4c0dbc64b70af90fd698a233a518aa5d07e595d983b8c0526c8f7fb");

/// Kinds of things in one transfer that are told.
const MAX_KINDS: usize = 32;
/// Blocks of the first window, and of the largest.
const FIRST_WINDOW: u64 = 256;
const LARGEST_WINDOW: u64 = 16_384;

/// What went from one account to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Goods {
    /// An amount of an ERC-20.
    Amount(U256),
    /// A thing of an ERC-721, by its number.
    Thing(U256),
    /// Kinds of an ERC-1155, each with its amount.
    Kinds(Vec<(U256, U256)>),
}

impl Goods {
    pub(crate) fn standard(&self) -> Standard {
        match self {
            Self::Amount(_) => Standard::Erc20,
            Self::Thing(_) => Standard::Erc721,
            Self::Kinds(_) => Standard::Erc1155,
        }
    }
}

/// A transfer, as a contract logged it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Moved {
    pub(crate) token: Address,
    pub(crate) from: Address,
    pub(crate) to: Address,
    pub(crate) goods: Goods,
}

/// The same with its place.
#[derive(Clone, Debug)]
pub(crate) struct Transfer {
    /// Its block, and the log's position in it.
    pub(crate) at: Cursor,
    pub(crate) transaction: B256,
    /// The time of its block, in seconds.
    pub(crate) timestamp: u64,
    pub(crate) moved: Moved,
}

/// Whose transfers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Scope {
    /// To and from an account.
    Account(Address),
    /// Of a token.
    Token(Address),
}

/// A part of a list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    pub(crate) transfers: Vec<Transfer>,
    /// Where older ones begin; `None`: there are none.
    pub(crate) older: Option<Cursor>,
}

/// Reads a log; `None`: it is no transfer.
pub(crate) fn read(log: &Log) -> Option<Moved> {
    let address = |topic: &B256| topic[..12].iter().all(|byte| *byte == 0).then(|| Address::from_word(*topic));
    let word = |at: usize| Some(U256::from_be_bytes(*log.data.data.get(at..)?.first_chunk::<32>()?));
    let token = log.address;
    let (first, others) = log.topics().split_first()?;
    let (from, to, goods) = match others {
        [from, to] if *first == TRANSFER => (from, to, Goods::Amount(word(0)?)),
        [from, to, id] if *first == TRANSFER => (from, to, Goods::Thing(U256::from_be_bytes(id.0))),
        [_, from, to] if *first == SINGLE => (from, to, Goods::Kinds(vec![(word(0)?, word(32)?)])),
        [_, from, to] if *first == BATCH => {
            let (ids, amounts) = (list(&log.data.data, 0)?, list(&log.data.data, 32)?);
            (from, to, Goods::Kinds(ids.into_iter().zip(amounts).collect()))
        }
        _ => return None,
    };
    Some(Moved { token, from: address(from)?, to: address(to)?, goods })
}

/// The first numbers of a list whose place stands at `at`.
fn list(data: &[u8], at: usize) -> Option<Vec<U256>> {
    let word = |at: usize| Some(U256::from_be_bytes(*data.get(at..)?.first_chunk::<32>()?));
    let size = |at: usize| usize::try_from(word(at)?).ok().filter(|size| *size <= data.len());
    let place = size(at)?;
    let length = size(place)?;
    (0..length.min(MAX_KINDS)).map(|index| word(place + 32 + index * 32)).collect()
}

impl Scope {
    fn holds(self, moved: &Moved) -> bool {
        match self {
            Self::Account(account) => moved.from == account || moved.to == account,
            Self::Token(token) => moved.token == token,
        }
    }

    /// The questions to the index; each transfer of the scope is an answer to one of them.
    fn questions(self) -> Vec<LogTerms> {
        let terms = |addresses: Vec<Address>, topics: Vec<Vec<B256>>| LogTerms { addresses, topics };
        match self {
            Self::Token(token) => vec![terms(vec![token], vec![vec![TRANSFER, SINGLE, BATCH]])],
            Self::Account(account) => {
                let own = || vec![account.into_word()];
                let kinds = || vec![SINGLE, BATCH];
                vec![
                    terms(vec![], vec![vec![TRANSFER], own()]),
                    terms(vec![], vec![vec![TRANSFER], vec![], own()]),
                    terms(vec![], vec![kinds(), vec![], own()]),
                    terms(vec![], vec![kinds(), vec![], vec![], own()]),
                ]
            }
        }
    }
}

/// At most `size` transfers before a place, newest first. What is not found until the deadline is left to the next page.
pub(crate) fn find(
    chain: &Chain,
    scope: Scope,
    before: Option<Cursor>,
    size: usize,
    deadline: Instant,
) -> Result<Found, Failure> {
    let questions = scope.questions();
    let mut logs = Vec::new();
    let mut top = before.map_or(u64::MAX, |before| before.number).min(chain.head().number);
    let mut window = FIRST_WINDOW;
    loop {
        let bottom = top.saturating_sub(window - 1);
        let mut numbers = BTreeSet::new();
        for question in &questions {
            for step in chain.blocks_with_logs(question, bottom..=top) {
                // How far a search is does not matter within a window.
                if let Searched::Block(number) = step? {
                    numbers.insert(number);
                }
            }
        }
        for number in numbers.into_iter().rev() {
            of_block(chain, scope, number, before, size + 1, &mut logs)?;
            if logs.len() > size {
                logs.truncate(size);
                let older = logs.last().map(|(at, ..)| *at);
                return placed(chain, logs, older);
            }
            if Instant::now() >= deadline && number > 0 {
                return placed(chain, logs, Some(Cursor::end_of(number - 1)));
            }
        }
        let Some(next) = bottom.checked_sub(1) else { return placed(chain, logs, None) };
        if Instant::now() >= deadline {
            return placed(chain, logs, Some(Cursor::end_of(next)));
        }
        top = next;
        window = (window * 4).min(LARGEST_WINDOW);
    }
}

/// A log with its place and the position of its transaction.
type Logged = (Cursor, u32, Moved);

/// Adds the transfers of a block, newest first, until there are `most`.
fn of_block(
    chain: &Chain,
    scope: Scope,
    number: u64,
    before: Option<Cursor>,
    most: usize,
    logs: &mut Vec<Logged>,
) -> Result<(), Failure> {
    let Some(receipts) = chain.receipts(number)? else { return Ok(()) };
    let mut index = receipts.iter().map(|receipt| receipt.logs.len() as u32).sum::<u32>();
    for (transaction, receipt) in (0u32..).zip(receipts.iter()).collect::<Vec<_>>().into_iter().rev() {
        for log in receipt.logs.iter().rev() {
            index -= 1;
            let at = Cursor { number, index };
            if logs.len() >= most {
                return Ok(());
            }
            if before.is_some_and(|before| at >= before) {
                continue;
            }
            logs.extend(read(log).filter(|moved| scope.holds(moved)).map(|moved| (at, transaction, moved)));
        }
    }
    Ok(())
}

/// Gives logs the hashes of their transactions and their times.
fn placed(chain: &Chain, logs: Vec<Logged>, older: Option<Cursor>) -> Result<Found, Failure> {
    let mut known: BTreeMap<(u64, u32), (B256, u64)> = BTreeMap::new();
    let mut transfers = Vec::with_capacity(logs.len());
    for (at, index, moved) in logs {
        let (transaction, timestamp) = match known.entry((at.number, index)) {
            Entry::Occupied(entry) => *entry.get(),
            Entry::Vacant(entry) => {
                let found = chain.transaction_at(at.number, index)?;
                let found =
                    found.ok_or_else(|| Failure::Internal(format!("block {} lacks a transaction", at.number)))?;
                *entry.insert((*found.transaction.hash(), found.timestamp))
            }
        };
        transfers.push(Transfer { at, transaction, timestamp, moved });
    }
    Ok(Found { transfers, older })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::keccak256;

    fn word(number: u64) -> B256 {
        U256::from(number).into()
    }

    fn log(topics: &[B256], data: &[B256]) -> Log {
        let data: Vec<u8> = data.iter().flat_map(|word| word.0).collect();
        Log::new_unchecked(Address::repeat_byte(9), topics.to_vec(), data.into())
    }

    #[test]
    fn the_topics_are_those_of_the_standards() {
        assert_eq!(TRANSFER, keccak256("Transfer(address,address,uint256)"));
        assert_eq!(SINGLE, keccak256("TransferSingle(address,address,address,uint256,uint256)"));
        assert_eq!(BATCH, keccak256("TransferBatch(address,address,address,uint256[],uint256[])"));
    }

    #[test]
    fn transfers_of_all_standards_are_recognised() {
        let goods = |log: Log| read(&log).map(|moved| (moved.from, moved.to, moved.goods));
        let ends = |goods| Some((Address::with_last_byte(1), Address::with_last_byte(2), goods));
        let (from, to) = (word(1), word(2));
        assert_eq!(goods(log(&[TRANSFER, from, to], &[word(5)])), ends(Goods::Amount(U256::from(5))));
        assert_eq!(goods(log(&[TRANSFER, from, to, word(7)], &[])), ends(Goods::Thing(U256::from(7))));
        let kinds = |list: &[(u64, u64)]| {
            Goods::Kinds(list.iter().map(|(id, amount)| (U256::from(*id), U256::from(*amount))).collect())
        };
        assert_eq!(goods(log(&[SINGLE, word(3), from, to], &[word(7), word(8)])), ends(kinds(&[(7, 8)])));
        let batch = [64, 160, 2, 7, 8, 2, 70, 80].map(word);
        assert_eq!(goods(log(&[BATCH, word(3), from, to], &batch)), ends(kinds(&[(7, 70), (8, 80)])));
    }

    #[test]
    fn what_only_looks_like_a_transfer_is_none() {
        let (from, to) = (word(1), word(2));
        for no in [
            log(&[], &[]),
            log(&[TRANSFER], &[from, to, word(5)]),
            log(&[TRANSFER, from, to], &[]),
            log(&[TRANSFER, B256::repeat_byte(1), to], &[word(5)]),
            log(&[SINGLE, word(3), from, to], &[word(7)]),
            log(&[BATCH, word(3), from, to], &[word(64), word(9_999)]),
            log(&[BATCH, word(3), from, to], &[B256::repeat_byte(0xff), word(0)]),
        ] {
            assert_eq!(read(&no), None, "{no:?}");
        }
    }

    #[test]
    fn a_long_batch_is_cut() {
        let many = 1_000;
        let mut data = vec![word(64), word(64 + 32 + many * 32), word(many)];
        data.extend((0..many).map(word));
        data.push(word(many));
        data.extend((0..many).map(word));
        let moved = read(&log(&[BATCH, word(3), word(1), word(2)], &data));
        assert!(moved.is_some_and(|moved| matches!(moved.goods, Goods::Kinds(kinds) if kinds.len() == MAX_KINDS)));
    }
}
