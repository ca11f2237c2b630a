//! Pages of contracts: their code, uploads of ABIs and sources, reading and writing.

mod calls;
mod forms;
mod page;
mod store;
mod verify;

use std::sync::Arc;

use alloy_primitives::{Address, U64, keccak256};
use axum::{
    Form, Json, Router,
    extract::{DefaultBodyLimit, Path, State, rejection::FormRejection},
    http::{
        HeaderValue, StatusCode,
        header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE},
    },
    middleware,
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use maud::Markup;
use serde_json::json;

use crate::explorer::{
    Explorer, blocking,
    decode::{self, abi::Abi},
    page::{Answer, Failure},
    room, security,
};

pub(crate) use calls::{Caller, TIME_OF_A_PAGE};
pub(crate) use store::{Contract, Proof, Store, StoreError};

use calls::{Called, GAS_OF_A_FORM, TIME_OF_A_FORM};
use forms::{Asked, Sent, field};
use page::Shown;
use verify::Verdict;

/// Bytes of a form with an ABI. Browsers write three bytes for many of JSON's characters.
const MAX_ABI_FORM: usize = 3 * 1024 * 1024;
/// Bytes of a form with a compiler's output and input.
const MAX_VERIFY_FORM: usize = 12 * 1024 * 1024;

const SCRIPT: &str = include_str!("contract.js");

/// Pages of contracts.
pub(crate) fn routes(explorer: &Arc<Explorer>) -> Router<Arc<Explorer>> {
    let large = Router::new().route("/address/{address}/contract/verify", post(verify_form));
    let middle = Router::new().route("/address/{address}/contract/abi", post(abi_form));
    let place = || middleware::from_fn_with_state(explorer.clone(), room::upload);
    Router::new()
        .route("/address/{address}/contract", get(overview))
        .route("/address/{address}/contract/read", post(read_form))
        .route("/address/{address}/contract/encode", post(encode_form))
        .route("/assets/contract.js", get(script))
        .merge(large.layer(DefaultBodyLimit::max(MAX_VERIFY_FORM)).route_layer(place()))
        .merge(middle.layer(DefaultBodyLimit::max(MAX_ABI_FORM)).route_layer(place()))
}

async fn script() -> impl IntoResponse {
    // Asked for by name alone, so a browser has to ask whether it is still the same.
    ([(CONTENT_TYPE, "text/javascript; charset=utf-8"), (CACHE_CONTROL, "no-cache")], SCRIPT)
}

/// Reads an address of a path or a form.
pub(crate) fn parse_address(text: &str) -> Result<Address, Failure> {
    text.parse().map_err(|_| {
        let got = decode::text::shown(text, 80);
        Failure::Bad(format!("expected an address, 0x and 40 hex digits, got \"{got}\""))
    })
}

type Fields = Result<Form<Sent>, FormRejection>;

fn fields(form: Fields) -> Result<Sent, Failure> {
    match form {
        Ok(Form(sent)) => Ok(sent),
        Err(error) if error.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            let most = MAX_VERIFY_FORM / (1024 * 1024);
            Err(Failure::Bad(format!(
                "this is too much: expected an ABI of at most 1 MiB, or at most {most} MiB in all"
            )))
        }
        Err(error) => Err(Failure::Bad(format!("expected the fields of a form: {}", error.body_text()))),
    }
}

async fn overview(State(explorer): State<Arc<Explorer>>, Path(address): Path<String>) -> Answer {
    let address = parse_address(&address)?;
    blocking(explorer, move |explorer| shown(explorer, &address, Shown::default())).await
}

/// The page, which may also call this node's JSON-RPC.
fn shown(explorer: &Explorer, address: &Address, what: Shown<'_>) -> Answer {
    let mut response = page::contract(explorer, address, what)?;
    let policy: HeaderValue = security::policy(explorer.config.rpc_url.as_deref());
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    Ok(response)
}

/// The page that says what was wrong with a form.
fn refused(explorer: &Explorer, address: &Address, text: String) -> Answer {
    let what = Shown { notice: Some(text), ..Shown::default() };
    let mut response = shown(explorer, address, what)?;
    *response.status_mut() = StatusCode::BAD_REQUEST;
    Ok(response)
}

/// What uploads are about: the code of the contract.
fn deployed_code(explorer: &Explorer, address: &Address) -> Result<Result<Vec<u8>, String>, Failure> {
    let code = explorer.chain.latest_state().code(address)?;
    if code.is_empty() {
        return Ok(Err("expected a contract, but this address has no code".into()));
    }
    Ok(Ok(code.to_vec()))
}

