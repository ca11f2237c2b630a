//! What concerns HTTP alone: which hosts and origins may call, content types, reading the body, and
//! errors that are told inside of an answer with status 200, as Ethereum's tools expect.

use std::{
    collections::HashSet,
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use hyper::{
    Method, StatusCode, Uri,
    body::{Body, Bytes, Frame, Incoming},
    header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderValue, ORIGIN, UPGRADE},
    http::request::Parts,
};
use jsonrpsee::{
    MethodResponse,
    core::BoxError,
    server::{HttpBody, HttpRequest, HttpResponse},
    types::{ErrorObject, Id, InvalidRequest, Notification, Request},
};
use serde::de::IgnoredAny;
use serde_json::json;
use soketto::handshake::http::is_upgrade_request;
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

use crate::{
    config::RpcConfig,
    errors::{CallError, INVALID_REQUEST, PARSE_ERROR},
    limits::{BODY_TIMEOUT, CORS_MAX_AGE, DRAIN_TIMEOUT},
    outflow::{Held, Owed},
    websocket::Upgrade,
};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// Which hosts and origins may call, and how large a request may be.
#[derive(Debug)]
pub(crate) struct HttpRules {
    hosts: Hosts,
    origins: Origins,
    max_body: u64,
}

/// Host names that the client may have reached this server by.
#[derive(Debug)]
enum Hosts {
    Any,
    /// `localhost`, IP addresses, and these.
    Listed(HashSet<String>),
}

/// Origins of pages that may call.
#[derive(Debug)]
enum Origins {
    Any,
    /// Pages that this machine serves.
    Local,
    Listed(HashSet<String>),
}

impl HttpRules {
    pub(crate) fn new(config: &RpcConfig) -> Self {
        let lower = |list: &[String]| list.iter().map(|entry| entry.to_ascii_lowercase()).collect::<HashSet<_>>();
        let hosts = if config.hosts.iter().any(|host| host == "*")
            || (config.hosts.is_empty() && !config.listen.ip().is_loopback())
        {
            Hosts::Any
        } else {
            Hosts::Listed(lower(&config.hosts))
        };
        let origins = if config.cors.iter().any(|origin| origin == "*") {
            Origins::Any
        } else if config.cors.is_empty() {
            Origins::Local
        } else {
            Origins::Listed(lower(&config.cors))
        };
        Self { hosts, origins, max_body: config.max_body.into() }
    }

    /// The layer that answers browsers' preflight requests and marks the answers.
    pub(crate) fn cors(self: &Arc<Self>) -> CorsLayer {
        let origin = match self.origins {
            Origins::Any => AllowOrigin::any(),
            _ => {
                let rules = self.clone();
                AllowOrigin::predicate(move |origin, _| rules.origins.allow(origin))
            }
        };
        CorsLayer::new()
            .allow_origin(origin)
            .allow_methods([Method::POST, Method::GET])
            .allow_headers(AllowHeaders::mirror_request())
            .allow_private_network(true)
            .max_age(CORS_MAX_AGE)
    }

    /// What to answer at once, if the request must not go on.
    fn check(&self, parts: &mut Parts) -> Option<HttpResponse> {
        if !self.hosts.allow(parts) {
            let text = "The host name of the request is not allowed here: \
                        use an IP address or localhost, or add the name to the node's RPC hosts.\n";
            return Some(plain(StatusCode::FORBIDDEN, text));
        }
        let upgrade = parts.headers.contains_key(UPGRADE);
        let origin = parts.headers.get(ORIGIN);
        if upgrade {
            // Browsers do not ask before they open a WebSocket; this is the only protection.
            if origin.is_some_and(|origin| !self.origins.allow(origin)) {
                let text = "The origin of the page is not allowed here: add it to the node's RPC origins (CORS).\n";
                return Some(plain(StatusCode::FORBIDDEN, text));
            }
            return None;
        }
        if parts.method == Method::GET || parts.method == Method::HEAD {
            let text = "This is a JSON-RPC server: send a POST request, or open a WebSocket.\n";
            return Some(plain(StatusCode::OK, text));
        }
        // With another content type a page could send a request without asking first (CORS); who
        // is no page may leave it out.
        if is_json(parts.headers.get(CONTENT_TYPE)) || origin.is_none() {
            parts.headers.insert(CONTENT_TYPE, JSON);
        }
        None
    }

