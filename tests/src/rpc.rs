//! JSON-RPC as a user speaks it: raw JSON for exact checks, alloy for everything an application does.

use std::time::Duration;

use alloy::{
    network::Ethereum,
    primitives::{Address, B256, U64, U256},
    providers::RootProvider,
    transports::http::reqwest::{Client, Url},
};
use anyhow::{Context, Result, anyhow};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

/// An answer must come within this time.
const CALL_LIMIT: Duration = Duration::from_secs(10);

/// A node's RPC endpoint.
#[derive(Clone, Debug)]
pub struct Rpc {
    url: Url,
    http: Client,
}

/// Why a call gave no result.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CallError {
    /// No answer, or one that is no JSON-RPC.
    #[error("no answer: {0}")]
    Transport(String),
    /// The node refused.
    #[error("refused: {0}")]
    Refused(Refusal),
}

/// The error object of a JSON-RPC answer.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, thiserror::Error)]
#[error("{code} {message}")]
pub struct Refusal {
    /// The error code.
    pub code: i64,
    /// The text.
    pub message: String,
    /// Anything further, such as what a contract reverted with.
    pub data: Option<Value>,
}

impl CallError {
    /// The node's refusal, if it is one.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            Self::Transport(_) => None,
        }
    }
}

impl Rpc {
    /// The endpoint at `url`.
    pub fn new(url: &str) -> Result<Self> {
        Ok(Self {
            url: url.parse().with_context(|| format!("{url} is no address"))?,
            http: Client::builder().timeout(CALL_LIMIT).no_proxy().build().context("HTTP client")?,
        })
    }

    /// The address.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// An alloy provider without any fillers.
    pub fn provider(&self) -> RootProvider<Ethereum> {
        RootProvider::new_http(self.url.clone())
    }

    /// Posts `body` as it is and returns the HTTP status and the answer's JSON.
    pub async fn post(&self, body: impl Into<String>) -> Result<(u16, Value), CallError> {
        let lost = |error: &dyn std::error::Error| CallError::Transport(chain_of(error));
        let answer = self
            .http
            .post(self.url.clone())
            .header("content-type", "application/json")
            .body(body.into())
            .send()
            .await
            .map_err(|error| lost(&error))?;
        let status = answer.status().as_u16();
        let text = answer.text().await.map_err(|error| lost(&error))?;
        let json = serde_json::from_str(&text)
            .map_err(|error| CallError::Transport(format!("HTTP {status}, {error}: {text}")))?;
        Ok((status, json))
    }

    /// Calls a method.
    pub async fn call(&self, method: &str, params: Value) -> Result<Value, CallError> {
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let (_, answer) = self.post(request.to_string()).await?;
        result_of(answer)
    }

    /// Calls several methods in one batch; the results are in the order of the calls.
    pub async fn batch(&self, calls: &[(&str, Value)]) -> Result<Vec<Result<Value, CallError>>, CallError> {
        let requests: Vec<Value> = calls
            .iter()
            .enumerate()
            .map(|(id, (method, params))| json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}))
            .collect();
        let (_, answer) = self.post(Value::from(requests).to_string()).await?;
        let Value::Array(answers) = answer else {
            return Err(CallError::Transport(format!("a batch was answered with {answer}")));
        };
        let mut results: Vec<_> =
            calls.iter().map(|_| Err(CallError::Transport("missing in the batch's answer".into()))).collect();
        for answer in answers {
            let id = answer["id"].as_u64().and_then(|id| usize::try_from(id).ok());
            if let Some(slot) = id.and_then(|id| results.get_mut(id)) {
                *slot = result_of(answer);
            }
        }
        Ok(results)
    }

    /// Calls a method and reads its result as `T`.
    pub async fn get<T: DeserializeOwned>(&self, method: &str, params: Value) -> Result<T> {
        let result = self.call(method, params).await.with_context(|| format!("{method} at {}", self.url))?;
        serde_json::from_value(result.clone()).with_context(|| format!("{method} at {} answered {result}", self.url))
    }

    /// Number of the last block.
    pub async fn block_number(&self) -> Result<u64> {
        Ok(self.get::<U64>("eth_blockNumber", json!([])).await?.to())
    }

    /// The block with this number, as the node shows it.
    pub async fn block(&self, number: u64) -> Result<Value> {
        let block: Value = self.get("eth_getBlockByNumber", json!([format!("{number:#x}"), false])).await?;
        match block {
            Value::Null => Err(anyhow!("{} has no block {number}", self.url)),
            block => Ok(block),
        }
    }

    /// Balance at the head.
    pub async fn balance(&self, address: Address) -> Result<U256> {
        self.get("eth_getBalance", json!([address, "latest"])).await
    }

    /// The next nonce at the head.
    pub async fn nonce(&self, address: Address) -> Result<u64> {
        let nonce: U64 = self.get("eth_getTransactionCount", json!([address, "latest"])).await?;
        Ok(nonce.to())
    }

    /// The receipt, once the transaction is final.
    pub async fn receipt(&self, hash: B256) -> Result<Option<Value>> {
        self.get("eth_getTransactionReceipt", json!([hash])).await
    }

    /// What the node says of itself.
    pub async fn status(&self) -> Result<Status> {
        self.get("assent_status", json!([])).await
    }
}

