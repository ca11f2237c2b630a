//! A client for plain Ethereum JSON-RPC over HTTP, for the commands that talk to a running node
//! (`status`, `devnet`, `bench`).
//!
//! It keeps its connections, sends batches, and matches answers by their ids. It knows no method
//! and no TLS.

use std::{collections::HashMap, fmt::Write, time::Duration};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use thiserror::Error;

/// Bytes of an answer of which an error quotes the beginning.
const QUOTED_BYTES: usize = 200;

/// A node's JSON-RPC over HTTP. Cloning shares the connections.
#[derive(Debug, Clone)]
pub struct JsonRpc {
    http: reqwest::Client,
    url: String,
}

/// An error that the node answered with.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Error)]
#[error("{message} (code {code})")]
pub struct ErrorObject {
    /// JSON-RPC's or Ethereum's code.
    pub code: i64,
    /// The node's text.
    pub message: String,
}

/// Why there is no result.
#[derive(Debug, Error)]
pub enum CallError {
    /// The address cannot be used.
    #[error("expected a URL such as http://127.0.0.1:8545, got \"{url}\": {reason}")]
    Url {
        /// As given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Nobody answered.
    #[error("no answer from {url}: {reason}")]
    Unreachable {
        /// Who was asked.
        url: String,
        /// What the system said.
        reason: String,
    },
    /// Somebody answered, but not with JSON-RPC.
    #[error("{url} answered with {got} instead of JSON-RPC")]
    Foreign {
        /// Who was asked.
        url: String,
        /// Status code and the beginning of the body.
        got: String,
    },
    /// The node answered with an error.
    #[error("{url}: {method}: {error}")]
    Refused {
        /// Who was asked.
        url: String,
        /// What for.
        method: String,
        /// Its answer.
        error: ErrorObject,
    },
}

#[derive(Serialize)]
struct Request<'a, P> {
    jsonrpc: &'static str,
    id: u64,
    method: &'a str,
    params: P,
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "T: Deserialize<'de>"))]
struct Response<T> {
    id: Option<u64>,
    // A result may be null, and then it is one: `deserialize_with` keeps null apart from absent.
    #[serde(default = "Option::default", deserialize_with = "present")]
    result: Option<T>,
    error: Option<ErrorObject>,
}

fn present<'de, T: Deserialize<'de>, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

#[derive(Deserialize)]
#[serde(untagged)]
enum BatchResponse<T> {
    Each(Vec<Response<T>>),
    Whole(Response<T>),
}

/// Calls to send in one request.
#[derive(Debug, Default, Clone)]
pub struct Batch {
    body: String,
    methods: Vec<&'static str>,
}

impl Batch {
    /// Adds a call. `params` is the text of a JSON array.
    pub fn push(&mut self, method: &'static str, params: &str) {
        let separator = if self.methods.is_empty() { '[' } else { ',' };
        let id = self.methods.len();
        // Writing to a string cannot fail.
        let _ = write!(self.body, r#"{separator}{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#);
        self.methods.push(method);
    }

    /// How many calls it has.
    pub fn len(&self) -> usize {
        self.methods.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.methods.is_empty()
    }
}

impl JsonRpc {
    /// A client for `url`. Nothing is connected yet. A call without answer fails after `timeout`.
    pub fn new(url: &str, timeout: Duration) -> Result<Self, CallError> {
        let refuse = |reason: &str| CallError::Url { url: url.to_string(), reason: reason.to_string() };
        let parsed = reqwest::Url::parse(url).map_err(|error| refuse(&error.to_string()))?;
        match parsed.scheme() {
            "http" => {}
            "https" => {
                return Err(refuse("this client speaks no TLS; use http:// (over a tunnel when the node is far)"));
            }
            "ws" | "wss" => {
                return Err(refuse("this client speaks HTTP; use http:// (the same port)"));
            }
            _ => return Err(refuse("the scheme must be http://")),
        }
        let http = reqwest::Client::builder()
            .timeout(timeout)
            .tcp_nodelay(true)
            .no_proxy()
            .user_agent(concat!("assent/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| refuse(&error.to_string()))?;
        Ok(Self { http, url: url.to_string() })
    }

    /// The address as given.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Calls one method.
    pub async fn call<T: DeserializeOwned>(&self, method: &str, params: impl Serialize) -> Result<T, CallError> {
        let request = Request { jsonrpc: "2.0", id: 0, method, params };
        let body = serde_json::to_vec(&request).map_err(|error| CallError::Url {
            url: self.url.clone(),
            reason: format!("cannot encode the parameters of {method}: {error}"),
        })?;
        let answer = self.post(body).await?;
        let response: Response<T> = self.read(&answer)?;
        match (response.error, response.result) {
            (Some(error), _) => Err(self.refused(method, error)),
            (None, Some(result)) => Ok(result),
            (None, None) => Err(self.foreign(&answer)),
        }
    }

    /// Sends `batch` and returns one answer per call, in the order of the calls.
    pub async fn batch<T: DeserializeOwned>(&self, batch: Batch) -> Result<Vec<Result<T, ErrorObject>>, CallError> {
        let Batch { mut body, methods } = batch;
        if methods.is_empty() {
            return Ok(Vec::new());
        }
        body.push(']');
        let answer = self.post(body.into_bytes()).await?;
        let responses = match self.read::<BatchResponse<T>>(&answer)? {
            BatchResponse::Each(responses) => responses,
            BatchResponse::Whole(Response { error, .. }) => {
                return Err(match error {
                    Some(error) => self.refused(methods[0], error),
                    None => self.foreign(&answer),
                });
            }
        };
        let mut by_id: HashMap<u64, Response<T>> =
            responses.into_iter().filter_map(|response| Some((response.id?, response))).collect();
        (0..methods.len() as u64)
            .map(|id| match by_id.remove(&id) {
                Some(Response { error: Some(error), .. }) => Ok(Err(error)),
                Some(Response { result: Some(result), .. }) => Ok(Ok(result)),
                _ => Err(self.foreign(&answer)),
            })
            .collect()
    }

    async fn post(&self, body: Vec<u8>) -> Result<Vec<u8>, CallError> {
        let request = self.http.post(&self.url).header("content-type", "application/json").body(body);
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        let code = response.status();
        let bytes = response.bytes().await.map_err(|error| self.unreachable(&error))?;
        if !code.is_success() && !bytes.starts_with(b"{") && !bytes.starts_with(b"[") {
            return Err(CallError::Foreign {
                url: self.url.clone(),
                got: format!("HTTP {code} \"{}\"", quote(&bytes)),
            });
        }
        Ok(bytes.into())
    }

    fn read<T: DeserializeOwned>(&self, answer: &[u8]) -> Result<T, CallError> {
        serde_json::from_slice(answer).map_err(|_| self.foreign(answer))
    }

    fn unreachable(&self, error: &reqwest::Error) -> CallError {
        // The outermost text only repeats the URL; the innermost one says what happened.
        let mut reason: &dyn std::error::Error = error;
        while let Some(source) = reason.source() {
            reason = source;
        }
        let reason = if error.is_timeout() { "timed out".to_string() } else { reason.to_string() };
        CallError::Unreachable { url: self.url.clone(), reason }
    }

    fn foreign(&self, answer: &[u8]) -> CallError {
        CallError::Foreign { url: self.url.clone(), got: format!("\"{}\"", quote(answer)) }
    }

    fn refused(&self, method: &str, error: ErrorObject) -> CallError {
        CallError::Refused { url: self.url.clone(), method: method.to_string(), error }
    }
}

fn quote(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(QUOTED_BYTES)]);
    text.trim().to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use axum::{Router, routing::post};
    use serde_json::Value;
    use tokio::net::TcpListener;