    fn too_large(&self, parts: &Parts) -> bool {
        let length = parts.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        length.is_some_and(|length| length > self.max_body)
    }

    /// The body of a request, counted in `held`, or what to answer instead.
    async fn body(&self, parts: &Parts, mut body: Incoming, held: &mut Option<Held>) -> Result<Vec<u8>, HttpResponse> {
        let read = async {
            if self.too_large(parts) { Err(Unread::TooLarge) } else { read(&mut body, self.max_body, held).await }
        };
        match tokio::time::timeout(BODY_TIMEOUT, read).await {
            Ok(Ok(bytes)) => Ok(bytes),
            Ok(Err(Unread::Broken(error))) => {
                Err(rpc_error(INVALID_REQUEST, &format!("the body could not be read: {error}")))
            }
            Ok(Err(Unread::TooLarge)) => {
                drain(&mut body).await;
                Err(rpc_error(INVALID_REQUEST, &too_large(self.max_body)))
            }
            Ok(Err(Unread::Refused(error))) => {
                drain(&mut body).await;
                Err(rpc_error(error.code(), &error.to_string()))
            }
            Err(_) => {
                let seconds = BODY_TIMEOUT.as_secs();
                Err(rpc_error(INVALID_REQUEST, &format!("the body did not arrive within {seconds} seconds")))
            }
        }
    }
}

impl Hosts {
    fn allow(&self, parts: &Parts) -> bool {
        let Self::Listed(names) = self else { return true };
        let authority = match parts.uri.authority() {
            Some(authority) => Some(authority.clone()),
            None => match parts.headers.get(HOST) {
                // No browser leaves it out.
                None => return true,
                Some(host) => host.to_str().ok().and_then(|host| host.parse().ok()),
            },
        };
        authority.is_some_and(|authority| {
            let host = authority.host().to_ascii_lowercase();
            is_ip(&host) || host == "localhost" || names.contains(&host)
        })
    }
}

impl Origins {
    fn allow(&self, origin: &HeaderValue) -> bool {
        let Ok(origin) = origin.to_str() else { return false };
        match self {
            Self::Any => true,
            Self::Listed(origins) => origins.contains(&origin.to_ascii_lowercase()),
            Self::Local => origin.parse::<Uri>().is_ok_and(|uri| {
                let host = uri.host().unwrap_or_default().to_ascii_lowercase();
                host == "localhost" || host.ends_with(".localhost") || ip(&host).is_some_and(|ip| ip.is_loopback())
            }),
        }
    }
}

