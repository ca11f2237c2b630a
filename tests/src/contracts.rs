//! A small contract, assembled by hand so that no compiler is needed.

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
}
