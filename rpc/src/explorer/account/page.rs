//! The page of an account: what it has, and its transactions.

use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, Bytes};
use axum::response::Response;
use maud::{Markup, html};

use super::{
    Kind, Wanted,
    list::{self, Entry, Role, Searched},
};
use crate::explorer::{
    Explorer,
    contract::{Caller, Proof, TIME_OF_A_PAGE},
    decode::{self, text::shown},
    format::{count, number},
    page::{
        self, Failure, Nav, address_full, address_link, age, badge, block_link, ether, facts, heading, outcome, pager,
        section, table, transaction_link,
    },
    token::Token,
};

/// Transactions of one page.
const PAGE: usize = 25;

/// What stands before the address in the code of an account that delegates (EIP-7702).
const DELEGATION: [u8; 3] = [0xef, 0x01, 0x00];

const HEAD: [&str; 8] = ["Transaction", "Call", "Block", "Age", "From", "To", "Value", "Status"];

/// See the module.
pub(super) fn account(explorer: &Explorer, address: &Address, wanted: Wanted) -> Result<Response, Failure> {
    let caller = Caller::new(explorer, TIME_OF_A_PAGE)?;
    let account = caller.view().account(address)?;
    let code = caller.view().code(address)?;
    let (balance, nonce) = account.map_or_else(Default::default, |account| (account.balance, account.nonce));
    let mut rows = vec![("Balance", ether(balance)), ("Nonce", html! { span.num { (number(nonce)) } })];
    rows.extend(of_code(explorer, &caller, address, &code)?);
    let kind = if delegate(&code).is_some() || code.is_empty() { "Account" } else { "Contract" };
    let body = html! {
        (heading(kind, html! { (page::short(&address.to_string())) }, address_full(address)))
        (tabs(address, "transactions", !code.is_empty()))
        @if account.is_none() {
            p.muted { "Nothing has happened here yet: this account does not exist on the chain." }
        }
        (facts(rows))
        (transactions(explorer, address, wanted)?)
    };
    Ok(page::page(explorer, Nav::None, &format!("{kind} {}", page::short(&address.to_string())), body))
}

/// The parts of an account's pages.
pub(crate) fn tabs(address: &Address, current: &str, has_code: bool) -> Markup {
    let here = format!("/address/{address}");
    let mut all = vec![("transactions", here.clone(), "Transactions"), ("tokens", format!("{here}/tokens"), "Tokens")];
    if has_code || current == "contract" {
        all.push(("contract", format!("{here}/contract"), "Contract"));
    }
    html! {
        nav.tabs aria-label="Parts of this account" { ul {
            @for (id, href, name) in all {
                li { a href=(href) aria-current=[(id == current).then_some("page")] { (name) } }
            }
        } }
    }
}

/// The account that another one delegates to.
fn delegate(code: &Bytes) -> Option<Address> {
    let address = code.strip_prefix(&DELEGATION)?;
    (address.len() == 20).then(|| Address::from_slice(address))
}

/// What there is to say of an account with code.
fn of_code(
    explorer: &Explorer,
    caller: &Caller,
    address: &Address,
    code: &Bytes,
) -> Result<Vec<(&'static str, Markup)>, Failure> {
    let mut rows = Vec::new();
    if code.is_empty() {
        return Ok(rows);
    }
    if let Some(to) = delegate(code) {
        rows.push(("Delegates to", address_link(&to)));
        return Ok(rows);
    }
    let here = format!("/address/{address}/contract");
    rows.push(("Code", html! { a href=(here) { (count(code.len(), "byte")) } }));
    if let Some(known) = explorer.contracts.get(address).map(|known| known.of_code(code)) {
        let text = match known.proof {
            Proof::Full if known.abi_proven => badge("good", "Full match"),
            Proof::Full | Proof::Code => badge("wait", "Code compared, names as uploaded"),
            Proof::Said => badge("wait", "ABI, not compared"),
        };
        rows.push(("Sources", html! { (text) @if let Some(name) = &known.name { " " (shown(name, 128)) } }));
    }
    if let Some(creation) = created_in(explorer, address)? {
        rows.push(("Created", creation));
    }
    let token = Token::ask(caller, *address);
    if token.standard(caller).is_some() {
        let name = token.name.or(token.symbol).unwrap_or_else(|| "without a name".into());
        rows.push(("Token", html! { a href={ "/token/" (address) } { (name) } }));
    }
    Ok(rows)
}

fn created_in(explorer: &Explorer, address: &Address) -> Result<Option<Markup>, Failure> {
    let Some(at) = explorer.chain.creation_up_to(address, u64::MAX)? else { return Ok(None) };
    let Some(found) = explorer.chain.transaction_at(at.number, at.index)? else { return Ok(None) };
    Ok(Some(html! {
        "in " (transaction_link(found.transaction.hash())) ", sent by " (address_link(&found.transaction.sender()))
    }))
}

