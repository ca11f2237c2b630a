//! Reading final blocks, transactions, receipts and states. The last blocks come from memory.

use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use alloy_consensus::{Header, Transaction as _};
use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{Address, B256, Bytes};

use super::{Chain, ExecutedBlock};
use crate::block::RecoveredBlock;
use crate::execution::{Receipt, effective_gas_price};
use crate::seal::Seal;
use crate::state::{StateError, StateView};
use crate::storage::{History, LogTerms, Searched, StorageError, TransactionPosition};
use crate::transaction::Recovered;
use crate::trie::AccountProof;

/// The header of a final block.
#[derive(Clone, Debug)]
pub struct FinalHeader {
    /// Its hash.
    pub hash: B256,
    /// Ethereum's header.
    pub header: Header,
    /// What consensus added.
    pub seal: Seal,
}

/// A final transaction and where it stands.
#[derive(Clone, Debug)]
pub struct FinalTransaction {
    /// The transaction with its sender.
    pub transaction: Arc<Recovered>,
    /// Its position in the block.
    pub index: u32,
    /// The hash of its block.
    pub block_hash: B256,
    /// The number of its block.
    pub block_number: u64,
    /// The timestamp of its block, in seconds.
    pub timestamp: u64,
    /// The base fee of its block.
    pub base_fee: u64,
}

/// What came of a final transaction.
#[derive(Clone, Debug)]
pub struct FinalReceipt {
    /// The receipt.
    pub receipt: Receipt,
    /// The transaction and where it stands.
    pub transaction: FinalTransaction,
    /// How many logs the transactions before it in the block have: the index of its first.
    pub first_log_index: u32,
    /// The contract that it created, if it did (or tried to).
    pub contract_address: Option<Address>,
    /// What it paid per gas.
    pub effective_gas_price: u128,
}

impl Chain {
    /// The final block with this number.
    pub fn block_by_number(&self, number: u64) -> Result<Option<Arc<RecoveredBlock>>, StorageError> {
        if let Some(recent) = self.recent(number) {
            return Ok(Some(recent.block().clone()));
        }
        let Some(stored) = self.inner.store.header(number)? else { return Ok(None) };
        let Some(body) = self.inner.store.body(number)? else { return Ok(None) };
        let block = RecoveredBlock::from_parts(stored.hash, stored.header, body.transactions()?, stored.seal);
        Ok(Some(Arc::new(block)))
    }

    /// The final block with this hash.
    pub fn block_by_hash(&self, hash: &B256) -> Result<Option<Arc<RecoveredBlock>>, StorageError> {
        match self.number_by_hash(hash)? {
            Some(number) => self.block_by_number(number),
            None => Ok(None),
        }
    }

    /// The header of the final block with this number, without its transactions.
    pub fn header_by_number(&self, number: u64) -> Result<Option<FinalHeader>, StorageError> {
        if let Some(recent) = self.recent(number) {
            let block = recent.block();
            let (header, seal) = (block.header().clone(), block.seal().clone());
            return Ok(Some(FinalHeader { hash: block.hash(), header, seal }));
        }
        let stored = self.inner.store.header(number)?;
        Ok(stored.map(|stored| FinalHeader { hash: stored.hash, header: stored.header, seal: stored.seal }))
    }

    /// The number of the final block with this hash.
    pub fn number_by_hash(&self, hash: &B256) -> Result<Option<u64>, StorageError> {
        self.inner.store.number_by_hash(hash)
    }

    /// The hash of the final block with this number.
    pub fn hash_by_number(&self, number: u64) -> Result<Option<B256>, StorageError> {
        match self.recent(number) {
            Some(recent) => Ok(Some(recent.hash())),
            None => self.inner.store.hash_by_number(number),
        }
    }

    /// The receipts of the final block with this number, in the order of its transactions.
    pub fn receipts(&self, number: u64) -> Result<Option<Arc<Vec<Receipt>>>, StorageError> {
        if let Some(recent) = self.recent(number) {
            return Ok(Some(recent.receipts().clone()));
        }
        let receipts = self.inner.store.receipts(number)?;
        receipts.map(|receipts| receipts.receipts().map(Arc::new)).transpose()
    }