fn result_of(answer: Value) -> Result<Value, CallError> {
    match answer {
        Value::Object(mut fields) => {
            if let Some(error) = fields.remove("error") {
                let refusal = serde_json::from_value(error.clone())
                    .map_err(|wrong| CallError::Transport(format!("{wrong} in the error object {error}")))?;
                return Err(CallError::Refused(refusal));
            }
            fields.remove("result").ok_or_else(|| CallError::Transport("neither result nor error".into()))
        }
        other => Err(CallError::Transport(format!("no JSON-RPC answer: {other}"))),
    }
}

fn chain_of(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

/// The part of `assent_status` that the tests read.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Hash of block 0.
    pub genesis_hash: B256,
    /// The node's name.
    pub node_name: String,
    /// Weight as a validator.
    pub validator: Option<u64>,
    /// The last final block.
    pub head: Head,
    /// The view.
    pub view: u64,
    /// False, or how far it has come.
    pub syncing: Value,
    /// Weights.
    pub quorum: Quorum,
    /// The other nodes.
    pub peers: Vec<Peer>,
    /// Validators that have not been heard lately.
    pub silent: Vec<Silent>,
    /// Why it does not vote.
    pub abstaining: Option<String>,
    /// Views that did not come to a block, newest first.
    pub failed_views: Vec<FailedView>,
}

/// A view that did not come to a block.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FailedView {
    /// The view.
    pub view: u64,
    /// The name of its leader.
    pub leader: String,
    /// Why.
    pub reason: String,
    /// Milliseconds since then.
    pub ago_ms: u64,
}

/// The last final block.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Head {
    /// Its number.
    pub number: u64,
    /// Its hash.
    pub hash: B256,
    /// Its time.
    pub timestamp_ms: u64,
}

/// Weight of the validators and how much of it was heard lately.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Quorum {
    /// Of all validators.
    pub total: u64,
    /// Heard lately, own included.
    pub heard: u64,
    /// The least quorum.
    pub needed: u64,
    /// What is missing of it.
    pub missing: u64,
}

/// A node on the node list.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Peer {
    /// Its name.
    pub name: String,
    /// Its node key.
    pub key: B256,
    /// Its weight as a validator.
    pub weight: Option<u64>,
    /// Whether a connection stands.
    pub connected: bool,
    /// Milliseconds since its last message.
    pub last_heard_ms: Option<u64>,
    /// Its last final block.
    pub head: Option<u64>,
    /// Why a connection was refused.
    pub refused_reason: Option<String>,
}

/// A validator that has not been heard lately.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Silent {
    /// Its name.
    pub name: String,
    /// The weight that is missing with it.
    pub weight: u64,
    /// Milliseconds since it was last heard.
    pub since_ms: Option<u64>,
}
