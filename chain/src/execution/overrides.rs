//! What a call may assume in place of what is: accounts, and the block around it.

use alloy_primitives::map::U256Map;
use alloy_primitives::{Address, B256, U256};
use alloy_rpc_types_eth::BlockOverrides;
use alloy_rpc_types_eth::state::{AccountOverride, StateOverride};
use revm::bytecode::Bytecode;
use revm::context::BlockEnv;

use super::CallError;
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
    if account.move_precompile_to.is_some() {
        return Err(CallError::Invalid(format!("account {address}: movePrecompileToAddress is not supported")));
    }
    if account.state.is_some() && account.state_diff.is_some() {
        return Err(CallError::Invalid(format!("account {address} has both 'state' and 'stateDiff'")));
    }
    let code = account.code.as_ref().map(|code| {
        // As code that is stored: only a whole delegation is one.
        Bytecode::new_raw_checked(code.clone()).unwrap_or_else(|_| Bytecode::new_legacy(code.clone()))
    });
    state.assume(address, |info| {
        info.balance = account.balance.unwrap_or(info.balance);
        info.nonce = account.nonce.unwrap_or(info.nonce);
        if let Some(code) = code {
            info.set_code(code);
        }
    })?;
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
        for (address, account) in &self.state {
            apply_account(state, *address, account)?;
        }
        for (number, hash) in self.block.block_hash.iter().flatten() {
            state.assume_block_hash(*number, *hash);
        }
        Ok(())
    }

    /// What is assumed of the block.
    pub(crate) fn block_env(&self, env: BlockEnv) -> BlockEnv {
        let block = &self.block;
        BlockEnv {
            number: block.number.unwrap_or(env.number),
            timestamp: block.time.map_or(env.timestamp, U256::from),
            gas_limit: block.gas_limit.unwrap_or(env.gas_limit),
            beneficiary: block.coinbase.unwrap_or(env.beneficiary),
            prevrandao: block.random.or(env.prevrandao),
            basefee: block.base_fee.map_or(env.basefee, |fee| fee.saturating_to()),
            ..env
        }
    }
}
