//! The chain as the methods see it: which block a tag or a hash names, and whole blocks with their
//! receipts.
//!
//! Finality is instant, so latest, safe, finalized and pending are all the head; only the nonce of
//! an account differs between them, by the transactions in the mempool.

use std::{
    ops::RangeInclusive,
    sync::Arc,
    time::{Duration, Instant},
};

use alloy_consensus::Header;
use alloy_eips::BlockId;
use alloy_primitives::{Address, B256, Bytes};
use assent_chain::{
    Chain,
    block::RecoveredBlock,
    chain::{ExecutedBlock, FinalHeader, FinalReceipt, FinalTransaction},
    execution::{BlockContext, Overrides, Receipt},
    state::StateView,
    storage::{LogTerms, Searched, StorageError, TransactionPosition},
    transaction::Recovered,
    trie::AccountProof,
};
use assent_consensus::Phase;

use crate::{errors::CallError, limits::MAX_CERTIFICATE_SEARCH, methods::Api};

/// A final block with what came of its transactions.
#[derive(Clone, Debug)]
pub(crate) struct FullBlock {
    block: Arc<RecoveredBlock>,
    receipts: Arc<Vec<Receipt>>,
}

impl From<&ExecutedBlock> for FullBlock {
    fn from(executed: &ExecutedBlock) -> Self {
        Self { block: executed.block().clone(), receipts: executed.receipts().clone() }
    }
}

impl FullBlock {
    pub(crate) fn block(&self) -> &RecoveredBlock {
        &self.block
    }

    pub(crate) fn hash(&self) -> B256 {
        self.block.hash()
    }

    pub(crate) fn number(&self) -> u64 {
        self.block.number()
    }

    pub(crate) fn header(&self) -> &Header {
        self.block.header()
    }

    pub(crate) fn transactions(&self) -> &[Arc<Recovered>] {
        self.block.transactions()
    }

    pub(crate) fn receipts(&self) -> &[Receipt] {
        &self.receipts
    }

    /// The block as Ethereum encodes it.
    pub(crate) fn ethereum_rlp(&self) -> Vec<u8> {
        self.block.ethereum_rlp()
    }
}

/// See the module. All calls block for a read or a few.
pub(crate) struct Reader<'a> {
    chain: &'a Chain,
}

impl From<StorageError> for CallError {
    fn from(error: StorageError) -> Self {
        match error {
            // The operator's decision, and no fault of this node.
            StorageError::AddressIndex { .. } => Self::Refused(error.to_string()),
            error => Self::internal(error),
        }
    }
}

impl<'a> Reader<'a> {
    pub(crate) fn new(api: &'a Api) -> Self {
        Self::of(&api.backend.chain)
    }

    /// The same for whoever has no methods around it.
    pub(crate) fn of(chain: &'a Chain) -> Self {
        Self { chain }
    }

    pub(crate) fn head_number(&self) -> u64 {
        self.chain.head().number
    }

    /// The header of a block; `None` if there is no such block.
    pub(crate) fn header(&self, id: BlockId) -> Result<Option<FinalHeader>, CallError> {
        match self.chain.resolve(id)? {
            Some(number) => self.known_header(number).map(Some),
            None => Ok(None),
        }
    }

    /// The header of a block that must be there: its number is not above the head's.
    pub(crate) fn known_header(&self, number: u64) -> Result<FinalHeader, CallError> {
        self.chain.header_by_number(number)?.ok_or_else(|| absent(number, "header"))
    }

    /// The hash of a block that must be there: its number is not above the head's.
    pub(crate) fn known_hash(&self, number: u64) -> Result<B256, CallError> {
        self.chain.hash_by_number(number)?.ok_or_else(|| absent(number, "hash"))
    }

    /// A block without its receipts; `None` if there is no such block.
    pub(crate) fn block(&self, id: BlockId) -> Result<Option<Arc<RecoveredBlock>>, CallError> {
        let Some(number) = self.chain.resolve(id)? else { return Ok(None) };
        let block = self.chain.block_by_number(number)?.ok_or_else(|| absent(number, "body"))?;
        Ok(Some(block))
    }

    /// A block with its receipts; `None` if there is no such block.
    pub(crate) fn full(&self, id: BlockId) -> Result<Option<FullBlock>, CallError> {
        match self.chain.resolve(id)? {
            Some(number) => self.known_block(number).map(Some),
            None => Ok(None),
        }
    }

    /// A block that must be there: its number is not above the head's.
    pub(crate) fn known_block(&self, number: u64) -> Result<FullBlock, CallError> {
        let block = self.chain.block_by_number(number)?.ok_or_else(|| absent(number, "body"))?;
        let receipts = self.chain.receipts(number)?.ok_or_else(|| absent(number, "receipts"))?;
        Ok(FullBlock { block, receipts })
    }

    /// The state after a block.
    pub(crate) fn state(&self, id: BlockId) -> Result<StateView, CallError> {
        Ok(self.chain.state_at(id)?)
    }

