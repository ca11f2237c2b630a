//! The tokens of an account: what it has of those that it moved lately, and their transfers.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use alloy_primitives::{Address, U256};
use axum::response::Response;
use maud::{Markup, html};

use super::{Cursor, page::tabs};
use crate::explorer::{
    Explorer,
    contract::{Caller, TIME_OF_A_PAGE},
    page::{self, Failure, Nav, address_full, badge, heading, pager, section, table, token_amount},
    token::{
        self, Standard, Token,
        transfers::{self, Found, Goods, Scope, Transfer},
    },
};

/// Transfers of one page.
const PAGE: usize = 25;
/// Transfers in which tokens are looked for.
const LOOKED_AT: usize = 100;
/// Balances that are asked for.
const MAX_BALANCES: usize = 30;

/// A balance to ask for; the number is that of a kind of things (ERC-1155).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Holding {
    token: Address,
    standard: Standard,
    kind: Option<U256>,
}

/// See the module.
pub(super) fn page(explorer: &Explorer, address: &Address, before: Option<Cursor>) -> Result<Response, Failure> {
    let caller = Caller::new(explorer, TIME_OF_A_PAGE)?;
    let has_code = !caller.view().code(address)?.is_empty();
    let size = if before.is_none() { LOOKED_AT } else { PAGE };
    let deadline = Instant::now() + TIME_OF_A_PAGE / 2;
    let mut found = transfers::find(&explorer.chain, Scope::Account(*address), before, size, deadline)?;
    let holdings = if before.is_none() { holdings(&found.transfers) } else { BTreeSet::new() };
    if found.transfers.len() > PAGE {
        found.transfers.truncate(PAGE);
        found.older = found.transfers.last().map(|transfer| transfer.at);
    }
    let asked = holdings.iter().map(|holding| holding.token).chain(found.transfers.iter().map(|one| one.moved.token));
    let asked: BTreeSet<Address> = asked.collect();
    let tokens: BTreeMap<Address, Token> =
        asked.into_iter().map(|address| (address, Token::ask(&caller, address))).collect();
    let here = format!("/address/{address}/tokens");
    let body = html! {
        (heading("Tokens of", html! { (page::short(&address.to_string())) }, address_full(address)))
        (tabs(address, "tokens", has_code))
        @if before.is_none() { (balances(&caller, address, &holdings, &tokens)) }
        (moved(&found, &tokens, address, &here, before.is_some()))
    };
    Ok(page::page(explorer, Nav::None, "Tokens", body))
}

/// What may be held, of the tokens in these transfers.
fn holdings(transfers: &[Transfer]) -> BTreeSet<Holding> {
    let mut holdings = BTreeSet::new();
    for transfer in transfers {
        let token = transfer.moved.token;
        let standard = transfer.moved.goods.standard();
        match &transfer.moved.goods {
            Goods::Amount(_) | Goods::Thing(_) => {
                holdings.insert(Holding { token, standard, kind: None });
            }
            Goods::Kinds(kinds) => {
                let of = |(kind, _): &(U256, U256)| Holding { token, standard, kind: Some(*kind) };
                holdings.extend(kinds.iter().map(of));
            }
        }
    }
    while holdings.len() > MAX_BALANCES {
        holdings.pop_last();
    }
    holdings
}

fn balances(
    caller: &Caller,
    address: &Address,
    holdings: &BTreeSet<Holding>,
    tokens: &BTreeMap<Address, Token>,
) -> Markup {
    let row = |holding: &Holding| {
        let token = tokens.get(&holding.token);
        let balance = match holding.kind {
            Some(kind) => token::balance_of_kind(caller, holding.token, address, kind),
            None => token::balance(caller, holding.token, address),
        };
        vec![
            token::named(&holding.token, token),
            badge("plain", holding.standard.name()),
            html! { @match balance {
                Some(balance) => span.num { (amount(holding, balance, token)) },
                None => span.muted { "it does not say" },
            } },
        ]
    };
    let rows: Vec<_> = holdings.iter().map(row).collect();
    section(
        "balances",
        "Balances",
        html! {
            @if rows.is_empty() {
                (page::empty("No tokens were moved to or from this account in the blocks that were searched."))
            } @else {
                p.muted { "Of the tokens in its last transfers, as the contracts answer." }
                (table(&["Token", "Kind", "Balance"], rows))
            }
        },
    )
}

fn amount(holding: &Holding, balance: U256, token: Option<&Token>) -> String {
    let decimals = match holding.standard {
        Standard::Erc20 => token.map_or(0, |token| token.decimals),
        Standard::Erc721 | Standard::Erc1155 => 0,
    };
    let amount = token_amount(balance, decimals);
    match holding.kind {
        Some(kind) => format!("{amount} of #{}", page::short(&kind.to_string())),
        None => amount,
    }
}

fn moved(
    found: &Found,
    tokens: &BTreeMap<Address, Token>,
    address: &Address,
    here: &str,
    is_later_page: bool,
) -> Markup {
    let older = found.older.map(|older| format!("{here}?before={older}"));
    section(
        "transfers",
        "Transfers",
        html! {
            @if found.transfers.is_empty() {
                (page::empty(if older.is_some() { "None in the blocks that were searched: older ones may follow." } else { "None." }))
            } @else {
                (table(&token::HEAD, token::transfer_rows(&found.transfers, tokens, Some(address))))
            }
            (pager(is_later_page.then_some(here), older.as_deref()))
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::B256;

    fn transfer(token: u8, goods: Goods) -> Transfer {
        let moved =
            transfers::Moved { token: Address::repeat_byte(token), from: Address::ZERO, to: Address::ZERO, goods };
        Transfer { at: Cursor { number: 1, index: 0 }, transaction: B256::ZERO, timestamp: 0, moved }
    }

    #[test]
    fn each_token_is_asked_once_and_each_kind_of_things() {
        let kinds = |ids: &[u64]| Goods::Kinds(ids.iter().map(|id| (U256::from(*id), U256::from(1))).collect());
        let held = holdings(&[
            transfer(1, Goods::Amount(U256::from(5))),
            transfer(1, Goods::Amount(U256::from(6))),
            transfer(2, Goods::Thing(U256::from(7))),
            transfer(3, kinds(&[1, 2])),
            transfer(3, kinds(&[2])),
        ]);
        assert_eq!(held.len(), 4);
        let many: Vec<_> = (0..100).map(|token| transfer(token, Goods::Amount(U256::from(1)))).collect();
        assert_eq!(holdings(&many).len(), MAX_BALANCES);
    }

    #[test]
    fn amounts_have_the_decimals_of_their_token() {
        let address = Address::repeat_byte(1);
        let token = Token { address, name: None, symbol: None, decimals: 2, supply: None };
        let coins = Holding { token: address, standard: Standard::Erc20, kind: None };
        assert_eq!(amount(&coins, U256::from(12_345), Some(&token)), "123.45");
        let things = Holding { token: address, standard: Standard::Erc1155, kind: Some(U256::from(7)) };
        assert_eq!(amount(&things, U256::from(3), Some(&token)), "3 of #7");
    }
}
