//! What stands around every page: the headers that tell a browser what it may load, the hosts that may be named, and
//! failures as pages.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{
        HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri,
        header::{
            CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, ORIGIN, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
            X_FRAME_OPTIONS,
        },
    },
    middleware::Next,
    response::{IntoResponse, Response},
};
use tokio::time::timeout;

use crate::{
    explorer::{Explorer, page::Failure},
    limits::BODY_TIMEOUT,
};

const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// What a page may load and where its forms may go: nothing but this server; and its scripts may also call `connect`.
pub(crate) fn policy(connect: Option<&str>) -> HeaderValue {
    let text = |connect: &str| {
        format!(
            "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'{connect}; \
             form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        )
    };
    // An address from the configuration that would say more than where is left out.
    let connect = connect.filter(|url| !url.contains([';', ',', ' ', '\'', '"']) && url.is_ascii());
    let wanted = connect.map(|url| format!(" {url}")).unwrap_or_default();
    HeaderValue::try_from(text(&wanted)).unwrap_or(HeaderValue::from_static("default-src 'none'"))
}

/// Goes around all pages.
pub(super) async fn guard(State(explorer): State<Arc<Explorer>>, request: Request, next: Next) -> Response {
    let mut response = match refusal(&explorer, &request) {
        Some(text) => (StatusCode::FORBIDDEN, text).into_response(),
        None if reads(&request) => next.run(request).await,
        None => timeout(BODY_TIMEOUT, next.run(request)).await.unwrap_or_else(|_| late().into_response()),
    };
    if let Some(failure) = response.extensions_mut().remove::<Failure>() {
        response = failure.page(&explorer);
    }
    let mut response = explorer.room.counted(response).await.unwrap_or_else(|| Failure::Busy.page(&explorer));
    let headers = response.headers_mut();
    headers.entry(CONTENT_SECURITY_POLICY).or_insert_with(|| policy(None));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    for (name, value) in [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        // Without it browsers name no origin with a form, and forms from elsewhere are refused by theirs.
        (REFERRER_POLICY, "same-origin"),
        (OPENER_POLICY, "same-origin"),
        (RESOURCE_POLICY, "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Whether a request has nothing that is to be read.
fn reads(request: &Request) -> bool {
    request.method() == Method::GET || request.method() == Method::HEAD
}

/// What is said of a form that does not arrive.
fn late() -> Failure {
    Failure::Bad(format!("expected the whole form within {} seconds", BODY_TIMEOUT.as_secs()))
}

/// Why a request is refused before it is read.
fn refusal(explorer: &Explorer, request: &Request) -> Option<&'static str> {
    let host = host(request.uri(), request.headers());
    if explorer.config.listen.ip().is_loopback() && !host.as_deref().is_none_or(is_this_machine) {
        return Some(
            "The host name of the request is not allowed here: use localhost or an IP address (a proxy has to name it as \
             well).\n",
        );
    }
    let origin = request.headers().get(ORIGIN);
    if !reads(request) && origin.is_some_and(|origin| !same_origin(origin, host.as_deref())) {
        return Some("Forms of other sites may not be sent here.\n");
    }
    None
}

/// The host and port that the client has asked for.
fn host(uri: &Uri, headers: &HeaderMap) -> Option<String> {
    match uri.authority() {
        Some(authority) => Some(authority.as_str().to_ascii_lowercase()),
        // One that cannot be read is no host of ours.
        None => headers.get(HOST).map(|host| host.to_str().unwrap_or("?").to_ascii_lowercase()),
    }
}

/// Against pages that give their own name the address of this machine (DNS rebinding).
fn is_this_machine(host: &str) -> bool {
    let Ok(authority) = host.parse::<axum::http::uri::Authority>() else { return false };
    let name = authority.host();
    let bare = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
    name == "localhost" || bare.parse::<std::net::IpAddr>().is_ok()
}

fn same_origin(origin: &HeaderValue, host: Option<&str>) -> bool {
    let origin = origin.to_str().ok().and_then(|origin| origin.parse::<Uri>().ok());
    let authority = origin.as_ref().and_then(Uri::authority);
    authority.is_some_and(|authority| Some(authority.as_str().to_ascii_lowercase().as_str()) == host)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_policy_takes_one_address_and_nothing_else() {
        let with = |connect| policy(connect).to_str().unwrap().to_owned();
        assert!(with(None).contains("connect-src 'self'; form-action"));
        assert!(with(Some("http://127.0.0.1:8545")).contains("connect-src 'self' http://127.0.0.1:8545; form-action"));
        for evil in ["x; script-src *", "* 'unsafe-inline'", "a,b", "é", "a\nb"] {
            let text = with(Some(evil));
            assert!(!text.contains(evil), "{text}");
        }
    }

    #[test]
    fn only_this_machines_names_are_its_hosts() {
        for host in ["localhost", "localhost:8080", "127.0.0.1:8080", "[::1]:8080", "10.0.0.7"] {
            assert!(is_this_machine(host), "{host}");
        }
        for host in ["evil.example", "evil.example:8080", "localhost.evil.example", "?", "", "a b"] {
            assert!(!is_this_machine(host), "{host}");
        }
    }

    #[test]
    fn forms_come_from_this_origin() {
        let same = |origin: &'static str| same_origin(&HeaderValue::from_static(origin), Some("localhost:8080"));
        assert!(same("http://localhost:8080"));
        for origin in ["null", "http://localhost:8081", "http://evil.example", "http://evil.example/localhost:8080"] {
            assert!(!same(origin), "{origin}");
        }
    }
}
