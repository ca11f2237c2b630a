//! Small contracts, assembled by hand so that no compiler is needed.

use alloy::{
    primitives::{Bytes, hex},
    sol,
};

sol! {
    /// Keeps a total, adds to it and says so in a log; adding nothing reverts with the reason `zero`.
    #[sol(rpc)]
    contract Counter {
        event Added(address indexed by, uint256 total);
        function add(uint256 amount) external returns (uint256);
        function value() external view returns (uint256);
    }
}

sol! {
    /// The part of an ERC-20 token that is called all the time; the one who deploys it owns all of it. Balances stand
    /// where Solidity puts those of a mapping in slot 0.
    #[sol(rpc)]
    contract Token {
        event Transfer(address indexed from, address indexed to, uint256 value);
        function balanceOf(address owner) external view returns (uint256);
        function transfer(address to, uint256 value) external returns (bool);
    }
}

/// Gives the deployer 2^128 and returns [`TOKEN`], which follows it.
#[rustfmt::skip]
const TOKEN_CONSTRUCTOR: &str = concat!(
    "33", "6000", "52",               // CALLER, MSTORE at 0
    "6001", "6080", "1b",             // PUSH1 1, PUSH1 128, SHL
    "6040", "6000", "20", "55",       // KECCAK256 of 64 bytes, SSTORE
    "609b", "80", "601a", "6000", "39", "6000", "f3",
);

/// The token.
#[rustfmt::skip]
const TOKEN: &str = concat!(
    // 00: the selector
    "6000", "35", "60e0", "1c",               // PUSH1 0, CALLDATALOAD, PUSH1 224, SHR
    "80", "6370a08231", "14", "601e", "57",   // balanceOf(address): JUMPI
    "63a9059cbb", "14", "6033", "57",         // transfer(address,uint256): JUMPI
    "6000", "6000", "fd",                     // REVERT
    // 1e: balanceOf(owner) returns the slot keccak256(owner . 0)
    "5b", "6004", "35", "6000", "52",         // CALLDATALOAD owner, MSTORE at 0
    "6040", "6000", "20", "54",               // KECCAK256 of 64 bytes, SLOAD
    "6000", "52", "6020", "6000", "f3",       // MSTORE at 0, RETURN 32 bytes
    // 33: transfer(to, value), the sender's balance first
    "5b", "33", "6000", "52",                 // CALLER, MSTORE at 0
    "6040", "6000", "20", "80", "54",         // its slot, its balance
    "6024", "35",                             // CALLDATALOAD value
    "81", "81", "11", "6095", "57",           // JUMPI to the end when value > balance
    "80", "91", "03", "90", "91", "55",       // balance - value into the slot; value stays
    "6004", "35", "80", "6000", "52",         // CALLDATALOAD to, MSTORE at 0
    "6040", "6000", "20", "80", "54",         // its slot, its balance
    "83", "01", "90", "55",                   // balance + value into the slot
    "90", "6000", "52", "33",                 // MSTORE value at 0; the topics: to, CALLER,
    "7f",                                     // PUSH32 Transfer
    "ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef",
    "6020", "6000", "a3",                     // LOG3 with 32 bytes
    "6001", "6000", "52", "6020", "6000", "f3", // RETURN true
    // 95: too little
    "5b", "6000", "6000", "fd",               // REVERT
);

/// The input of the transaction that deploys the token.
pub fn token_creation() -> Bytes {
    // The constants are checked by a test.
    hex::decode([TOKEN_CONSTRUCTOR, TOKEN].concat()).unwrap_or_default().into()
}

/// Steps of one round of [`spinner_creation`]'s contract.
pub const SPINNER_STEPS: u64 = 14;

/// The input of the transaction that deploys a contract that is called with a number (32 bytes, not zero) and goes
/// round so many times, with a hash each time, for those who want a deep trace: [`SPINNER_STEPS`] steps and 80 gas a
/// round. At its end it logs one byte.
pub fn spinner_creation() -> Bytes {
    let code = concat!(
        "6000", "35", // PUSH1 0, CALLDATALOAD
        "5b", "80", "6000", "52", // 03: JUMPDEST, DUP1, MSTORE at 0
        "6020", "6000", "20", "50", // KECCAK256 of 32 bytes, POP
        "6001", "90", "03", // PUSH1 1, SWAP1, SUB
        "80", "6003", "57", // DUP1, JUMPI to 03
        "6001", "6000", "a0", "00", // LOG0 with a byte, STOP
    );
    // PUSH1 length, DUP1, PUSH1 11, PUSH1 0, CODECOPY, PUSH1 0, RETURN
    hex::decode(format!("60{:02x}80600b6000396000f3{code}", code.len() / 2)).unwrap_or_default().into()
}

