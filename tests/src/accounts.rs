//! Accounts with funds in genesis, and transactions signed by them.

use alloy::{
    consensus::{SignableTransaction, TxEip1559, TxEnvelope, TxLegacy},
    eips::eip2718::Encodable2718,
    network::TxSignerSync,
    primitives::{Address, B256, Bytes, TxKind, U256, keccak256},
    signers::local::PrivateKeySigner,
};
use anyhow::{Context, Result};
use serde_json::json;

use crate::rpc::{CallError, Rpc};

/// Chain id of all test networks.
pub const CHAIN_ID: u64 = 31337;
/// Gas of a plain transfer.
pub const TRANSFER_GAS: u64 = 21_000;

/// Ether that each account owns in genesis.
pub const FUNDS_ETHER: u64 = 10_000;

/// What each account owns in genesis, in wei.
pub fn funds() -> U256 {
    U256::from(FUNDS_ETHER) * U256::from(10u64).pow(U256::from(18u64))
}

/// An account that counts its own nonces.
#[derive(Clone, Debug)]
pub struct Account {
    signer: PrivateKeySigner,
    /// Nonce of the next transaction.
    pub nonce: u64,
}

/// A signed transaction in the form in which it is submitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// Its hash.
    pub hash: B256,
    /// Its bytes.
    pub raw: Bytes,
}

impl Account {
    /// The test account with this number. Its key is derived from the number, the same in every run.
    pub fn test(number: usize) -> Result<Self> {
        let key = keccak256(format!("assent-tests account {number}"));
        let signer = PrivateKeySigner::from_bytes(&key).context("a hash that is no key")?;
        Ok(Self::with_signer(signer))
    }

    /// The account of a key; its next nonce is 0.
    pub fn with_signer(signer: PrivateKeySigner) -> Self {
        Self { signer, nonce: 0 }
    }

    /// The first `count` test accounts.
    pub fn tests(count: usize) -> Result<Vec<Self>> {
        (0..count).map(Self::test).collect()
    }

    /// Its address.
    pub fn address(&self) -> Address {
        self.signer.address()
    }

    /// Its key as alloy's wallet takes it.
    pub fn signer(&self) -> PrivateKeySigner {
        self.signer.clone()
    }

    /// Its private key in hex, as tools on the command line take it.
    pub fn private_key(&self) -> String {
        self.signer.to_bytes().to_string()
    }

    /// The next transfer (EIP-1559).
    pub fn transfer(&mut self, to: Address, value: U256) -> Result<Signed> {
        let transaction = self.next(TxKind::Call(to), value, Bytes::new(), TRANSFER_GAS);
        self.sign(transaction)
    }

    /// The next transfer in the old form.
    pub fn legacy_transfer(&mut self, to: Address, value: U256) -> Result<Signed> {
        let transaction = TxLegacy {
            chain_id: Some(CHAIN_ID),
            nonce: self.take_nonce(),
            gas_price: 0,
            gas_limit: TRANSFER_GAS,
            to: TxKind::Call(to),
            value,
            input: Bytes::new(),
        };
        self.sign(transaction)
    }

    /// A transaction without fees that takes the next nonce; for [`Account::sign`].
    pub fn next(&mut self, to: TxKind, value: U256, input: Bytes, gas_limit: u64) -> TxEip1559 {
        TxEip1559 { chain_id: CHAIN_ID, nonce: self.take_nonce(), gas_limit, to, value, input, ..TxEip1559::default() }
    }

    /// Signs any transaction.
    pub fn sign<T>(&self, mut transaction: T) -> Result<Signed>
    where
        T: SignableTransaction<alloy::primitives::Signature>,
        TxEnvelope: From<alloy::consensus::Signed<T>>,
    {
        let signature = self.signer.sign_transaction_sync(&mut transaction)?;
        let envelope = TxEnvelope::from(transaction.into_signed(signature));
        Ok(Signed { hash: *envelope.tx_hash(), raw: envelope.encoded_2718().into() })
    }

    fn take_nonce(&mut self) -> u64 {
        let nonce = self.nonce;
        self.nonce += 1;
        nonce
    }
}

impl Signed {
    /// Submits it and checks that the node answers with its hash.
    pub async fn submit(&self, rpc: &Rpc) -> Result<(), CallError> {
        let hash = rpc.call("eth_sendRawTransaction", json!([self.raw])).await?;
        if hash == json!(self.hash) {
            return Ok(());
        }
        Err(CallError::Transport(format!("the transaction's hash is {}, the node answered {hash}", self.hash)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_differ_and_count_their_nonces() {
        let mut accounts = Account::tests(2).unwrap();
        assert_ne!(accounts[0].address(), accounts[1].address());
        let to = accounts[1].address();
        let first = accounts[0].transfer(to, U256::from(1)).unwrap();
        let second = accounts[0].transfer(to, U256::from(1)).unwrap();
        assert_ne!(first.hash, second.hash);
        assert_eq!(accounts[0].nonce, 2);
    }
}
