//! The well-known accounts of development chains.
//!
//! Hardhat, anvil and others fund the ten accounts of one public mnemonic on chain id 31337, so
//! that tools and tutorials work without any set-up. Everybody knows these keys: on any other
//! chain what they hold belongs to whoever is fastest.

use std::sync::LazyLock;

use alloy_primitives::{Address, B256};
use alloy_signer_local::MnemonicBuilder;
use serde::Serialize;

/// The chain id of development chains.
pub const DEV_CHAIN_ID: u64 = 31337;

/// The mnemonic of the accounts.
pub const DEV_MNEMONIC: &str = "test test test test test test test test test test test junk";

/// What each account is given on a new development chain, in ether.
pub const DEV_BALANCE_ETHER: u64 = 10_000;

/// How many accounts are derived.
const ACCOUNTS: u32 = 10;

/// A development account. Its key is public knowledge and printed freely.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DevAccount {
    /// The address.
    pub address: Address,
    /// The secp256k1 secret.
    pub private_key: B256,
}

/// The ten development accounts, in the order of their derivation.
pub fn dev_accounts() -> Vec<DevAccount> {
    // Each derivation stretches the mnemonic anew, which takes milliseconds.
    static DERIVED: LazyLock<Vec<DevAccount>> = LazyLock::new(|| (0..ACCOUNTS).map(derive).collect());
    DERIVED.clone()
}

fn derive(index: u32) -> DevAccount {
    let signer = MnemonicBuilder::try_from_phrase_nth(DEV_MNEMONIC, index)
        .expect("the mnemonic is a valid constant, and so is every small index");
    DevAccount { address: signer.address(), private_key: signer.to_bytes() }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{address, b256};

    use super::*;

    #[test]
    fn the_accounts_that_hardhat_and_anvil_print() {
        let accounts = dev_accounts();
        let addresses: Vec<Address> = accounts.iter().map(|account| account.address).collect();
        let expected = [
            address!("f39Fd6e51aad88F6F4ce6aB8827279cffFb92266"),
            address!("70997970C51812dc3A010C7d01b50e0d17dc79C8"),
            address!("3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"),
            address!("90F79bf6EB2c4f870365E785982E1f101E93b906"),
            address!("15d34AAf54267DB7D7c367839AAf71A00a2C6A65"),
            address!("9965507D1a55bcC2695C58ba16FB37d819B0A4dc"),
            address!("976EA74026E726554dB657fA54763abd0C3a0aa9"),
            address!("14dC79964da2C08b23698B3D3cc7Ca32193d9955"),
            address!("23618e81E3f5cdF7f54C3d65f7FBc0aBf5B21E8f"),
            address!("a0Ee7A142d267C1f36714E4a8F75612F20a79720"),
        ];
        assert_eq!(addresses, expected);
        let first = b256!("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80");
        assert_eq!(accounts[0].private_key, first);
    }
}