/// The list of transactions, or why there is none.
fn transactions(explorer: &Explorer, address: &Address, wanted: Wanted) -> Result<Markup, Failure> {
    let Wanted { before, kind } = wanted;
    let body = match list::find(&explorer.chain, address, before, kind, PAGE)? {
        Searched::NoIndex(end) => html! {
            p.empty {
                "This node does not keep a list of transactions by account"
                @if end > 0 { " beyond block " (block_link(end)) }
                "."
            }
            p.muted {
                "Its operator can have it: set " code { "[index] addresses = true" } ", stop the node, run "
                code { "assent db index" } ", and start it again."
            }
        },
        Searched::Found(listed) => {
            let here = format!("/address/{address}");
            let newest = format!("{here}?kind={}", kind.name());
            let older = listed.older.map(|older| format!("{here}?kind={}&before={older}", kind.name()));
            let rows: Vec<_> = listed.entries.iter().map(|entry| row(explorer, address, entry)).collect();
            html! {
                (kinds(&here, kind))
                @if rows.is_empty() {
                    @if older.is_some() {
                        p.empty { "None among those that were looked at: older ones may follow." }
                    } @else {
                        p.empty { "None." }
                    }
                } @else {
                    (table(&HEAD, rows))
                }
                (pager(before.map(|_| newest.as_str()), older.as_deref()))
            }
        }
    };
    Ok(section("transactions", "Transactions", body))
}

/// Links to the kinds of transactions.
fn kinds(here: &str, current: Kind) -> Markup {
    html! {
        nav.kinds aria-label="Which transactions" { ul {
            @for (kind, name, text) in Kind::ALL {
                li { a href={ (here) "?kind=" (name) } aria-current=[(kind == current).then_some("true")] { (text) } }
            }
        } }
    }
}

fn row(explorer: &Explorer, address: &Address, entry: &Entry) -> Vec<Markup> {
    let found = &entry.transaction;
    let (from, tx) = (found.transaction.sender(), found.transaction.tx());
    let to = tx.to();
    let party = |party: &Address| match party == address {
        true => html! { span.muted { "this account" } },
        false => address_link(party),
    };
    let created = || from.create(tx.nonce());
    vec![
        transaction_link(found.transaction.hash()),
        html! { (role(entry.role)) " " (call(explorer, to.as_ref(), tx.input())) },
        block_link(found.block_number),
        age(found.timestamp.saturating_mul(1_000)),
        party(&from),
        match &to {
            Some(to) => party(to),
            None => html! { (party(&created())) " " span.muted { "new" } },
        },
        ether(tx.value()),
        outcome(entry.success),
    ]
}

fn role(role: Role) -> Markup {
    let text = match role {
        Role::Sent => "out",
        Role::Received => "in",
        Role::Itself => "self",
        Role::Creates => "creates",
        Role::Created => "created",
        Role::Within => "within",
    };
    badge("plain", text)
}

/// The name of the function that is called.
fn call(explorer: &Explorer, to: Option<&Address>, input: &[u8]) -> Markup {
    if input.is_empty() || to.is_none() {
        return html! {};
    }
    match decode::call(explorer, to, input) {
        Some(call) => html! { code title=(shown(&call.signature, 256)) { (shown(call.name(), 48)) } },
        None => html! { @if let Some(selector) = decode::selector_text(input) { code.muted { (selector) } } },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delegations_are_told_from_code() {
        let to = Address::repeat_byte(7);
        let code: Bytes = [&DELEGATION[..], to.as_slice()].concat().into();
        assert_eq!(delegate(&code), Some(to));
        for code in [vec![], vec![0xef, 0x01, 0x00], vec![0x60; 23]] {
            assert_eq!(delegate(&code.into()), None);
        }
    }

    #[test]
    fn the_current_part_is_marked_and_accounts_without_code_have_no_contract() {
        let text = tabs(&Address::ZERO, "tokens", false).into_string();
        assert!(!text.contains("/contract"), "{text}");
        assert_eq!(text.matches("aria-current=\"page\"").count(), 1);
        assert!(tabs(&Address::ZERO, "contract", true).into_string().contains("/contract\" aria-current=\"page\""));
    }

    #[test]
    fn the_current_kind_is_marked() {
        let text = kinds("/address/0x0", Kind::Sent).into_string();
        assert!(text.contains("?kind=sent\" aria-current=\"true\""), "{text}");
        assert_eq!(text.matches("aria-current").count(), 1);
    }
}
