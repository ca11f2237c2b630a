//! The frame around every page, and the pieces that all pages share. `maud` escapes all that is put into markup; nothing
//! here or in the pages goes around that.

use alloy_primitives::{Address, B256, U256, hex};
use axum::{
    http::StatusCode,
    response::{Html, IntoResponse, Response},
};
use maud::{DOCTYPE, Markup, html};

use crate::explorer::{
    Explorer,
    format::{self, number},
    parse_number,
};

pub(crate) use crate::explorer::format::token_amount;

/// Bytes of data that a page shows; what is beyond is counted.
const SHOWN_BYTES: usize = 8 * 1024;

/// Which entry of the navigation a page belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nav {
    Home,
    Blocks,
    Transactions,
    Validators,
    Network,
    Mempool,
    None,
}

const ENTRIES: [(Nav, &str, &str); 6] = [
    (Nav::Home, "/", "Overview"),
    (Nav::Blocks, "/blocks", "Blocks"),
    (Nav::Transactions, "/txs", "Transactions"),
    (Nav::Validators, "/validators", "Validators"),
    (Nav::Network, "/network", "Network"),
    (Nav::Mempool, "/mempool", "Mempool"),
];

/// A page could not be made.
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    /// There is no such thing: what was looked for, and where to look instead.
    NotFound { what: String, advice: String },
    /// The request makes no sense; the text says what was expected.
    Bad(String),
    /// Too many pages are being made.
    Busy,
    /// A fault of this node.
    Internal(String),
}

/// A page, or why there is none.
pub(crate) type Answer = Result<Response, Failure>;

impl Failure {
    fn status(&self) -> StatusCode {
        match self {
            Self::NotFound { .. } => StatusCode::NOT_FOUND,
            Self::Bad(_) => StatusCode::BAD_REQUEST,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The page that says so, without its frame.
    fn words(&self) -> (&str, &str, &str) {
        match self {
            Self::NotFound { what, advice } => ("Not found", what.as_str(), advice.as_str()),
            Self::Bad(text) => ("This cannot be answered", text.as_str(), "Go back, change it and try again."),
            Self::Busy => (
                "Busy",
                "This node has more pages to make than it can at the moment.",
                "Its first work is to make blocks. Wait a moment and load the page again.",
            ),
            Self::Internal(text) => {
                ("A fault of this node", text.as_str(), "The log of the node says more. Other pages may work.")
            }
        }
    }

    /// The whole page, once it is known for which chain.
    pub(super) fn page(&self, explorer: &Explorer) -> Response {
        let (title, what, advice) = self.words();
        let body = html! {
            section.failure {
                p.code aria-hidden="true" { (self.status().as_u16()) }
                h1 { (title) }
                p.what { (what) }
                p { (advice) }
                (search_form("failure-q"))
                p { a href="/" { "Overview" } " · " a href="/blocks" { "Latest blocks" } " · " a href="/txs" { "Latest transactions" } }
            }
        };
        let mut response = page(explorer, Nav::None, title, body);
        *response.status_mut() = self.status();
        response
    }
}

impl IntoResponse for Failure {
    /// A bare answer that carries the failure: the layer around all pages makes the page of it, since it knows the chain.
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<assent_chain::StorageError> for Failure {
    fn from(error: assent_chain::StorageError) -> Self {
        Self::Internal(error.to_string())
    }
}

impl From<assent_chain::StateError> for Failure {
    fn from(error: assent_chain::StateError) -> Self {
        match error {
            assent_chain::StateError::Pruned { .. } | assent_chain::StateError::Unknown => Self::NotFound {
                what: error.to_string(),
                advice: "A node that keeps all history (an archive) can answer this.".into(),
            },
            other => Self::Internal(other.to_string()),
        }
    }
}

/// A whole page.
pub(crate) fn page(explorer: &Explorer, nav: Nav, title: &str, body: Markup) -> Response {
    let status = explorer.status();
    let head = explorer.chain.head();
    let assets = &explorer.assets_version;
    let chain_id = explorer.genesis.chain_id();
    let document = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · Assent chain " (chain_id) }
                link rel="icon" href={ "/assets/icon.svg?v=" (assets) } type="image/svg+xml";
                link rel="stylesheet" href={ "/assets/style.css?v=" (assets) };
                script src={ "/assets/live.js?v=" (assets) } defer {}
            }
            body data-now=(format::now_ms()) {
                a.skip href="#main" { "Skip to the content" }
                header.site {
                    div.bar {
                        a.brand href="/" { (mark()) span { "Assent" } }
                        nav aria-label="Pages" { ul { @for (entry, href, name) in ENTRIES {
                            li { a href=(href) aria-current=[(entry == nav).then_some("page")] { (name) } }
                        } } }
                        (search_form("q"))
                    }
                }
                main id="main" tabindex="-1" { (body) }
                footer.site {
                    p {
                        "Chain " span.num { (chain_id) } " · block "
                        a.num #head href={ "/block/" (head.number) } data-head=(head.number) { (number(head.number)) }
                        " · node " (status.node_name) " · " (explorer.client_version)
                    }
                    p.muted { "Every block shown here is final: blocks on this chain are never taken back." }
                }
            }
        }
    };
    Html(document.into_string()).into_response()
}