fn ip(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

fn is_ip(host: &str) -> bool {
    ip(host).is_some()
}

fn is_json(content_type: Option<&HeaderValue>) -> bool {
    let value = content_type.and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = value.split(';').next().unwrap_or_default().trim();
    ["application/json", "application/json-rpc", "application/jsonrequest"]
        .iter()
        .any(|json| essence.eq_ignore_ascii_case(json))
}

fn answer(status: StatusCode, content_type: HeaderValue, body: String) -> HttpResponse {
    let mut response = HttpResponse::new(HttpBody::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

pub(crate) fn plain(status: StatusCode, text: &str) -> HttpResponse {
    answer(status, TEXT, text.to_owned())
}

/// An answer to a request whose id was not read.
pub(crate) fn rpc_error(code: i32, message: &str) -> HttpResponse {
    answer(StatusCode::OK, JSON, rpc_error_body(code, message))
}

/// The JSON of [`rpc_error`].
pub(crate) fn rpc_error_body(code: i32, message: &str) -> String {
    json!({"jsonrpc": "2.0", "id": null, "error": {"code": code, "message": message}}).to_string()
}

/// What is told about a request of more than `max` bytes.
pub(crate) fn too_large(max: u64) -> String {
    format!("request too large: at most {max} bytes")
}

async fn frame(body: &mut Incoming) -> Option<hyper::Result<Frame<Bytes>>> {
    std::future::poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await
}

/// Why there is no body.
enum Unread {
    TooLarge,
    /// There is no room for it.
    Refused(CallError),
    Broken(hyper::Error),
}

/// Reads a body of at most `max` bytes.
async fn read(body: &mut Incoming, max: u64, held: &mut Option<Held>) -> Result<Vec<u8>, Unread> {
    let mut bytes = Vec::new();
    while let Some(frame) = frame(body).await {
        let data = frame.map_err(Unread::Broken)?.into_data().unwrap_or_default();
        if (bytes.len() + data.len()) as u64 > max {
            return Err(Unread::TooLarge);
        }
        if let Some(held) = held {
            held.add(data.len()).map_err(Unread::Refused)?;
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
}

/// Reads and forgets a body, so that its sender gets to reading the answer.
async fn drain(body: &mut Incoming) {
    let all = async { while let Some(Ok(_)) = frame(body).await {} };
    // Who takes longer than that finds the connection closed.
    let _ = tokio::time::timeout(DRAIN_TIMEOUT, all).await;
}

/// What to answer at once to a body that is no request and no batch. jsonrpsee does
/// not tell: it calls everything without a proper id no JSON, and answers notifications.
fn judge(body: &[u8]) -> Option<HttpResponse> {
    match body.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'[') => return None,
        Some(b'{') if serde_json::from_slice::<Request<'_>>(body).is_ok() => return None,
        Some(b'{') if serde_json::from_slice::<Notification<'_, Option<IgnoredAny>>>(body).is_ok() => {
            // It wants no answer, and nothing is done either (see `middleware`).
            return Some(answer(StatusCode::OK, JSON, String::new()));
        }
        _ => {}
    }
    Some(answer(StatusCode::OK, JSON, unreadable(body).as_json().get().to_owned()))
}

/// The answer to what is no request, no notification and no batch.
pub(crate) fn unreadable(body: &[u8]) -> MethodResponse {
    if let Err(error) = serde_json::from_slice::<IgnoredAny>(body) {
        let error = ErrorObject::owned(PARSE_ERROR, format!("parse error: {error}"), None::<()>);
        return MethodResponse::error(Id::Null, error);
    }
    let id = serde_json::from_slice::<InvalidRequest<'_>>(body).map_or(Id::Null, |request| request.id);
    let text = "invalid request: expected an object with jsonrpc \"2.0\", a string method, an array params \
                and as id a string or a whole number";
    MethodResponse::error(id, ErrorObject::owned(INVALID_REQUEST, text, None::<()>))
}

/// Puts [`Http`] around the service of each connection.
#[derive(Clone, Debug)]
pub(crate) struct HttpLayer(pub(crate) Arc<HttpRules>);

impl<S> tower::Layer<S> for HttpLayer {
    type Service = Http<S>;

    fn layer(&self, inner: S) -> Http<S> {
        Http { inner, rules: self.0.clone() }
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Http<S> {
    inner: S,
    rules: Arc<HttpRules>,
}

impl<S> tower::Service<HttpRequest<Incoming>> for Http<S>
where
    S: tower::Service<HttpRequest, Response = HttpResponse, Error = BoxError> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = HttpResponse;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: HttpRequest<Incoming>) -> Self::Future {
        let rules = self.rules.clone();
        let mut inner = self.inner.clone();
        Box::pin(async move {
            let websocket = is_upgrade_request(&request);
            let (mut parts, body) = request.into_parts();
            if let Some(refusal) = rules.check(&mut parts) {
                return Ok(refusal);
            }
            if let (Some(upgrade), true) = (parts.extensions.remove::<Upgrade>(), websocket) {
                return Ok(upgrade.open(HttpRequest::from_parts(parts, HttpBody::empty())));
            }
            // Only a POST of JSON has a body that anybody reads.
            if parts.method != Method::POST || parts.headers.get(CONTENT_TYPE) != Some(&JSON) {
                return inner.call(HttpRequest::from_parts(parts, HttpBody::empty())).await;
            }
            // Until the answer is made.
            let mut held = parts.extensions.get::<Owed>().map(Owed::hold);
            let body = match rules.body(&parts, body, &mut held).await {
                Ok(body) => body,
                Err(refusal) => return Ok(refusal),
            };
            if let Some(refusal) = judge(&body) {
                return Ok(refusal);
            }
            let answer = inner.call(HttpRequest::from_parts(parts, HttpBody::from(body))).await;
            drop(held);
            answer
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn parts(headers: &[(&str, &str)]) -> Parts {
        let mut request = hyper::Request::builder().method(Method::POST).uri("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn rules(edit: impl FnOnce(&mut RpcConfig)) -> HttpRules {
        let mut config = RpcConfig::default();
        edit(&mut config);
        HttpRules::new(&config)
    }

    fn host(rules: &HttpRules, host: &str) -> bool {
        rules.check(&mut parts(&[("host", host)])).is_none()
    }

    #[test]
    fn on_loopback_only_addresses_and_listed_names_are_hosts() {
        let loopback = rules(|config| config.hosts = vec!["Node.Example".into()]);
        for name in ["localhost", "localhost:8545", "127.0.0.1:1", "[::1]:8545", "10.1.2.3", "node.example:9"] {
            assert!(host(&loopback, name), "{name}");
        }
        assert!(!host(&loopback, "evil.example:8545"));
        assert!(loopback.check(&mut parts(&[])).is_none());
        assert!(host(&rules(|config| config.listen = "0.0.0.0:1".parse().unwrap()), "evil.example"));
        assert!(host(&rules(|config| config.hosts = vec!["*".into()]), "evil.example"));
    }

    #[test]
    fn a_page_of_another_origin_opens_no_websocket() {
        let upgrade = |rules: &HttpRules, origin: &str| {
            rules.check(&mut parts(&[("upgrade", "websocket"), ("origin", origin)])).is_none()
        };
        let local = rules(|config| config.cors.clear());
        for origin in ["http://localhost:3000", "http://127.0.0.1", "https://[::1]:9", "http://dapp.localhost"] {
            assert!(upgrade(&local, origin), "{origin}");
        }
        for origin in ["https://evil.example", "null", "http://localhost.evil.example", "http://10.0.0.1"] {
            assert!(!upgrade(&local, origin), "{origin}");
        }
        let listed = rules(|config| config.cors = vec!["https://dapp.example".into()]);
        assert!(upgrade(&listed, "https://dapp.example"));
        assert!(!upgrade(&listed, "http://localhost"));
        assert!(upgrade(&rules(|config| config.cors = vec!["*".into()]), "https://evil.example"));
    }

    #[test]
    fn only_pages_must_name_the_content_type() {
        let content_type = |headers: &[(&str, &str)]| {
            let mut parts = parts(headers);
            assert!(rules(|_| ()).check(&mut parts).is_none());
            parts.headers.get(CONTENT_TYPE).cloned()
        };
        assert_eq!(content_type(&[]), Some(JSON));
        assert_eq!(content_type(&[("content-type", "application/x-www-form-urlencoded")]), Some(JSON));
        let page = ("origin", "http://localhost");
        assert_eq!(content_type(&[page]), None);
        assert_eq!(content_type(&[page, ("content-type", "text/plain")]).unwrap(), "text/plain");
        assert_eq!(content_type(&[page, ("content-type", "Application/JSON; charset=utf-8")]), Some(JSON));
    }
}
