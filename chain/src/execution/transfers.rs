//! Transfers of ether among the logs of a transaction, as `eth_simulateV1` shows them: like those of a token.

use alloy_primitives::{Address, B256, Bytes, Log, U256, address, b256};
use revm::context_interface::{ContextTr, JournalTr};
use revm::inspector::Inspector;
use revm::interpreter::{CallInputs, CallOutcome, CreateInputs, CreateOutcome};

use super::evm::EvmContext;

/// Who logs transfers of ether (ERC-7528).
const ETHER: Address = address!("eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee");
/// keccak256 of `Transfer(address,address,uint256)`.
const TRANSFER: B256 = b256!("ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef");

/// Collects what a transaction logs and transfers, in order. What a call that fails did is not part of it.
#[derive(Debug, Default)]
pub(super) struct Transfers {
    /// Of each call that has not ended.
    open: Vec<Vec<Log>>,
    /// Of the transaction.
    ended: Vec<Log>,
}

impl Transfers {
    pub(super) fn into_logs(self) -> Vec<Log> {
        self.ended
    }

    fn add(&mut self, log: Log) {
        if let Some(open) = self.open.last_mut() {
            open.push(log);
        }
    }

    fn transfer(&mut self, from: Address, to: Address, value: U256) {
        if !value.is_zero() {
            let topics = vec![TRANSFER, from.into_word(), to.into_word()];
            self.add(Log::new_unchecked(ETHER, topics, Bytes::from(value.to_be_bytes_vec())));
        }
    }

    fn end(&mut self, well: bool) {
        let Some(mut logs) = self.open.pop() else { return };
        if well {
            self.open.last_mut().unwrap_or(&mut self.ended).append(&mut logs);
        }
    }
}

impl Inspector<EvmContext> for Transfers {
    fn log(&mut self, _: &mut EvmContext, log: Log) {
        self.add(log);
    }

    fn call(&mut self, _: &mut EvmContext, inputs: &mut CallInputs) -> Option<CallOutcome> {
        self.open.push(Vec::new());
        // CALLCODE sends an account its own money, the others send none.
        if inputs.scheme.is_call() {
            self.transfer(inputs.caller, inputs.target_address, inputs.call_value());
        }
        None
    }

    fn call_end(&mut self, _: &mut EvmContext, _: &CallInputs, outcome: &mut CallOutcome) {
        self.end(outcome.result.result.is_ok());
    }

    fn create(&mut self, context: &mut EvmContext, inputs: &mut CreateInputs) -> Option<CreateOutcome> {
        self.open.push(Vec::new());
        // An account that cannot be read fails the transaction by itself.
        if let Ok(caller) = context.journal_mut().load_account(inputs.caller()) {
            let nonce = caller.info.nonce;
            self.transfer(inputs.caller(), inputs.created_address(nonce), inputs.value());
        }
        None
    }

    fn create_end(&mut self, _: &mut EvmContext, _: &CreateInputs, outcome: &mut CreateOutcome) {
        self.end(outcome.result.result.is_ok());
    }

    fn selfdestruct(&mut self, contract: Address, target: Address, value: U256) {
        self.transfer(contract, target, value);
    }
}