/// The mark of the chain: three votes around a block.
fn mark() -> Markup {
    html! {
        svg viewBox="0 0 24 24" width="24" height="24" aria-hidden="true" {
            path.mark-line d="M12 3.5 20 17.5H4Z" fill="none" stroke-width="1.75" stroke-linejoin="round" {}
            circle.mark-dot cx="12" cy="4" r="3" {}
            circle.mark-dot cx="4.2" cy="17.5" r="3" {}
            circle.mark-dot cx="19.8" cy="17.5" r="3" {}
        }
    }
}

/// The one search field; pages that show it a second time give it another id.
pub(crate) fn search_form(id: &str) -> Markup {
    html! {
        form.search action="/search" method="get" role="search" {
            label.hidden for=(id) { "Search by block number, hash, address or validator" }
            input id=(id) name="q" type="search" maxlength="200" autocomplete="off" spellcheck="false"
                placeholder="Block, hash, address or validator";
            button type="submit" { "Search" }
        }
    }
}

/// The heading of a page, with a line below it.
pub(crate) fn heading(kind: &str, title: Markup, below: Markup) -> Markup {
    html! {
        div.heading {
            @if !kind.is_empty() { p.kind { (kind) } }
            h1 { (title) }
            div.below { (below) }
        }
    }
}

/// A part of a page with a title. Its id names it for links and for what is live.
pub(crate) fn section(id: &str, title: &str, body: Markup) -> Markup {
    html! {
        section.card id=(id) aria-labelledby={ (id) "-title" } {
            h2 id={ (id) "-title" } { (title) }
            (body)
        }
    }
}

/// The same for a part that the page's script keeps up to date.
pub(crate) fn live_section(id: &str, title: &str, body: Markup) -> Markup {
    html! {
        section.card id=(id) aria-labelledby={ (id) "-title" } data-live {
            h2 id={ (id) "-title" } { (title) }
            (body)
        }
    }
}

/// A shortened hash or address: its beginning and its end.
pub(crate) fn short(text: &str) -> String {
    const BEGINNING: usize = 10;
    const END: usize = 6;
    let length = text.chars().count();
    if length <= BEGINNING + END + 1 {
        return text.to_owned();
    }
    let beginning: String = text.chars().take(BEGINNING).collect();
    let end: String = text.chars().skip(length - END).collect();
    format!("{beginning}…{end}")
}

/// An address, shortened.
pub(crate) fn address_link(address: &Address) -> Markup {
    let text = address.to_string();
    html! { a.hash href={ "/address/" (text) } title=(text) { (short(&text)) } }
}

/// An address in full, where there is room for it.
pub(crate) fn address_full(address: &Address) -> Markup {
    let text = address.to_string();
    html! { a.hash.full href={ "/address/" (text) } { (text) } (copy(&text)) }
}

/// A block by its number.
pub(crate) fn block_link(block: u64) -> Markup {
    html! { a.num href={ "/block/" (block) } { (number(block)) } }
}

/// A transaction, shortened.
pub(crate) fn transaction_link(hash: &B256) -> Markup {
    let text = hash.to_string();
    html! { a.hash href={ "/tx/" (text) } title=(text) { (short(&text)) } }
}

/// A hash in full that leads nowhere.
pub(crate) fn hash(hash: &B256) -> Markup {
    let text = hash.to_string();
    html! { span.hash.full { (text) } (copy(&text)) }
}

/// A button that copies; it shows where scripts run.
pub(crate) fn copy(text: &str) -> Markup {
    html! { button.copy type="button" data-copy=(text) aria-label="Copy" title="Copy" hidden {} }
}

/// An amount of the chain's own money.
pub(crate) fn ether(wei: U256) -> Markup {
    html! { span.num title={ (format::grouped(&wei.to_string())) " wei" } { (token_amount(wei, 18)) } " " span.unit { "ETH" } }
}

/// How long ago a moment was. With scripts it goes on.
pub(crate) fn age(time_ms: u64) -> Markup {
    html! {
        time.num datetime=(format::rfc3339(time_ms)) title=(format::utc(time_ms)) data-time=(time_ms) { (format::ago(time_ms)) }
    }
}

/// A moment in full, and how long ago it was.
pub(crate) fn moment(time_ms: u64) -> Markup {
    html! { span.num { (format::utc(time_ms)) } " " span.muted { "(" (age(time_ms)) ")" } }
}

/// A word in a quiet frame; `kind` is good, bad, wait or plain.
pub(crate) fn badge(kind: &str, text: &str) -> Markup {
    html! { span class={ "badge " (kind) } { (text) } }
}

/// Whether a transaction succeeded.
pub(crate) fn outcome(success: bool) -> Markup {
    if success { badge("good", "Success") } else { badge("bad", "Failed") }
}

/// Names and values.
pub(crate) fn facts(rows: Vec<(&str, Markup)>) -> Markup {
    html! { dl.facts { @for (name, value) in rows { div { dt { (name) } dd { (value) } } } } }
}