/// The code that runs in the constructor: returns [`COUNTER`], which follows it.
const CONSTRUCTOR: &str = concat!(
    "608f", // PUSH1 length of the contract
    "80",   // DUP1
    "600b", // PUSH1 where the contract begins
    "6000", // PUSH1 0
    "39",   // CODECOPY
    "6000", // PUSH1 0
    "f3",   // RETURN
);

/// The contract.
#[rustfmt::skip]
const COUNTER: &str = concat!(
    // 00: the selector is the first four bytes of the input
    "6000", "35",                             // PUSH1 0, CALLDATALOAD
    "60e0", "1c",                             // PUSH1 224, SHR
    "80", "633fa4f245", "14",                 // DUP1, PUSH4 value(), EQ
    "601e", "57",                             // PUSH1 value, JUMPI
    "631003e2d2", "14",                       // PUSH4 add(uint256), EQ
    "602a", "57",                             // PUSH1 add, JUMPI
    "6000", "6000", "fd",                     // REVERT without data
    // 1e: value() returns slot 0
    "5b",                                     // JUMPDEST
    "6000", "54",                             // SLOAD slot 0
    "6000", "52",                             // MSTORE at 0
    "6020", "6000", "f3",                     // RETURN 32 bytes
    // 2a: add(amount)
    "5b",                                     // JUMPDEST
    "6004", "35",                             // CALLDATALOAD amount
    "80", "6057", "57",                       // DUP1, PUSH1 count, JUMPI when it is not zero
    // 32: zero reverts with Error("zero")
    "6308c379a0", "60e0", "1b", "6000", "52", // selector of Error(string), SHL 224, MSTORE at 0
    "6020", "6004", "52",                     // the string begins 32 bytes on
    "6004", "6024", "52",                     // its length
    "637a65726f", "60e0", "1b", "6044", "52", // "zero", SHL 224, MSTORE at 68
    "6064", "6000", "fd",                     // REVERT with 100 bytes
    // 57: count
    "5b",                                     // JUMPDEST
    "6000", "54", "01",                       // SLOAD slot 0, ADD
    "80", "6000", "55",                       // DUP1, SSTORE slot 0
    "6000", "52",                             // MSTORE at 0
    "33",                                     // CALLER, the second topic
    "7f",                                     // PUSH32 Added, the first topic
    "446e00ad56f9b887844f390c87a128507b991ea0499375f13ecb115288c2df7d",
    "6020", "6000", "a2",                     // LOG2 with 32 bytes
    "6020", "6000", "f3",                     // RETURN 32 bytes
);

/// The input of the transaction that deploys the counter.
pub fn counter_creation() -> Bytes {
    // The constants are checked by a test.
    hex::decode([CONSTRUCTOR, COUNTER].concat()).unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use alloy::sol_types::{SolCall, SolEvent};

    use super::*;

    #[test]
    fn jumps_land_and_names_match() {
        let code = hex::decode(COUNTER).unwrap();
        assert_eq!(counter_creation().len(), 11 + code.len());
        assert_eq!(hex::decode(CONSTRUCTOR).unwrap()[1], code.len() as u8);
        for destination in [0x1e, 0x2a, 0x57] {
            assert_eq!(code[destination], 0x5b, "{destination:#x}");
        }
        let has = |part: &[u8]| code.windows(part.len()).any(|window| window == part);
        assert!(has(&Counter::valueCall::SELECTOR));
        assert!(has(&Counter::addCall::SELECTOR));
        assert!(has(Counter::Added::SIGNATURE_HASH.as_slice()));
    }
    #[test]
    fn the_token_and_the_spinner_are_whole() {
        let code = hex::decode(TOKEN).unwrap();
        let creation = token_creation();
        assert_eq!((creation.len(), usize::from(creation[16])), (26 + code.len(), code.len()));
        for destination in [0x1e, 0x33, 0x95] {
            assert_eq!(code[destination], 0x5b, "{destination:#x}");
        }
        let has = |part: &[u8]| code.windows(part.len()).any(|window| window == part);
        assert!(has(&Token::balanceOfCall::SELECTOR));
        assert!(has(&Token::transferCall::SELECTOR));
        assert!(has(Token::Transfer::SIGNATURE_HASH.as_slice()));
        let spinner = spinner_creation();
        assert_eq!((spinner.len(), spinner[11 + 3]), (11 + usize::from(spinner[1]), 0x5b));
    }
}
