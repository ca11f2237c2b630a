//! What a transaction must satisfy before anybody looks at its sender's account.

use alloy_consensus::Transaction as _;
use alloy_eips::eip2718::Typed2718;
use alloy_primitives::{Address, U256};
use revm::context_interface::cfg::GasParams;
use revm::primitives::hardfork::SpecId;
use revm::primitives::{eip3860, eip7825};

use super::PoolError;
use crate::transaction::{MAX_TRANSACTION_BYTES, Transaction, TransactionError};

/// An account at the final head, as far as the pool needs it. The default is an account that
/// does not exist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Its next nonce.
    pub nonce: u64,
    /// Its balance.
    pub balance: U256,
    /// Whether it has code other than an EIP-7702 delegation: it can then send nothing (EIP-3607).
    pub is_contract: bool,
}

/// Where the pool reads accounts: the state of the final head.
///
/// It is asked at most once per sender while the pool holds something of that sender, never
/// under the pool's lock. The answer may already be that of a block whose
/// [`on_final`](super::Mempool::on_final) is still to come.
pub trait AccountSource: Send + Sync {
    /// Reads an account; one that does not exist is [`Account::default`].
    fn account(&self, address: Address) -> Result<Account, Box<dyn std::error::Error + Send + Sync>>;
}

/// The chain's rules for transactions at the head.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolRules {
    /// The chain's id.
    pub chain_id: u64,
    /// The fork of the next block.
    pub spec: SpecId,
    /// Base fee of the next block.
    pub base_fee: u64,
    /// Least price per gas that the chain accepts.
    pub min_gas_price: u128,
    /// Gas limit of a block.
    pub block_gas_limit: u64,
    /// Gas limit of one transaction (EIP-7825), from Osaka on.
    pub tx_gas_limit_cap: Option<u64>,
    /// Bytes of one transaction: no more than [`MAX_TRANSACTION_BYTES`], and what fits into a block.
    pub max_bytes: usize,
    gas: GasParams,
}

impl PoolRules {
    /// Rules with the cap on a transaction's gas that the fork has on Ethereum.
    pub fn new(chain_id: u64, spec: SpecId, base_fee: u64, min_gas_price: u128, block_gas_limit: u64) -> Self {
        let tx_gas_limit_cap = spec.is_enabled_in(SpecId::OSAKA).then_some(eip7825::TX_GAS_LIMIT_CAP);
        let gas = GasParams::new_spec(spec);
        let max_bytes = MAX_TRANSACTION_BYTES;
        Self { chain_id, spec, base_fee, min_gas_price, block_gas_limit, tx_gas_limit_cap, max_bytes, gas }
    }

    /// Checks everything that needs no account, cheapest first, and returns the tip per gas that
    /// the transaction pays at these rules' base fee.
    pub(super) fn check(&self, tx: &Transaction, size: usize) -> Result<u128, PoolError> {
        self.check_type(tx)?;
        if size > self.max_bytes {
            return Err(TransactionError::Oversized { size, limit: self.max_bytes }.into());
        }
        match tx.chain_id() {
            None => return Err(PoolError::Unprotected),
            Some(got) if got != self.chain_id => {
                return Err(PoolError::ChainId { got, expected: self.chain_id });
            }
            Some(_) => {}
        }
        if tx.nonce() == u64::MAX {
            return Err(PoolError::NonceMax);
        }
        let tip = self.check_price(tx)?;
        self.check_gas(tx)?;
        Ok(tip)
    }

    fn check_type(&self, tx: &Transaction) -> Result<(), PoolError> {
        let since = match tx {
            Transaction::Legacy(_) => SpecId::FRONTIER,
            Transaction::Eip2930(_) => SpecId::BERLIN,
            Transaction::Eip1559(_) => SpecId::LONDON,
            Transaction::Eip7702(_) => SpecId::PRAGUE,
            Transaction::Eip4844(_) => return Err(PoolError::TypeNotSupported { ty: 3 }),
        };
        if !self.spec.is_enabled_in(since) {
            return Err(PoolError::TypeNotSupported { ty: tx.ty() });
        }
        match tx.authorization_list() {
            Some([]) => Err(PoolError::NoAuthorization),
            _ => Ok(()),
        }
    }

    fn check_price(&self, tx: &Transaction) -> Result<u128, PoolError> {
        let fee_cap = tx.max_fee_per_gas();
        if let Some(tip) = tx.max_priority_fee_per_gas()
            && tip > fee_cap
        {
            return Err(PoolError::TipAboveFeeCap { tip, fee_cap });
        }
        let tip = tx
            .effective_tip_per_gas(self.base_fee)
            .ok_or(PoolError::FeeCapTooLow { fee_cap, base_fee: self.base_fee })?;
        let price = tip.saturating_add(u128::from(self.base_fee));
        if price < self.min_gas_price {
            return Err(PoolError::Underpriced { price, minimum: self.min_gas_price });
        }
        Ok(tip)
    }

    fn check_gas(&self, tx: &Transaction) -> Result<(), PoolError> {
        let gas = tx.gas_limit();
        if gas > self.block_gas_limit {
            return Err(PoolError::ExceedsBlockGasLimit { gas, limit: self.block_gas_limit });
        }
        if let Some(cap) = self.tx_gas_limit_cap
            && gas > cap
        {
            return Err(PoolError::GasLimitTooHigh { gas, cap });
        }
        let size = tx.input().len();
        if tx.is_create() && self.spec.is_enabled_in(SpecId::SHANGHAI) && size > eip3860::MAX_INITCODE_SIZE {
            return Err(PoolError::InitCodeTooLarge { size, limit: eip3860::MAX_INITCODE_SIZE });
        }
        let (addresses, slots) =
            tx.access_list().map_or((0, 0), |list| (list.len() as u64, list.storage_keys_count() as u64));
        let authorizations = tx.authorization_list().map_or(0, |list| list.len() as u64);
        let needed = self.gas.initial_tx_gas(tx.input(), tx.is_create(), addresses, slots, authorizations, None);
        if gas < needed.initial_regular_gas() {
            return Err(PoolError::IntrinsicGas { gas, needed: needed.initial_regular_gas() });
        }
        if self.spec.is_enabled_in(SpecId::PRAGUE) && gas < needed.floor_gas() {
            return Err(PoolError::FloorDataGas { gas, needed: needed.floor_gas() });
        }
        Ok(())
    }
}
