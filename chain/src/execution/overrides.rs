//! What a call may assume in place of what is: accounts, and the block around it.

use alloy_primitives::map::U256Map;
use alloy_primitives::{Address, B256, U256};
use alloy_rpc_types_eth::BlockOverrides;
use alloy_rpc_types_eth::state::{AccountOverride, StateOverride};
use revm::bytecode::Bytecode;
use revm::context::{BlockEnv, CfgEnv};
use revm::context_interface::block::BlobExcessGasAndPrice;

use super::CallError;
use super::evm::Evm;
use super::precompiles::Assumed;
use crate::state::BlockState;

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// Accounts.
    pub state: StateOverride,
    /// The block.
    pub block: BlockOverrides,
}

fn slots(of: &alloy_primitives::map::B256Map<B256>) -> U256Map<U256> {
    of.iter().map(|(slot, value)| (U256::from_be_bytes(slot.0), U256::from_be_bytes(value.0))).collect()
}

fn apply_account(state: &mut BlockState, address: Address, account: &AccountOverride) -> Result<(), CallError> {
    if account.state.is_some() && account.state_diff.is_some() {
        return Err(CallError::Invalid(format!("account {address} has both 'state' and 'stateDiff'")));
    }
    if account.balance.is_some() || account.nonce.is_some() || account.code.is_some() {
        state.assume(address, |info| {
            info.balance = account.balance.unwrap_or(info.balance);
            info.nonce = account.nonce.unwrap_or(info.nonce);
            if let Some(raw) = &account.code {
                // As code that is stored: only a whole delegation is one.
                let code = Bytecode::new_raw_checked(raw.clone());
                info.set_code(code.unwrap_or_else(|_| Bytecode::new_legacy(raw.clone())));
            }
        })?;
    }
    if let Some(all) = &account.state {
        state.assume_slots(address, true, &slots(all))?;
    }
    if let Some(some) = &account.state_diff {
        state.assume_slots(address, false, &slots(some))?;
    }
    Ok(())
}

impl Overrides {
    /// Writes what is assumed of accounts and of earlier blocks into a state that calls run upon.
    pub(crate) fn apply(&self, state: &mut BlockState) -> Result<(), CallError> {
        if self.block.beacon_root.is_some() {
            let text = "block override \"beaconRoot\" is not supported for this RPC method";
            return Err(CallError::Invalid(text.into()));
        }
        self.apply_to_block(state)
    }

    /// The same for a whole block, which has a header that more can be assumed of.
    pub(crate) fn apply_to_block(&self, state: &mut BlockState) -> Result<(), CallError> {
        for (address, account) in &self.state {
            apply_account(state, *address, account)?;
        }
        for (number, hash) in self.block.block_hash.iter().flatten() {
            state.assume_block_hash(*number, *hash);
        }
        Ok(())
    }

    /// An EVM with the precompiles that are assumed. The state has been applied to, and `block` is [`Self::block_env`]'s.
    pub(crate) fn evm(&self, state: BlockState, cfg: CfgEnv, block: BlockEnv) -> Result<Evm, CallError> {
        let assumed = Assumed::by(&self.state, cfg.spec)?;
        let mut evm = Evm::new(state, cfg, block);
        if let Some(assumed) = assumed {
            evm.assume_precompiles(assumed);
        }
        Ok(evm)
    }

    /// What is assumed of the block. The difficulty is not heeded: no opcode shows it since the merge.
    pub(crate) fn block_env(&self, env: BlockEnv) -> BlockEnv {
        let block = &self.block;
        BlockEnv {
            number: block.number.unwrap_or(env.number),
            timestamp: block.time.map_or(env.timestamp, U256::from),
            gas_limit: block.gas_limit.unwrap_or(env.gas_limit),
            beneficiary: block.coinbase.unwrap_or(env.beneficiary),
            prevrandao: block.random.or(env.prevrandao),
            basefee: block.base_fee.map_or(env.basefee, |fee| fee.saturating_to()),
            blob_excess_gas_and_price: match block.blob_base_fee {
                Some(fee) => Some(BlobExcessGasAndPrice { excess_blob_gas: 0, blob_gasprice: fee.saturating_to() }),
                None => env.blob_excess_gas_and_price,
            },
            ..env
        }
    }
}
