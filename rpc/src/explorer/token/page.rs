//! The page of a token, and rows about tokens that other pages show as well.

use std::{collections::BTreeMap, time::Instant};

use alloy_primitives::{Address, U256};
use axum::response::Response;
use maud::{Markup, html};

use super::{
    asking::{Standard, Token},
    transfers::{self, Goods, Scope, Transfer},
};
use crate::explorer::{
    Explorer,
    account::Cursor,
    contract::{Caller, TIME_OF_A_PAGE},
    page::{
        self, Failure, Nav, address_full, address_link, age, badge, block_link, facts, heading, pager, section, table,
        token_amount, transaction_link,
    },
};

/// Transfers of one page.
const PAGE: usize = 25;
/// Kinds of things of one transfer that are shown.
const SHOWN_KINDS: usize = 4;

/// See the module.
pub(super) fn token(explorer: &Explorer, address: &Address, before: Option<Cursor>) -> Result<Response, Failure> {
    let caller = Caller::new(explorer, TIME_OF_A_PAGE)?;
    let code = caller.view().code(address)?;
    if code.is_empty() {
        return Err(Failure::NotFound {
            what: format!("There is no token at {address}: it is no contract"),
            advice: "A token is a contract. Look for the address itself, or check it for a mistyped digit.".into(),
        });
    }
    let token = Token::ask(&caller, *address);
    let standard = token.standard(&caller);
    let found =
        transfers::find(&explorer.chain, Scope::Token(*address), before, PAGE, Instant::now() + TIME_OF_A_PAGE)?;
    let tokens = BTreeMap::from([(*address, token.clone())]);
    let here = format!("/token/{address}");
    let older = found.older.map(|older| format!("{here}?before={older}"));
    let title = token.symbol.clone().or_else(|| token.name.clone()).unwrap_or_else(|| "Token".into());
    let body = html! {
        (heading("Token", html! { (title) }, address_full(address)))
        p.muted {
            "Names are what the contract says of itself: any contract can take any name. Go by the address."
        }
        (facts(about(&token, standard)))
        p { a href={ "/address/" (address) } { "The contract's account" } " · " a href={ "/address/" (address) "/contract" } { "Code, reading and writing" } }
        (section("transfers", "Transfers", html! {
            @if found.transfers.is_empty() {
                (page::empty(if older.is_some() { "None in the blocks that were searched: older ones may follow." } else { "None." }))
            } @else {
                (table(&HEAD, transfer_rows(&found.transfers, &tokens, None)))
            }
            (pager(before.map(|_| here.as_str()), older.as_deref()))
        }))
    };
    Ok(page::page(explorer, Nav::None, &title, body))
}

fn about(token: &Token, standard: Option<Standard>) -> Vec<(&'static str, Markup)> {
    let said = |text: &Option<String>| match text {
        Some(text) => html! { (text) },
        None => html! { span.muted { "it does not say" } },
    };
    let mut rows = vec![
        (
            "Kind",
            match standard {
                Some(standard) => badge("plain", standard.name()),
                None => html! { span.muted { "it does not behave like a token" } },
            },
        ),
        ("Name", said(&token.name)),
        ("Symbol", said(&token.symbol)),
    ];
    if let Some(supply) = token.supply {
        rows.push(("Supply", html! { span.num { (token_amount(supply, token.decimals)) } }));
    }
    if standard == Some(Standard::Erc20) {
        rows.push(("Decimals", html! { span.num { (token.decimals) } }));
    }
    rows
}

/// The names of the columns of transfers.
pub(crate) const HEAD: [&str; 7] = ["Transaction", "Block", "Age", "From", "To", "What", "Token"];