    /// The state after a block, and that block as what executions with these overrides see.
    pub(crate) fn execution(&self, id: BlockId, overrides: &Overrides) -> Result<(StateView, BlockContext), CallError> {
        let view = self.state(id)?;
        let header = self.known_header(view.number())?.header;
        let context = self.chain.spec().context_assuming(&header, overrides);
        Ok((view, context))
    }

    /// The next nonce of an account, counting its transactions in the mempool.
    pub(crate) fn pending_nonce(&self, address: &Address) -> Result<u64, CallError> {
        match self.chain.pool().pending_nonce(*address) {
            Some(nonce) => Ok(nonce),
            None => Ok(self.chain.latest_state().nonce(address)?),
        }
    }

    /// A final transaction.
    pub(crate) fn transaction(&self, hash: &B256) -> Result<Option<FinalTransaction>, CallError> {
        Ok(self.chain.transaction(hash)?)
    }

    /// A final transaction by its place.
    pub(crate) fn transaction_at(&self, id: BlockId, index: u32) -> Result<Option<FinalTransaction>, CallError> {
        match self.chain.resolve(id)? {
            Some(number) => Ok(self.chain.transaction_at(number, index)?),
            None => Ok(None),
        }
    }

    /// The blocks of a range that have logs with each of these terms; all when there are none.
    pub(crate) fn blocks_with_logs(
        &self,
        terms: &LogTerms,
        range: RangeInclusive<u64>,
    ) -> impl Iterator<Item = Result<Searched, CallError>> {
        self.chain.blocks_with_logs(terms, range).map(|searched| Ok(searched?))
    }

    /// Proves an account and some of its slots against a block's state root.
    pub(crate) fn proof(
        &self,
        id: BlockId,
        address: &Address,
        slots: &[B256],
    ) -> Result<(FinalHeader, AccountProof), CallError> {
        Ok(self.chain.proof_at(id, address, slots)?)
    }

    /// Transactions that touched an account, from the first of a block on, oldest first.
    pub(crate) fn transactions_from(
        &self,
        address: &Address,
        number: u64,
    ) -> impl Iterator<Item = Result<TransactionPosition, CallError>> {
        self.chain.transactions_from(address, number).map(|position| Ok(position?))
    }

    /// The same up to the last of a block, newest first.
    pub(crate) fn transactions_up_to(
        &self,
        address: &Address,
        number: u64,
    ) -> impl Iterator<Item = Result<TransactionPosition, CallError>> {
        self.chain.transactions_up_to(address, number).map(|position| Ok(position?))
    }

    /// The transaction in which an account used a nonce.
    pub(crate) fn sent_with_nonce(&self, sender: &Address, nonce: u64) -> Result<Option<FinalTransaction>, CallError> {
        match self.chain.sent_with_nonce(sender, nonce)? {
            Some(TransactionPosition { number, index }) => Ok(self.chain.transaction_at(number, index)?),
            None => Ok(None),
        }
    }

    /// The transaction that created a contract; of several the last.
    pub(crate) fn creation(&self, address: &Address) -> Result<Option<FinalTransaction>, CallError> {
        match self.chain.creation_up_to(address, u64::MAX)? {
            Some(TransactionPosition { number, index }) => Ok(self.chain.transaction_at(number, index)?),
            None => Ok(None),
        }
    }

    /// The receipt of a final transaction.
    pub(crate) fn receipt(&self, hash: &B256) -> Result<Option<FinalReceipt>, CallError> {
        Ok(self.chain.receipt(hash)?)
    }

    /// The certificate that made a block final, and the number of the block that it is for: the first from this one on
    /// that has one of Commit votes. A block that became final together with a later one may have one of Prepare votes.
    pub(crate) fn certificate_from(&self, number: u64) -> Result<Option<(u64, Bytes)>, CallError> {
        let last = self.head_number().min(number.saturating_add(MAX_CERTIFICATE_SEARCH));
        for number in number..=last {
            if let Some(certificate) = self.chain.certificate(number)?.filter(|bytes| is_commit(bytes)) {
                return Ok(Some((number, certificate)));
            }
        }
        Ok(None)
    }
}

/// Whether a certificate is of Commit votes: it begins with its phase (consensus/SPEC.md, section 4.3).
fn is_commit(certificate: &[u8]) -> bool {
    certificate.first() == Some(&(Phase::Commit as u8))
}

/// When a search has to end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SearchTime {
    start: Instant,
    limit: Duration,
}

impl SearchTime {
    /// From now on.
    pub(crate) fn start(api: &Api) -> Self {
        Self { start: Instant::now(), limit: api.config.evm_timeout }
    }

    /// Asked before each block.
    pub(crate) fn check(&self) -> Result<(), CallError> {
        if self.start.elapsed() < self.limit { Ok(()) } else { Err(CallError::TimedOut(self.limit)) }
    }
}

/// The database lacks a part of a block that it should have.
fn absent(number: u64, part: &str) -> CallError {
    CallError::internal(format!("block {number} is final but its {part} is not stored"))
}
