//! What revm is told about block and transaction.

use alloy_consensus::{Header, Transaction as _};
use alloy_eips::eip2718::Typed2718;
use alloy_primitives::{Address, B256, U256};
use revm::context::either::Either;
use revm::context::{BlockEnv, CfgEnv, TxEnv};
use revm::context_interface::block::BlobExcessGasAndPrice;
use revm::primitives::hardfork::SpecId;

use crate::transaction::Recovered;

/// What execution sees of the block that a transaction is in.
#[derive(Clone, Debug)]
pub struct BlockContext {
    /// The chain's id.
    pub chain_id: u64,
    /// The rules.
    pub spec: SpecId,
    /// NUMBER.
    pub number: u64,
    /// TIMESTAMP, in seconds.
    pub timestamp: u64,
    /// COINBASE: who is paid the fees.
    pub beneficiary: Address,
    /// GASLIMIT.
    pub gas_limit: u64,
    /// BASEFEE.
    pub base_fee: u64,
    /// PREVRANDAO: the header's mix hash, which is the SHA-256 of the parent's certificate. No
    /// secure randomness: the proposer has a choice of certificates.
    pub prev_randao: B256,
}

impl BlockContext {
    /// That of a block with this header.
    pub fn of_header(header: &Header, chain_id: u64, spec: SpecId) -> Self {
        let timestamp = header.timestamp;
        #[cfg(test)]
        let timestamp = crate::planted::by_the_clock(timestamp);
        Self {
            chain_id,
            spec,
            number: header.number,
            timestamp,
            beneficiary: header.beneficiary,
            gas_limit: header.gas_limit,
            base_fee: header.base_fee_per_gas.unwrap_or_default(),
            prev_randao: header.mix_hash,
        }
    }

    pub(crate) fn block_env(&self) -> BlockEnv {
        BlockEnv {
            number: U256::from(self.number),
            beneficiary: self.beneficiary,
            timestamp: U256::from(self.timestamp),
            gas_limit: self.gas_limit,
            basefee: self.base_fee,
            difficulty: U256::ZERO,
            prevrandao: Some(self.prev_randao),
            // No blobs, ever: their gas costs the minimum.
            blob_excess_gas_and_price: Some(BlobExcessGasAndPrice { excess_blob_gas: 0, blob_gasprice: 1 }),
            slot_num: 0,
        }
    }

    pub(crate) fn cfg_env(&self) -> CfgEnv {
        CfgEnv::new_with_spec(self.spec).with_chain_id(self.chain_id)
    }
}

/// A transaction as revm takes it.
pub(crate) fn tx_env(recovered: &Recovered) -> TxEnv {
    let tx = recovered.tx();
    let authorizations = tx.authorization_list().unwrap_or_default();
    TxEnv {
        tx_type: tx.ty(),
        caller: recovered.sender(),
        gas_limit: tx.gas_limit(),
        gas_price: tx.max_fee_per_gas(),
        kind: tx.kind(),
        value: tx.value(),
        data: tx.input().clone(),
        nonce: tx.nonce(),
        chain_id: tx.chain_id(),
        access_list: tx.access_list().cloned().unwrap_or_default(),
        gas_priority_fee: tx.max_priority_fee_per_gas(),
        blob_hashes: Vec::new(),
        max_fee_per_blob_gas: 0,
        authorization_list: authorizations.iter().cloned().map(Either::Left).collect(),
    }
}

/// What a transaction pays per unit of gas at this base fee.
pub(crate) fn effective_gas_price(recovered: &Recovered, base_fee: u64) -> u128 {
    recovered.tx().effective_gas_price(Some(base_fee))
}
