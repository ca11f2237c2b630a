//! The transaction that a request stands for, before anybody has signed it.

use alloy_consensus::{SignableTransaction, TxEip1559, TxEip2930, TxEip7702, TxLegacy};
use alloy_primitives::{Signature, TxKind, U256};

use super::CallRequest;
use crate::transaction::Transaction;

/// A signature of zeros, which nobody made.
const NONE: Signature = Signature::new(U256::ZERO, U256::ZERO, false);

/// The request as a transaction with this nonce and gas limit: with delegations if it has some, without a price per gas
/// of the old kind a fee-market one. `None`: it has delegations and creates a contract, which no transaction can.
pub fn unsigned(request: &CallRequest, chain_id: u64, nonce: u64, gas_limit: u64) -> Option<Transaction> {
    let to = request.to.map_or(TxKind::Create, TxKind::Call);
    let (value, input) = (request.value, request.input.clone());
    let access_list = request.access_list.clone().unwrap_or_default();
    let max_fee_per_gas = request.gas_price.or(request.max_fee_per_gas).unwrap_or_default();
    let max_priority_fee_per_gas = request.gas_price.or(request.max_priority_fee_per_gas).unwrap_or_default();
    if !request.authorization_list.is_empty() {
        let authorization_list = request.authorization_list.clone();
        let to = request.to?;
        let tx = TxEip7702 {
            chain_id,
            nonce,
            gas_limit,
            max_fee_per_gas,
            max_priority_fee_per_gas,
            to,
            value,
            access_list,
            authorization_list,
            input,
        };
        return Some(tx.into_signed(NONE).into());
    }
    Some(match request.gas_price {
        None => TxEip1559 {
            chain_id,
            nonce,
            gas_limit,
            max_fee_per_gas,
            max_priority_fee_per_gas,
            to,
            value,
            access_list,
            input,
        }
        .into_signed(NONE)
        .into(),
        Some(gas_price) if request.access_list.is_some() => {
            TxEip2930 { chain_id, nonce, gas_price, gas_limit, to, value, access_list, input }.into_signed(NONE).into()
        }
        Some(gas_price) => TxLegacy { chain_id: Some(chain_id), nonce, gas_price, gas_limit, to, value, input }
            .into_signed(NONE)
            .into(),
    })
}
