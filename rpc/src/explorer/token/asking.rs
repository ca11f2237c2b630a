//! What a token says of itself when it is asked.

use alloy_primitives::{Address, U256, hex};

use crate::explorer::{
    contract::Caller,
    decode::{
        kind::{Field, Kind},
        text::{shown, shown_bytes},
        value,
    },
};

/// Characters of a name or a symbol.
const MAX_NAME: usize = 64;

const NAME: [u8; 4] = hex!("06fdde03");
const SYMBOL: [u8; 4] = hex!("95d89b41");
const DECIMALS: [u8; 4] = hex!("313ce567");
const TOTAL_SUPPLY: [u8; 4] = hex!("18160ddd");
const BALANCE_OF: [u8; 4] = hex!("70a08231");
/// `balanceOf(address,uint256)`
const BALANCE_OF_KIND: [u8; 4] = hex!("00fdd58e");
const SUPPORTS_INTERFACE: [u8; 4] = hex!("01ffc9a7");

const INTERFACE_721: [u8; 4] = hex!("80ac58cd");
const INTERFACE_1155: [u8; 4] = hex!("d9b67a26");

/// What a token follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Standard {
    /// Amounts.
    Erc20,
    /// Things, each with a number.
    Erc721,
    /// Amounts of kinds of things.
    Erc1155,
}

impl Standard {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Erc20 => "ERC-20",
            Self::Erc721 => "ERC-721",
            Self::Erc1155 => "ERC-1155",
        }
    }
}

/// What it says. Names are fit to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) address: Address,
    pub(crate) name: Option<String>,
    pub(crate) symbol: Option<String>,
    /// 0 where it says nothing.
    pub(crate) decimals: u8,
    pub(crate) supply: Option<U256>,
}

impl Token {
    /// Asks for name, symbol, decimals and supply.
    pub(crate) fn ask(caller: &Caller, address: Address) -> Self {
        let word = |selector: [u8; 4]| caller.ask(address, selector.to_vec()).and_then(|output| number(&output));
        let name = |selector: [u8; 4]| caller.ask(address, selector.to_vec()).and_then(|output| text(&output));
        Self {
            address,
            name: name(NAME),
            symbol: name(SYMBOL),
            decimals: word(DECIMALS).and_then(|decimals| u8::try_from(decimals).ok()).unwrap_or(0),
            supply: word(TOTAL_SUPPLY),
        }
    }

    /// What it follows, as far as it says; `None`: it is no token.
    pub(crate) fn standard(&self, caller: &Caller) -> Option<Standard> {
        let supports = |interface: [u8; 4]| {
            let mut input = SUPPORTS_INTERFACE.to_vec();
            input.extend_from_slice(&interface);
            input.resize(4 + 32, 0);
            caller.ask(self.address, input).and_then(|output| number(&output)) == Some(U256::from(1))
        };
        if supports(INTERFACE_721) {
            return Some(Standard::Erc721);
        }
        if supports(INTERFACE_1155) {
            return Some(Standard::Erc1155);
        }
        let holds = balance(caller, self.address, &Address::ZERO).is_some();
        (self.supply.is_some() && holds).then_some(Standard::Erc20)
    }
}

/// What an account has of a token; `None`: the token does not say.
pub(crate) fn balance(caller: &Caller, token: Address, of: &Address) -> Option<U256> {
    let input = [&BALANCE_OF[..], of.into_word().as_slice()].concat();
    number(&caller.ask(token, input)?)
}

/// The same of one kind of thing (ERC-1155).
pub(crate) fn balance_of_kind(caller: &Caller, token: Address, of: &Address, kind: U256) -> Option<U256> {
    let kind = kind.to_be_bytes::<32>();
    let input = [&BALANCE_OF_KIND[..], of.into_word().as_slice(), &kind[..]].concat();
    number(&caller.ask(token, input)?)
}

/// A number that a call returned.
fn number(output: &[u8]) -> Option<U256> {
    let word: &[u8; 32] = output.first_chunk()?;
    Some(U256::from_be_bytes(*word))
}

/// A text that a call returned: a string, or 32 bytes with zeros at their end, as tokens of long ago have.
fn text(output: &[u8]) -> Option<String> {
    let field = Field { name: String::new(), text: "string".into(), kind: Kind::Text };
    let text = match value::read(&[&field], output) {
        Some(mut texts) => shown(&texts.pop()?, MAX_NAME),
        None => {
            let word: &[u8; 32] = output.try_into().ok()?;
            let end = word.iter().rposition(|byte| *byte != 0)? + 1;
            shown_bytes(&word[..end], MAX_NAME)
        }
    };
    (!text.trim().is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn string(text: &str) -> Vec<u8> {
        let word = |number: usize| U256::from(number).to_be_bytes::<32>();
        let mut output = [word(32), word(text.len())].concat();
        output.extend_from_slice(text.as_bytes());
        output.resize(output.len().next_multiple_of(32), 0);
        output
    }

    #[test]
    fn names_are_strings_or_words() {
        assert_eq!(text(&string("Coin")).as_deref(), Some("Coin"));
        let mut word = [0; 32];
        word[..3].copy_from_slice(b"MKR");
        assert_eq!(text(&word).as_deref(), Some("MKR"));
        for output in [vec![], vec![0; 32], vec![1; 31], vec![0xff; 64], string(""), string("  ")] {
            assert_eq!(text(&output), None, "{output:?}");
        }
    }

    #[test]
    fn hostile_names_are_escaped_and_cut() {
        assert_eq!(text(&string("US\u{202e}D")).as_deref(), Some("US\\u{202e}D"));
        let long = text(&string(&"<b>".repeat(5_000)));
        assert_eq!(long.map(|name| name.chars().count()), Some(MAX_NAME + 1));
    }

    #[test]
    fn numbers_are_whole_words() {
        assert_eq!(number(&[0; 31]), None);
        assert_eq!(number(&[0xff; 64]), Some(U256::MAX));
    }
}
