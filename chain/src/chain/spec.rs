//! What the genesis fixes for the chain.

use std::collections::BTreeMap;
use std::time::Duration;

use alloy_consensus::{EMPTY_ROOT_HASH, Header};
use alloy_eips::eip7685::EMPTY_REQUESTS_HASH;
use alloy_genesis::GenesisAccount;
use alloy_primitives::map::{AddressMap, U256Map};
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use assent_genesis::Genesis;
use revm::bytecode::Bytecode;
use revm::primitives::hardfork::SpecId;

use crate::block::BlockLimits;
use crate::execution::{BlockContext, ForkError, Forks, Overrides};
use crate::seal::{MAX_SEAL_BYTES, Seal};
use crate::state::{AccountDiff, FlatAccount, SlotDiff, StateDiff};

/// The heads of the lists around header, transactions and seal, and the digits by which a header
/// grows when its gas is filled in.
pub(super) const FRAME_BYTES: usize = 3 * 9 + 9;
/// No header is larger.
const MAX_HEADER_BYTES: usize = 1024;

/// The parameters of a chain that blocks and execution depend upon.
#[derive(Clone, Debug)]
pub struct ChainSpec {
    /// The chain id.
    pub chain_id: u64,
    /// When which rules begin.
    pub forks: Forks,
    /// The base fee of every block.
    pub base_fee: u64,
    /// The least that a transaction pays per gas.
    pub min_gas_price: u64,
    /// The gas limit of every block.
    pub gas_limit: u64,
    /// How large a block may be.
    pub limits: BlockLimits,
    /// The header of block 0.
    pub genesis_header: Header,
    /// Its hash.
    pub genesis_hash: B256,
}

impl ChainSpec {
    /// Reads them from the genesis.
    pub fn new(genesis: &Genesis) -> Result<Self, ForkError> {
        let genesis_header = genesis.header();
        let consensus = &genesis.assent.consensus;
        let limits = BlockLimits {
            bytes: consensus.max_block_bytes as usize,
            transactions: consensus.max_block_transactions as usize,
        };
        Ok(Self {
            chain_id: genesis.chain_id(),
            forks: Forks::from_config(genesis.config())?,
            base_fee: genesis.assent.fees.base_fee,
            min_gas_price: genesis.assent.fees.min_gas_price,
            gas_limit: genesis_header.gas_limit,
            limits,
            genesis_hash: genesis_header.hash_slow(),
            genesis_header,
        })
    }

    /// Bytes that transactions have in every block, whatever its header and seal.
    pub(crate) fn room_bytes(&self) -> usize {
        self.limits.bytes.saturating_sub(MAX_HEADER_BYTES + MAX_SEAL_BYTES + FRAME_BYTES)
    }

    /// What execution sees of a block with this header.
    pub fn context(&self, header: &Header) -> BlockContext {
        BlockContext::of_header(header, self.chain_id, self.forks.at(header.timestamp))
    }

    /// The same for calls that assume another block: with the rules of the time that they assume.
    pub fn context_assuming(&self, header: &Header, overrides: &Overrides) -> BlockContext {
        let context = self.context(header);
        let spec = overrides.block.time.map_or(context.spec, |time| self.forks.at(time));
        BlockContext { spec, ..context }
    }

    /// The header of a block as far as it does not depend on its transactions.
    pub(crate) fn header(&self, parent: &super::tree::Parent, seal: &Seal, beneficiary: Address) -> Header {
        Header {
            parent_hash: parent.hash,
            beneficiary,
            number: parent.number + 1,
            gas_limit: self.gas_limit,
            extra_data: Bytes::copy_from_slice(seal.hash().as_slice()),
            mix_hash: seal.parent_certificate,
            base_fee_per_gas: Some(self.base_fee),
            ..self.header_at(seal.time_ms / 1000)
        }
    }

    /// The fields that the rules of a time ask for, with nothing in them.
    pub(crate) fn header_at(&self, timestamp: u64) -> Header {
        let spec = self.forks.at(timestamp);
        let since = |fork: SpecId| spec.is_enabled_in(fork);
        Header {
            timestamp,
            withdrawals_root: since(SpecId::SHANGHAI).then_some(EMPTY_ROOT_HASH),
            blob_gas_used: since(SpecId::CANCUN).then_some(0),
            excess_blob_gas: since(SpecId::CANCUN).then_some(0),
            parent_beacon_block_root: since(SpecId::CANCUN).then_some(B256::ZERO),
            requests_hash: since(SpecId::PRAGUE).then_some(EMPTY_REQUESTS_HASH),
            // Difficulty and nonce zero, no ommers.
            ..Header::default()
        }
    }
}

/// The allocations of the genesis as the change that they make to the empty state.
pub(crate) fn genesis_diff(alloc: &BTreeMap<Address, GenesisAccount>) -> StateDiff {
    let mut diff = StateDiff { accounts: AddressMap::default(), ..StateDiff::default() };
    for (address, account) in alloc {
        let mut new = FlatAccount { nonce: account.nonce.unwrap_or(0), balance: account.balance, ..Default::default() };
        if let Some(code) = account.code.as_ref().filter(|code| !code.is_empty()) {
            new.code_hash = keccak256(code);
            let code = Bytecode::new_raw_checked(code.clone()).unwrap_or_else(|_| Bytecode::new_legacy(code.clone()));
            diff.code.insert(new.code_hash, code);
        }
        let mut slots = U256Map::default();
        for (slot, value) in account.storage.iter().flatten().filter(|(_, value)| !value.is_zero()) {
            let new = U256::from_be_bytes(value.0);
            slots.insert(U256::from_be_bytes(slot.0), SlotDiff { old: U256::ZERO, new });
        }
        diff.accounts.insert(*address, AccountDiff { old: None, new: Some(new), wiped: false, slots });
    }
    diff
}

/// How far a block's time may be ahead of this node's clock, in whole milliseconds.
pub(crate) fn skew_ms(max_skew: Duration) -> u64 {
    u64::try_from(max_skew.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use alloy_rlp::Encodable;

    use super::*;

    #[test]
    fn no_header_is_larger_than_its_bound() {
        let most = u64::MAX;
        let header = Header {
            difficulty: U256::MAX,
            number: most,
            gas_limit: most,
            gas_used: most,
            timestamp: most,
            extra_data: Bytes::from(vec![0xff; 32]),
            base_fee_per_gas: Some(most),
            withdrawals_root: Some(B256::ZERO),
            blob_gas_used: Some(most),
            excess_blob_gas: Some(most),
            parent_beacon_block_root: Some(B256::ZERO),
            requests_hash: Some(B256::ZERO),
            ..Header::default()
        };
        assert!(header.length() <= MAX_HEADER_BYTES, "{}", header.length());
    }
}