    /// How many transactions the final block with this number has.
    pub fn transaction_count(&self, number: u64) -> Result<Option<usize>, StorageError> {
        match self.recent(number) {
            Some(recent) => Ok(Some(recent.block().transactions().len())),
            None => Ok(self.inner.store.body(number)?.map(|body| body.len())),
        }
    }

    /// Some transactions of a final block with their receipts, in their order; those of the range that it has. Of a
    /// large block no more than these are decoded.
    #[allow(clippy::type_complexity, reason = "a list of pairs that may not be there")]
    pub fn transactions_in(
        &self,
        number: u64,
        range: Range<usize>,
    ) -> Result<Option<Vec<(Arc<Recovered>, Receipt)>>, StorageError> {
        let wanted = |count: usize| range.start.min(count)..range.end.min(count);
        if let Some(recent) = self.recent(number) {
            let all = recent.block().transactions().iter().zip(recent.receipts().iter());
            let range = wanted(recent.receipts().len());
            let some = all.skip(range.start).take(range.len());
            return Ok(Some(some.map(|(tx, receipt)| (tx.clone(), receipt.clone())).collect()));
        }
        let Some(body) = self.inner.store.body(number)? else { return Ok(None) };
        let Some(receipts) = self.inner.store.receipts(number)? else { return Ok(None) };
        let range = wanted(body.len().min(receipts.len()));
        let some = range.map(|index| Ok((Arc::new(body.transaction(index)?), receipts.receipt(index)?.0)));
        some.collect::<Result<Vec<_>, StorageError>>().map(Some)
    }

    /// A final transaction by its hash.
    pub fn transaction(&self, hash: &B256) -> Result<Option<FinalTransaction>, StorageError> {
        match self.inner.store.transaction_position(hash)? {
            Some(at) => self.transaction_at(at.number, at.index),
            None => Ok(None),
        }
    }

    /// A final transaction by its place.
    pub fn transaction_at(&self, number: u64, index: u32) -> Result<Option<FinalTransaction>, StorageError> {
        let recent = self.recent(number);
        let (transaction, block_hash, header) = match &recent {
            Some(recent) => {
                let block = recent.block();
                let Some(tx) = block.transactions().get(index as usize) else { return Ok(None) };
                (tx.clone(), block.hash(), block.header().clone())
            }
            None => {
                let Some(body) = self.inner.store.body(number)? else { return Ok(None) };
                if index as usize >= body.len() {
                    return Ok(None);
                }
                let Some(stored) = self.inner.store.header(number)? else { return Ok(None) };
                (Arc::new(body.transaction(index as usize)?), stored.hash, stored.header)
            }
        };
        Ok(Some(FinalTransaction {
            transaction,
            index,
            block_hash,
            block_number: number,
            timestamp: header.timestamp,
            base_fee: header.base_fee_per_gas.unwrap_or_default(),
        }))
    }

    /// The receipt of a final transaction by its hash.
    pub fn receipt(&self, hash: &B256) -> Result<Option<FinalReceipt>, StorageError> {
        let Some(transaction) = self.transaction(hash)? else { return Ok(None) };
        let index = transaction.index as usize;
        let found = match self.recent(transaction.block_number) {
            Some(recent) => {
                let before = recent.receipts().iter().take(index).map(|receipt| receipt.logs.len()).sum::<usize>();
                recent.receipts().get(index).map(|receipt| (receipt.clone(), before as u32))
            }
            None => match self.inner.store.receipts(transaction.block_number)? {
                Some(receipts) if index < receipts.len() => Some(receipts.receipt(index)?),
                _ => None,
            },
        };
        Ok(found.map(|(receipt, first_log_index)| {
            let tx = &transaction.transaction;
            let contract_address = tx.tx().is_create().then(|| tx.sender().create(tx.nonce()));
            let effective_gas_price = effective_gas_price(tx, transaction.base_fee);
            FinalReceipt { receipt, transaction, first_log_index, contract_address, effective_gas_price }
        }))
    }

    /// The certificate that made the block with this number final, as consensus encoded it. A
    /// block that became final together with a later one may have none of its own.
    pub fn certificate(&self, number: u64) -> Result<Option<Bytes>, StorageError> {
        self.inner.store.certificate(number)
    }

