//! Pages of accounts: what one has, its transactions, its tokens.

mod list;
mod page;
mod tokens;

use std::{fmt, str::FromStr, sync::Arc};

use axum::{
    Router,
    extract::{Path, Query, State, rejection::QueryRejection},
    routing::get,
};
use serde::Deserialize;

use crate::explorer::{
    Explorer, blocking,
    contract::parse_address,
    decode::text::shown,
    page::{Answer, Failure},
    token,
};

pub(crate) use page::tabs;

/// Pages of accounts and of tokens.
pub(crate) fn routes() -> Router<Arc<Explorer>> {
    Router::new()
        .route("/address/{address}", get(overview))
        .route("/address/{address}/tokens", get(tokens_page))
        .merge(token::routes())
}

/// A place in a list that goes from the newest to the oldest: what is before it is older.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Cursor {
    /// A block.
    pub(crate) number: u64,
    /// A position in it.
    pub(crate) index: u32,
}

impl Cursor {
    /// Behind everything in a block.
    pub(crate) fn end_of(number: u64) -> Self {
        Self { number, index: u32::MAX }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.number, self.index)
    }
}

impl FromStr for Cursor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let parse = || {
            let (number, index) = text.split_once('-').filter(|(number, index)| digits(number) && digits(index))?;
            Some(Self { number: number.parse().ok()?, index: index.parse().ok()? })
        };
        parse().ok_or_else(|| format!("expected a place in a list such as 120-3, got \"{}\"", shown(text, 40)))
    }
}

/// What the address of a list may say.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Listing {
    before: Option<String>,
    kind: Option<String>,
}

/// The same, read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) before: Option<Cursor>,
    pub(crate) kind: Kind,
}

/// Which transactions of an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Kind {
    /// All that touched it.
    #[default]
    All,
    /// Those that it sent.
    Sent,
    /// Those that were sent to it.
    Received,
    /// Those that it sent and that create a contract, and the one that created it.
    Creations,
}

impl Kind {
    const ALL: [(Self, &'static str, &'static str); 4] = [
        (Self::All, "all", "All"),
        (Self::Sent, "sent", "Sent"),
        (Self::Received, "received", "Received"),
        (Self::Creations, "creations", "Contract creations"),
    ];

    /// Its name in addresses.
    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(kind, ..)| *kind == self).map_or("all", |(_, name, _)| *name)
    }
}

/// Reads what the address of a list says.
pub(crate) fn cursor(query: Result<Query<Listing>, QueryRejection>) -> Result<Wanted, Failure> {
    let Query(listing) = query.map_err(|error| Failure::Bad(error.body_text()))?;
    let before = listing.before.filter(|text| !text.is_empty());
    let before = before.map(|text| text.parse::<Cursor>()).transpose().map_err(Failure::Bad)?;
    let kind = match listing.kind.as_deref() {
        None | Some("") => Kind::All,
        Some(text) => {
            let kind = Kind::ALL.iter().find(|(_, name, _)| *name == text).map(|(kind, ..)| *kind);
            kind.ok_or_else(|| {
                let got = shown(text, 40);
                Failure::Bad(format!("expected the kind all, sent, received or creations, got \"{got}\""))
            })?
        }
    };
    Ok(Wanted { before, kind })
}

async fn overview(
    State(explorer): State<Arc<Explorer>>,
    Path(address): Path<String>,
    query: Result<Query<Listing>, QueryRejection>,
) -> Answer {
    let (address, wanted) = (parse_address(&address)?, cursor(query)?);
    blocking(explorer, move |explorer| page::account(explorer, &address, wanted)).await
}

async fn tokens_page(
    State(explorer): State<Arc<Explorer>>,
    Path(address): Path<String>,
    query: Result<Query<Listing>, QueryRejection>,
) -> Answer {
    let (address, wanted) = (parse_address(&address)?, cursor(query)?);
    blocking(explorer, move |explorer| tokens::page(explorer, &address, wanted.before)).await
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn wanted(before: Option<&str>, kind: Option<&str>) -> Result<Wanted, String> {
        let listing = Listing { before: before.map(String::from), kind: kind.map(String::from) };
        cursor(Ok(Query(listing))).map_err(|failure| format!("{failure:?}"))
    }

    #[test]
    fn places_in_lists_are_read_as_they_are_written() {
        let cursor = Cursor { number: 120, index: 3 };
        assert_eq!(cursor.to_string().parse::<Cursor>(), Ok(cursor));
        assert_eq!(wanted(Some("120-3"), Some("sent")), Ok(Wanted { before: Some(cursor), kind: Kind::Sent }));
        assert_eq!(wanted(None, None), Ok(Wanted { before: None, kind: Kind::All }));
        assert!(Cursor { number: 2, index: 0 } > Cursor { number: 1, index: 9 });
        assert!(Cursor::end_of(1) > Cursor { number: 1, index: 9 });
    }

    #[test]
    fn what_is_no_place_is_refused_with_an_example() {
        for text in ["1", "-", "1-", "-1", "1-2-3", "+1-2", "a-b", "1-4294967296", "99999999999999999999-1", "<b>"] {
            assert!(wanted(Some(text), None).unwrap_err().contains("such as 120-3"), "{text}");
        }
        assert!(wanted(None, Some("lost")).unwrap_err().contains("sent, received or creations"));
    }

    #[test]
    fn every_kind_has_a_name() {
        for (kind, name, _) in Kind::ALL {
            assert_eq!(kind.name(), name);
            assert_eq!(wanted(None, Some(name)).unwrap().kind, kind);
        }
    }
}
