//! Transactions of each type that users sign.

use alloy::{
    consensus::{TxEip1559, TxEip2930, TxEip7702, TxLegacy},
    eips::{
        eip2930::AccessList,
        eip7702::{Authorization, SignedAuthorization},
    },
    primitives::{Address, Bytes, TxKind, U64, U256},
    signers::SignerSync,
};
use anyhow::{Context, Result, bail};
use assent_tests::accounts::{Account, CHAIN_ID, Signed};
use serde_json::Value;

/// Gas for everything that is not told otherwise.
const GAS: u64 = 1_000_000;

/// What a transaction does, whatever its type.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    /// Whom it calls, or that it creates.
    pub(crate) to: TxKind,
    value: U256,
    input: Bytes,
    gas: u64,
    list: AccessList,
    authorizations: Vec<SignedAuthorization>,
}

impl Order {
    /// A call.
    pub(crate) fn call(to: Address, input: Bytes) -> Self {
        Self::new(TxKind::Call(to), input)
    }

    /// A creation.
    pub(crate) fn create(code: Bytes) -> Self {
        Self::new(TxKind::Create, code)
    }

    fn new(to: TxKind, input: Bytes) -> Self {
        let (list, authorizations) = (AccessList::default(), Vec::new());
        Self { to, value: U256::ZERO, input, gas: GAS, list, authorizations }
    }

    /// With this value.
    pub(crate) fn paying(mut self, wei: u64) -> Self {
        self.value = U256::from(wei);
        self
    }

    /// With this gas limit.
    pub(crate) fn within(mut self, gas: u64) -> Self {
        self.gas = gas;
        self
    }

    /// With this access list.
    pub(crate) fn listing(mut self, list: AccessList) -> Self {
        self.list = list;
        self
    }

    /// With these authorizations.
    pub(crate) fn allowing(mut self, authorizations: Vec<SignedAuthorization>) -> Self {
        self.authorizations = authorizations;
        self
    }
}

/// Makes an order the account's next transaction, of this type. The prices are small and differ from type to type.
pub(crate) fn sign(by: &mut Account, kind: u8, order: Order) -> Result<Signed> {
    let (chain_id, nonce) = (CHAIN_ID, by.nonce);
    by.nonce += 1;
    let Order { to, value, input, gas: gas_limit, list: access_list, authorizations: authorization_list } = order;
    match kind {
        0 => by.sign(TxLegacy { chain_id: Some(chain_id), nonce, gas_price: 3, gas_limit, to, value, input }),
        1 => by.sign(TxEip2930 { chain_id, nonce, gas_price: 2, gas_limit, to, value, access_list, input }),
        2 => by.sign(TxEip1559 {
            chain_id,
            nonce,
            gas_limit,
            max_fee_per_gas: 7,
            max_priority_fee_per_gas: 4,
            to,
            value,
            access_list,
            input,
        }),
        4 => by.sign(TxEip7702 {
            chain_id,
            nonce,
            gas_limit,
            max_fee_per_gas: 6,
            max_priority_fee_per_gas: 6,
            to: to.to().copied().context("a transaction with authorizations creates nothing")?,
            value,
            access_list,
            authorization_list,
            input,
        }),
        other => bail!("nobody signs transactions of type {other}"),
    }
}

/// Lets a contract's code act for an account, if this is the account's nonce.
pub(crate) fn delegation(by: &Account, to: Address, nonce: u64) -> Result<SignedAuthorization> {
    let authorization = Authorization { chain_id: U256::from(CHAIN_ID), address: to, nonce };
    let signature = by.signer().sign_hash_sync(&authorization.signature_hash())?;
    Ok(authorization.into_signed(signature))
}

/// A number as JSON-RPC writes it.
pub(crate) fn quantity(value: &Value) -> Result<u64> {
    let number: U64 = serde_json::from_value(value.clone()).with_context(|| format!("no quantity: {value}"))?;
    Ok(number.to())
}