async fn abi_form(State(explorer): State<Arc<Explorer>>, Path(address): Path<String>, form: Fields) -> Answer {
    let (address, sent) = (parse_address(&address)?, fields(form)?);
    blocking(explorer, move |explorer| {
        let code = deployed_code(explorer, &address)?;
        let abi = code.and_then(|code| Ok((code, Abi::read(field(&sent, "abi").unwrap_or_default())?)));
        match abi {
            Err(text) => refused(explorer, &address, text),
            Ok((code, (abi, json))) => {
                let contract = Contract {
                    proof: Proof::Said,
                    name: None,
                    compiler: None,
                    code: keccak256(&code),
                    abi,
                    abi_proven: false,
                    json,
                    sources: Default::default(),
                    sources_proven: false,
                };
                keep(explorer, &address, contract)
            }
        }
    })
    .await
}

async fn verify_form(State(explorer): State<Arc<Explorer>>, Path(address): Path<String>, form: Fields) -> Answer {
    let (address, sent) = (parse_address(&address)?, fields(form)?);
    blocking(explorer, move |explorer| {
        let code = match deployed_code(explorer, &address)? {
            Ok(code) => code,
            Err(text) => return refused(explorer, &address, text),
        };
        let given = |name: &str| field(&sent, name).filter(|text| !text.is_empty());
        let output = given("output").unwrap_or_default();
        match verify::verify(&code, given("input"), output, given("name")) {
            Ok(Verdict::Matches(contract)) => keep(explorer, &address, *contract),
            Ok(Verdict::Differs { nearest, how }) => {
                let text = format!("Differs: the deployed code is not that of any contract in the output. The nearest is {nearest}: {how}.");
                refused(explorer, &address, text)
            }
            Err(text) => refused(explorer, &address, text),
        }
    })
    .await
}

/// Keeps it and goes back to the page, which shows it.
fn keep(explorer: &Explorer, address: &Address, contract: Contract) -> Answer {
    match explorer.contracts.put(address, contract) {
        Ok(()) => Ok(Redirect::to(&format!("/address/{address}/contract")).into_response()),
        Err(error @ StoreError::File { .. }) => {
            tracing::error!(target: "assent::explorer", %error, "an upload could not be kept");
            Err(Failure::Internal("what you uploaded could not be written: the node's log says why".into()))
        }
        Err(error) => refused(explorer, address, error.to_string()),
    }
}

/// A contract of which an ABI is known.
fn known(explorer: &Explorer, address: &Address) -> Result<Arc<Contract>, String> {
    explorer.contracts.get(address).ok_or_else(|| "expected a contract with an ABI: upload one first".into())
}

async fn read_form(State(explorer): State<Arc<Explorer>>, Path(address): Path<String>, form: Fields) -> Answer {
    let (address, sent) = (parse_address(&address)?, fields(form)?);
    blocking(explorer, move |explorer| {
        let contract = match known(explorer, &address) {
            Ok(contract) => contract,
            Err(text) => return refused(explorer, &address, text),
        };
        let asked = match forms::asked(&contract.abi, &sent) {
            Ok(asked) => asked,
            Err(text) => return refused(explorer, &address, text),
        };
        let selector = asked.method.selector();
        let result = read(explorer, &address, &asked)?;
        shown(explorer, &address, Shown { notice: None, result: Some((selector, &sent, result)) })
    })
    .await
}

/// Runs a call for a form; what came of it as markup.
fn read(explorer: &Explorer, address: &Address, asked: &Asked<'_>) -> Result<Markup, Failure> {
    let caller = Caller::new(explorer, TIME_OF_A_FORM)?;
    let called = caller.call(asked.from, *address, asked.input.clone(), GAS_OF_A_FORM);
    let number = caller.view().number();
    Ok(match called {
        Called::Returned(output) => page::returned(asked.method, &output, number),
        Called::Reverted(output) => {
            let reason = decode::revert(explorer, Some(address), &output);
            page::reverted(reason.as_deref(), &output, number)
        }
        Called::Failed(text) => page::failed(&text, number),
    })
}

/// For scripts: what a wallet is to send, or `error`.
async fn encode_form(State(explorer): State<Arc<Explorer>>, Path(address): Path<String>, form: Fields) -> Answer {
    let (address, sent) = (parse_address(&address)?, fields(form)?);
    blocking(explorer, move |explorer| Ok(encoded(explorer, &address, &sent))).await
}

fn encoded(explorer: &Explorer, address: &Address, sent: &Sent) -> Response {
    let contract = known(explorer, address);
    let asked = contract.as_ref().map_err(Clone::clone).and_then(|contract| forms::asked(&contract.abi, sent));
    match asked {
        Ok(Asked { input, value, .. }) => Json(json!({
            "to": address,
            "data": alloy_primitives::Bytes::from(input),
            "value": value,
            "chainId": U64::from(explorer.genesis.chain_id()),
            "rpcUrl": explorer.config.rpc_url,
        }))
        .into_response(),
        Err(text) => (StatusCode::BAD_REQUEST, Json(json!({"error": text}))).into_response(),
    }
}
