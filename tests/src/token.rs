//! A small ERC-20 token, assembled here so that no compiler is needed, with whatever name, symbol and reason for a
//! failed transfer a test likes: hostile ones, too.

use alloy::{
    primitives::{Bytes, U256},
    sol,
    sol_types::{Revert, SolError, SolEvent, SolValue},
};

sol! {
    /// What the token can do.
    contract Token {
        event Transfer(address indexed from, address indexed to, uint256 value);
        function name() external view returns (string);
        function symbol() external view returns (string);
        function decimals() external view returns (uint8);
        function totalSupply() external view returns (uint256);
        function balanceOf(address owner) external view returns (uint256);
        function transfer(address to, uint256 value) external returns (bool);
    }
}

/// Decimals of every such token.
pub const DECIMALS: u8 = 6;

/// What a token calls itself.
#[derive(Clone, Debug)]
pub struct Words {
    /// Its name.
    pub name: String,
    /// Its symbol.
    pub symbol: String,
    /// What a transfer of more than there is reverts with.
    pub reason: String,
}

/// Bytes of the dispatcher: the selector, six comparisons, and the end where none was right.
const DISPATCHER: usize = 6 + 6 * 11 + 5;

/// The input of the transaction that deploys a token whose supply, of so many units, belongs to the sender.
pub fn creation(words: &Words, supply: u64) -> Bytes {
    let runtime = runtime(words, supply);
    let supply = U256::from(supply).to_be_bytes::<32>();
    let mut code = Vec::new();
    code.push(0x7f);
    code.extend(supply); // PUSH32 supply
    code.extend([0x80, 0x33, 0x55]); // DUP1, CALLER, SSTORE: the sender's balance
    code.extend([0x60, 0, 0x52]); // PUSH1 0, MSTORE: the event's data
    code.extend([0x33, 0x60, 0]); // CALLER, PUSH1 0: to, from
    code.push(0x7f);
    code.extend(Token::Transfer::SIGNATURE_HASH.0);
    code.extend([0x60, 0x20, 0x60, 0, 0xa3]); // LOG3 with 32 bytes
    let offset = code.len() + 13;
    code.push(0x61);
    code.extend(short(runtime.len())); // PUSH2 length
    code.push(0x80); // DUP1
    code.push(0x61);
    code.extend(short(offset)); // PUSH2 where the contract begins
    code.extend([0x60, 0, 0x39]); // PUSH1 0, CODECOPY
    code.extend([0x60, 0, 0xf3]); // PUSH1 0, RETURN
    code.extend(runtime);
    code.into()
}

/// The contract's code: the dispatcher, the functions, then the texts in the form in which they are returned.
pub fn runtime(words: &Words, supply: u64) -> Vec<u8> {
    let name = (words.name.clone(),).abi_encode_params();
    let symbol = (words.symbol.clone(),).abi_encode_params();
    let reason = Revert { reason: words.reason.clone() }.abi_encode();
    let supply = U256::from(supply);
    // Where the texts are is known when all code is there; no length depends on it.
    let bodies = |texts: usize, refuse: usize| {
        [
            give(texts, name.len(), 0xf3),
            give(texts + name.len(), symbol.len(), 0xf3),
            word(U256::from(DECIMALS)),
            word(supply),
            balance(),
            transfer(refuse),
            give(texts + name.len() + symbol.len(), reason.len(), 0xfd),
        ]
    };
    let lengths = bodies(0, 0).map(|body| body.len());
    let start = |number: usize| DISPATCHER + lengths[..number].iter().sum::<usize>();
    let selectors =
        [0x06fd_de03_u32, 0x95d8_9b41, 0x313c_e567, 0x1816_0ddd, 0x70a0_8231, 0xa905_9cbb].map(u32::to_be_bytes);
    let mut code = vec![0x60, 0, 0x35, 0x60, 0xe0, 0x1c]; // the first four bytes of the input
    for (number, selector) in selectors.iter().enumerate() {
        code.extend([0x80, 0x63]);
        code.extend(selector); // DUP1, PUSH4 selector
        code.extend([0x14, 0x61]);
        code.extend(short(start(number)));
        code.push(0x57); // EQ, PUSH2 function, JUMPI
    }
    code.extend([0x60, 0, 0x60, 0, 0xfd]); // REVERT without data
    for body in bodies(start(lengths.len()), start(6)) {
        code.extend(body);
    }
    for text in [name, symbol, reason] {
        code.extend(text);
    }
    code
}