/// Large numbers side by side: name, value, and a line that explains.
pub(crate) fn figures(figures: Vec<(&str, Markup, Markup)>) -> Markup {
    html! {
        dl.figures { @for (name, value, below) in figures {
            div { dt { (name) } dd.value { (value) } dd.below { (below) } }
        } }
    }
}

/// A table; on narrow screens each row becomes a card with the names of the columns in it.
pub(crate) fn table(head: &[&str], rows: Vec<Vec<Markup>>) -> Markup {
    html! {
        div.scroll { table role="table" {
            thead role="rowgroup" { tr role="row" { @for name in head { th role="columnheader" scope="col" { (name) } } } }
            tbody role="rowgroup" { @for row in rows {
                tr role="row" { @for (index, cell) in row.into_iter().enumerate() {
                    td role="cell" data-label=(head.get(index).unwrap_or(&"")) { div.cell { (cell) } }
                } }
            } }
        } }
    }
}

/// What stands where there is nothing to show.
pub(crate) fn empty(text: &str) -> Markup {
    html! { p.empty { (text) } }
}

/// Data in hex, broken over lines. What is very long is cut, and how much is missing is said.
pub(crate) fn bytes(data: &[u8]) -> Markup {
    let shown = &data[..data.len().min(SHOWN_BYTES)];
    html! {
        @if data.is_empty() { span.muted { "none" } } @else {
            pre.bytes tabindex="0" { code { (hex::encode_prefixed(shown)) } }
            @if data.len() > shown.len() {
                p.muted { "The first " (number(shown.len() as u64)) " of " (number(data.len() as u64)) " bytes." }
            }
        }
    }
}

/// Links to newer and older entries of a list.
pub(crate) fn pager(newest: Option<&str>, older: Option<&str>) -> Markup {
    html! {
        @if newest.is_some() || older.is_some() {
            nav.pager aria-label="Further entries" {
                @if let Some(href) = newest { a href=(href) rel="first" { "← Newest" } }
                @if let Some(href) = older { a href=(href) rel="next" { "Older →" } }
            }
        }
    }
}

/// Where a long list of something small stands: pages with numbers, from 1 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Numbered {
    page: usize,
    pages: usize,
    per_page: usize,
}

impl Numbered {
    /// The page that a query asks for, of a list with so many entries.
    pub(crate) fn new(which: Option<&str>, all: usize, per_page: usize) -> Result<Self, Failure> {
        let pages = all.div_ceil(per_page).max(1);
        let wanted = which.map_or(Some(1), parse_number).and_then(|page| usize::try_from(page).ok());
        match wanted.filter(|page| (1..=pages).contains(page)) {
            Some(page) => Ok(Self { page, pages, per_page }),
            None => Err(Failure::Bad(format!("The page has to be a number from 1 to {pages}."))),
        }
    }

    /// The position of the page's first entry.
    pub(crate) fn start(self) -> usize {
        (self.page - 1) * self.per_page
    }

    /// Links to the pages beside it; their number stands between the two texts.
    pub(crate) fn links(self, before: &str, after: &str) -> Markup {
        let Self { page, pages, .. } = self;
        html! {
            @if pages > 1 {
                nav.pager aria-label="Further entries" {
                    @if page > 1 { a href={ (before) (page - 1) (after) } rel="prev" { "← Previous" } }
                    span.muted { "Page " (page) " of " (pages) }
                    @if page < pages { a href={ (before) (page + 1) (after) } rel="next" { "Next →" } }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn what_is_long_is_shortened_by_characters() {
        assert_eq!(short("0x0123"), "0x0123");
        assert_eq!(short(&B256::repeat_byte(0xab).to_string()), "0xabababab…ababab");
        assert_eq!(short(&"é".repeat(40)).chars().count(), 17);
    }

    #[test]
    fn markup_in_data_stays_text() {
        let evil = "<script>alert(1)</script>\"'&";
        let shown = facts(vec![("Name", html! { (evil) }), ("Copy", copy(evil))]).into_string();
        assert!(!shown.contains("<script>"), "{shown}");
        assert!(shown.contains("&lt;script&gt;alert(1)&lt;/script&gt;&quot;"), "{shown}");
    }

    #[test]
    fn numbered_pages_begin_with_one() {
        let start = |which, all| Numbered::new(which, all, 50).map(Numbered::start);
        assert_eq!((start(None, 0).unwrap(), start(Some("2"), 51).unwrap()), (0, 50));
        for (which, all) in [("0", 1), ("2", 50), ("x", 1), ("-1", 1), ("", 1), ("99999999999999999999", 1)] {
            assert!(start(Some(which), all).is_err(), "{which}");
        }
    }

    #[test]
    fn long_data_is_cut_and_counted() {
        let shown = bytes(&[7; SHOWN_BYTES + 1]).into_string();
        assert!(shown.contains("The first 8,192 of 8,193 bytes."), "{}", shown.len());
        assert!(bytes(&[]).into_string().contains("none"));
    }
}