/// Rows of transfers. `own`: the account whose page it is, which needs no link.
pub(crate) fn transfer_rows(
    transfers: &[Transfer],
    tokens: &BTreeMap<Address, Token>,
    own: Option<&Address>,
) -> Vec<Vec<Markup>> {
    let party = |address: &Address| match own {
        Some(own) if own == address => html! { span.muted { "this account" } },
        _ if address.is_zero() => html! { span.muted title="the zero address: made or destroyed" { "nobody" } },
        _ => address_link(address),
    };
    let row = |transfer: &Transfer| {
        let moved = &transfer.moved;
        let token = tokens.get(&moved.token);
        vec![
            transaction_link(&transfer.transaction),
            block_link(transfer.at.number),
            age(transfer.timestamp.saturating_mul(1_000)),
            party(&moved.from),
            party(&moved.to),
            goods(&moved.goods, token),
            named(&moved.token, token),
        ]
    };
    transfers.iter().map(row).collect()
}

fn goods(goods: &Goods, token: Option<&Token>) -> Markup {
    match goods {
        Goods::Amount(amount) => {
            html! { span.num { (token_amount(*amount, token.map_or(0, |token| token.decimals))) } }
        }
        Goods::Thing(id) => html! { "#" span.num { (number(*id)) } },
        Goods::Kinds(kinds) => html! {
            @for (index, (id, amount)) in kinds.iter().take(SHOWN_KINDS).enumerate() {
                @if index > 0 { ", " }
                span.num { (number(*amount)) } " of #" span.num { (number(*id)) }
            }
            @if kinds.len() > SHOWN_KINDS { " and others" }
        },
    }
}

/// A number of up to 78 digits, of which long ones are shortened: they are made of hashes.
fn number(number: U256) -> String {
    page::short(&number.to_string())
}

/// A token by its symbol and its address.
pub(crate) fn named(address: &Address, token: Option<&Token>) -> Markup {
    let symbol = token.and_then(|token| token.symbol.as_ref().or(token.name.as_ref()));
    html! {
        @if let Some(symbol) = symbol { bdi.symbol { (symbol) } " " }
        a.hash href={ "/token/" (address) } title=(address) { (page::short(&address.to_string())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::B256;

    fn coin(symbol: &str) -> Token {
        let address = Address::repeat_byte(9);
        Token { address, name: None, symbol: Some(symbol.into()), decimals: 2, supply: None }
    }

    #[test]
    fn goods_are_told_by_their_kind() {
        let coin = coin("C");
        assert!(goods(&Goods::Amount(U256::from(1_234)), Some(&coin)).into_string().contains("12.34"));
        assert!(goods(&Goods::Amount(U256::from(1_234)), None).into_string().contains("1,234"));
        assert!(goods(&Goods::Thing(U256::from(7)), None).into_string().contains("#<span class=\"num\">7</span>"));
        let kinds = Goods::Kinds((0..9).map(|id| (U256::from(id), U256::from(5))).collect());
        assert!(goods(&kinds, None).into_string().ends_with("and others"));
        assert!(goods(&Goods::Thing(U256::MAX), None).into_string().contains('…'));
    }

    #[test]
    fn a_hostile_symbol_stays_text() {
        let evil = coin("<script>alert(1)</script>");
        let text = named(&evil.address, Some(&evil)).into_string();
        assert!(text.contains("&lt;script&gt;") && !text.contains("<script>"), "{text}");
        let rows: String = about(&evil, None).into_iter().map(|(_, value)| value.into_string()).collect();
        assert!(!rows.contains("<script>"), "{rows}");
    }

    #[test]
    fn the_own_account_and_nobody_have_no_links() {
        let own = Address::repeat_byte(1);
        let moved = transfers::Moved {
            token: Address::repeat_byte(9),
            from: Address::ZERO,
            to: own,
            goods: Goods::Amount(U256::from(1)),
        };
        let at = Cursor { number: 3, index: 0 };
        let transfer = Transfer { at, transaction: B256::repeat_byte(5), timestamp: 1, moved };
        let rows = transfer_rows(&[transfer], &BTreeMap::new(), Some(&own));
        assert!(rows[0][3].clone().into_string().contains("nobody"));
        assert!(rows[0][4].clone().into_string().contains("this account"));
        assert_eq!(rows[0].len(), HEAD.len());
    }
}