    /// The number of the final block that `id` names. Finality is instant, so `latest`, `safe`,
    /// `finalized` and `pending` are all the head.
    pub fn resolve(&self, id: BlockId) -> Result<Option<u64>, StorageError> {
        let head = self.head().number;
        Ok(match id {
            BlockId::Hash(hash) => self.number_by_hash(&hash.block_hash)?,
            BlockId::Number(BlockNumberOrTag::Number(number)) => Some(number).filter(|number| *number <= head),
            BlockId::Number(BlockNumberOrTag::Earliest) => Some(0),
            BlockId::Number(_) => Some(head),
        })
    }

    /// The state after the final block that `id` names.
    pub fn state_at(&self, id: BlockId) -> Result<StateView, StateError> {
        let number = self.resolve(id)?.ok_or(StateError::Unknown)?;
        self.check_kept(number)?;
        Ok(self.inner.tree.view_of_final(&self.inner.store, number))
    }

    /// Of how many blocks the state is kept.
    pub fn history(&self) -> History {
        self.inner.store.history()
    }

    /// The oldest block whose state can be read: 0 in an archive.
    pub fn oldest_state(&self) -> u64 {
        self.inner.store.oldest_state()
    }

    pub(super) fn check_kept(&self, number: u64) -> Result<(), StateError> {
        let oldest = self.oldest_state();
        if number < oldest {
            return Err(StateError::Pruned { number, oldest, head: self.head().number });
        }
        Ok(())
    }

    /// The state after the head.
    pub fn latest_state(&self) -> StateView {
        self.inner.tree.view_of_head(&self.inner.store)
    }

    /// Proves an account and some of its storage slots against the state root of the final block that `id` names, and
    /// says which block that is.
    pub fn proof_at(
        &self,
        id: BlockId,
        address: &Address,
        slots: &[B256],
    ) -> Result<(FinalHeader, AccountProof), StateError> {
        let number = self.resolve(id)?.ok_or(StateError::Unknown)?;
        let header = self.header_by_number(number)?.ok_or(StateError::Unknown)?;
        let proof = self.inner.store.proof_at(number, header.header.state_root, address, slots);
        // What went away meanwhile makes no proof: a node is then missing, or not the one whose hash its parent names.
        self.check_kept(number)?;
        Ok((header, proof?))
    }

    /// The blocks of a range, in order, that have logs with each of these terms, though maybe not one log with all of
    /// them; all blocks when there are no terms.
    pub fn blocks_with_logs(
        &self,
        terms: &LogTerms,
        range: RangeInclusive<u64>,
    ) -> impl Iterator<Item = Result<Searched, StorageError>> {
        self.inner.store.blocks_with_logs(terms, range)
    }

    /// Transactions that touched an account (see [`Touched`](crate::execution::Touched)), from the first of block
    /// `number` on, oldest first. Begins with an error when the index of accounts is not whole.
    pub fn transactions_from(
        &self,
        address: &Address,
        number: u64,
    ) -> impl Iterator<Item = Result<TransactionPosition, StorageError>> {
        // What is being written is not told before it is the head.
        let head = self.head().number;
        let told = move |position: &Result<TransactionPosition, _>| {
            position.as_ref().map_or(true, |position| position.number <= head)
        };
        let error = self.inner.store.check_address_index().err().map(Err);
        error.into_iter().chain(self.inner.store.transactions_from(address, number).take_while(told))
    }

    /// The same up to the last of block `number`, newest first.
    pub fn transactions_up_to(
        &self,
        address: &Address,
        number: u64,
    ) -> impl Iterator<Item = Result<TransactionPosition, StorageError>> {
        let error = self.inner.store.check_address_index().err().map(Err);
        error.into_iter().chain(self.inner.store.transactions_up_to(address, number.min(self.head().number)))
    }

    /// The transaction in which an account used a nonce.
    pub fn sent_with_nonce(&self, sender: &Address, nonce: u64) -> Result<Option<TransactionPosition>, StorageError> {
        self.inner.store.check_address_index()?;
        self.inner.store.sent_with_nonce(sender, nonce, self.head().number)
    }

    /// The last transaction up to block `number` that created a contract at an address.
    pub fn creation_up_to(&self, address: &Address, number: u64) -> Result<Option<TransactionPosition>, StorageError> {
        self.inner.store.creation_up_to(address, number.min(self.head().number))
    }

    fn recent(&self, number: u64) -> Option<Arc<ExecutedBlock>> {
        self.inner.tree.recent(number)
    }
}
