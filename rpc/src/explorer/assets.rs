//! The style sheet, the script and the icon: part of the program, so that nothing is loaded from elsewhere.

use std::sync::Arc;

use alloy_primitives::{hex, keccak256};
use axum::{
    Router,
    http::header::{CACHE_CONTROL, CONTENT_TYPE},
    response::IntoResponse,
    routing::get,
};

use crate::explorer::Explorer;

const STYLE: &str = include_str!("assets/style.css");
const SCRIPT: &str = include_str!("assets/live.js");
const ICON: &str = include_str!("assets/icon.svg");

/// Pages name the version, so what has it never changes.
const KEEP: &str = "public, max-age=31536000, immutable";

/// Another one for other content.
pub(super) fn version() -> String {
    let digest = keccak256([STYLE, SCRIPT, ICON].concat());
    hex::encode(&digest[..6])
}

pub(super) fn routes() -> Router<Arc<Explorer>> {
    Router::new()
        .route("/assets/style.css", get(|| async { asset("text/css; charset=utf-8", STYLE) }))
        .route("/assets/live.js", get(|| async { asset("text/javascript; charset=utf-8", SCRIPT) }))
        .route("/assets/icon.svg", get(|| async { asset("image/svg+xml", ICON) }))
        .route("/favicon.ico", get(|| async { asset("image/svg+xml", ICON) }))
}

fn asset(kind: &'static str, content: &'static str) -> impl IntoResponse {
    ([(CONTENT_TYPE, kind), (CACHE_CONTROL, KEEP)], content)
}