/// Ends with a part of the code itself: RETURN (0xf3) or REVERT (0xfd).
fn give(offset: usize, length: usize, end: u8) -> Vec<u8> {
    let (offset, length) = (short(offset), short(length));
    let mut code = vec![0x5b, 0x61, length[0], length[1], 0x61, offset[0], offset[1], 0x60, 0, 0x39];
    code.extend([0x61, length[0], length[1], 0x60, 0, end]); // PUSH2 length, PUSH1 0
    code
}

/// Returns a number.
fn word(value: U256) -> Vec<u8> {
    let mut code = vec![0x5b, 0x7f];
    code.extend(value.to_be_bytes::<32>());
    code.extend(RETURN_WORD);
    code
}

/// PUSH1 0, MSTORE, PUSH1 32, PUSH1 0, RETURN.
const RETURN_WORD: [u8; 8] = [0x60, 0, 0x52, 0x60, 0x20, 0x60, 0, 0xf3];

/// The balance of an address is in the slot that is its number.
fn balance() -> Vec<u8> {
    let mut code = vec![0x5b, 0x60, 4, 0x35, 0x54]; // PUSH1 4, CALLDATALOAD, SLOAD
    code.extend(RETURN_WORD);
    code
}

/// Moves what the sender has, or goes to `refuse`.
fn transfer(refuse: usize) -> Vec<u8> {
    let refuse = short(refuse);
    let mut code = vec![0x5b, 0x60, 0x24, 0x35, 0x33, 0x54]; // value, the sender's balance
    code.extend([0x81, 0x81, 0x10, 0x61, refuse[0], refuse[1], 0x57]); // is the balance below the value?
    code.extend([0x81, 0x90, 0x03, 0x33, 0x55]); // the sender's balance less the value
    code.extend([0x60, 4, 0x35, 0x54, 0x81, 0x01, 0x60, 4, 0x35, 0x55]); // the receiver's and the value
    code.extend([0x60, 0, 0x52, 0x60, 4, 0x35, 0x33, 0x7f]); // the event: data, to, from
    code.extend(Token::Transfer::SIGNATURE_HASH.0);
    code.extend([0x60, 0x20, 0x60, 0, 0xa3, 0x60, 1]); // LOG3 with 32 bytes, PUSH1 true
    code.extend(RETURN_WORD);
    code
}

/// A length as PUSH2 takes it. A code is shorter than this can say (EIP-170).
fn short(length: usize) -> [u8; 2] {
    u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use alloy::sol_types::SolCall;

    use super::*;

    fn words() -> Words {
        Words { name: "Harbour Credit".into(), symbol: "HBR".into(), reason: "not that much".into() }
    }

    #[test]
    fn every_function_is_reached_at_a_jump_destination() {
        let code = runtime(&words(), 1_000);
        let selectors = [
            Token::nameCall::SELECTOR,
            Token::symbolCall::SELECTOR,
            Token::decimalsCall::SELECTOR,
            Token::totalSupplyCall::SELECTOR,
            Token::balanceOfCall::SELECTOR,
            Token::transferCall::SELECTOR,
        ];
        for (number, selector) in selectors.iter().enumerate() {
            let entry = &code[6 + number * 11..][..11];
            assert_eq!(&entry[2..6], selector, "function {number}");
            let target = usize::from(u16::from_be_bytes([entry[8], entry[9]]));
            assert_eq!(code[target], 0x5b, "function {number} at {target}");
        }
    }

    #[test]
    fn the_texts_are_where_the_code_looks_for_them() {
        let code = runtime(&words(), 1_000);
        let text = (words().name,).abi_encode_params();
        let [length, offset] =
            [[code[DISPATCHER + 2], code[DISPATCHER + 3]], [code[DISPATCHER + 5], code[DISPATCHER + 6]]]
                .map(|bytes| usize::from(u16::from_be_bytes(bytes)));
        assert_eq!(&code[offset..offset + length], text);
        let all = creation(&words(), 1_000);
        assert!(all.ends_with(&code));
    }
}