    use super::*;

    /// A server that answers every request with `answer`.
    async fn answering(answer: &'static str) -> JsonRpc {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().route("/", post(move || async move { answer }));
        tokio::spawn(async move { axum::serve(listener, router).await });
        JsonRpc::new(&url, Duration::from_secs(5)).unwrap()
    }

    #[tokio::test]
    async fn a_result_may_be_null() {
        let node = answering(r#"{"jsonrpc":"2.0","id":0,"result":null}"#).await;
        let result: Option<u8> = node.call("eth_getBlockByNumber", ["0x1"]).await.unwrap();
        assert_eq!(result, None);
    }

    #[tokio::test]
    async fn errors_keep_the_nodes_text() {
        let node = answering(r#"{"id":0,"error":{"code":-32000,"message":"nonce too low"}}"#).await;
        let error = node.call::<Value>("eth_x", [(); 0]).await.unwrap_err();
        assert!(error.to_string().contains("nonce too low (code -32000)"), "{error}");
    }

    #[tokio::test]
    async fn answers_of_a_batch_come_in_any_order() {
        let node = answering(r#"[{"id":1,"error":{"code":-32000,"message":"b"}},{"id":0,"result":"a"}]"#).await;
        let mut batch = Batch::default();
        batch.push("x", "[]");
        batch.push("y", "[]");
        let answers = node.batch::<String>(batch).await.unwrap();
        assert_eq!(answers[0].as_deref(), Ok("a"));
        assert_eq!(answers[1].as_ref().unwrap_err().message, "b");
    }

    #[tokio::test]
    async fn a_refused_or_short_batch_is_an_error() {
        let mut batch = Batch::default();
        batch.push("x", "[]");
        let node = answering(r#"{"id":null,"error":{"code":-32005,"message":"too large"}}"#).await;
        let error = node.batch::<String>(batch.clone()).await.unwrap_err();
        assert!(matches!(error, CallError::Refused { .. }), "{error}");
        let node = answering("[]").await;
        let error = node.batch::<String>(batch).await.unwrap_err();
        assert!(matches!(error, CallError::Foreign { .. }), "{error}");
    }

    #[tokio::test]
    async fn whoever_is_no_node_is_told_so() {
        let node = answering("<html>hello").await;
        let error = node.call::<Value>("x", [(); 0]).await.unwrap_err();
        assert!(error.to_string().contains("<html>hello"), "{error}");
        // A port that was free a moment ago and to which nobody has listened since.
        let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let node = JsonRpc::new(&format!("http://127.0.0.1:{port}"), Duration::from_secs(5)).unwrap();
        let error = node.call::<Value>("x", [(); 0]).await.unwrap_err();
        assert!(error.to_string().contains("no answer from"), "{error}");
    }

    #[test]
    fn urls_are_checked() {
        let timeout = Duration::from_secs(1);
        for (url, words) in [
            ("127.0.0.1:8545", "expected a URL"),
            ("https://example.org", "no TLS"),
            ("ws://127.0.0.1:8545", "speaks HTTP"),
        ] {
            let error = JsonRpc::new(url, timeout).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
        assert!(JsonRpc::new("http://127.0.0.1:8545", timeout).is_ok());
    }
}
