//! The explorer: pages about the chain for people, served by the node on a port of its own.
//!
//! Pages are made here, with all that they show, and work without scripts; `assets/live.js` keeps them up to date where
//! scripts run. Nothing is loaded from elsewhere, and `security` tells the browser so. Reads of the chain run on
//! blocking threads, a few at a time, since the node's first work is to make blocks.
//!
//! | file | what it is for |
//! |---|---|
//! | `server` | sockets, their limits, start and stop |
//! | `security` | headers of every answer, which hosts may be named, failures as pages |
//! | `page`, `format` | frame and pieces of pages; numbers and times as text |
//! | `recent` | the last blocks in memory, with who proposed and who signed them |
//! | `room` | what visitors can make the node keep in memory |
//! | `picture` | certificates, weights and throughput as SVG |
//! | `live` | tells pages of new blocks |
//! | `account`, `token`, `contract` | pages of accounts, tokens and contracts |
//! | `decode` | calls, logs and reverts as text |
//! | `analysis` | what the chain withstands, for the page of the validators |
//! | all others | a page each, or a few that belong together |

mod account;
mod analysis;
mod assets;
mod block;
mod blocks;
mod calls;
mod contract;
mod decode;
pub(crate) mod format;
mod home;
mod live;
mod mempool;
mod network;
pub(crate) mod page;
mod picture;
mod recent;
mod room;
mod search;
pub(crate) mod security;
mod server;
mod token;
mod transaction;
mod transactions;
mod validator;
mod validators;

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use alloy_primitives::hex;
use assent_chain::Chain;
use assent_consensus::{Epoch, ValidatorIndex, ValidatorSet};
use assent_genesis::{
    Genesis,
    analysis::{self as weights, Analysis},
};
use axum::{Router, extract::DefaultBodyLimit, middleware, routing::get};
use tokio::sync::{Semaphore, watch};

use crate::{backend::Backend, status::NodeStatus};

pub use self::server::ExplorerServer;
use self::{
    page::{Answer, Failure},
    recent::Recent,
    room::Room,
};

/// Pages that are made at a time: each keeps a thread busy for a few milliseconds.
const READS: usize = 4;

/// Time that a page waits for its turn before it is refused.
const PATIENCE: Duration = Duration::from_secs(5);

/// Pages that are kept up to date at a time.
const VIEWERS: usize = 256;

/// Bytes of a form, except where a page says otherwise.
const MAX_FORM_BYTES: usize = 64 * 1024;

/// What the explorer needs to know beside the chain.
#[derive(Clone, Debug)]
pub struct ExplorerConfig {
    /// Address and port.
    pub listen: SocketAddr,
    /// Where a browser reaches this node's JSON-RPC, for forms that write with a wallet; `None`: nowhere.
    pub rpc_url: Option<String>,
    /// Folder for what people upload about contracts; `None`: nothing is kept.
    pub data: Option<PathBuf>,
}

/// Why the explorer could not start.
#[derive(Debug, thiserror::Error)]
pub enum ExplorerError {
    /// The port cannot be had.
    #[error("explorer.listen: cannot listen on {address}: {source}; choose another address or port for it")]
    Listen {
        /// What the configuration says.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// The system gives it no threads.
    #[error("cannot start the threads for the explorer: {0}")]
    Threads(std::io::Error),
    /// The folder for what people upload cannot be used.
    #[error("the explorer cannot use its folder: {0}")]
    Folder(String),
    /// The validators of the genesis file make no set.
    #[error("the explorer needs the chain's validators: {0}")]
    Validators(String),
}

/// What the pages are made from.
pub(crate) struct Explorer {
    pub(crate) chain: Arc<Chain>,
    pub(crate) genesis: Arc<Genesis>,
    pub(crate) status: watch::Receiver<Arc<NodeStatus>>,
    pub(crate) client_version: String,
    pub(crate) config: ExplorerConfig,
    /// The validators. Until they can be changed on the chain every epoch has those of the genesis file.
    pub(crate) set: ValidatorSet,
    /// What people uploaded about contracts.
    pub(crate) contracts: contract::Store,
    /// Changes with the style sheet and the script, so that browsers may keep both for good.
    pub(crate) assets_version: String,
    recent: Mutex<Recent>,
    analysis: OnceLock<Option<Analysis>>,
    reads: Arc<Semaphore>,
    room: Room,
    viewers: Arc<Semaphore>,
    heads: watch::Receiver<u64>,
    stop: watch::Receiver<bool>,
}

impl Explorer {
    fn new(
        config: ExplorerConfig,
        backend: Backend,
        heads: watch::Receiver<u64>,
        stop: watch::Receiver<bool>,
    ) -> Result<Self, ExplorerError> {
        let Backend { chain, genesis, status, client_version, .. } = backend;
        let set = genesis.validator_set(Epoch(0), genesis.ethereum.timestamp);
        let set = set.map_err(|error| ExplorerError::Validators(error.to_string()))?;
        let contracts = contract::Store::open(config.data.as_deref());
        let contracts = contracts.map_err(|error| ExplorerError::Folder(error.to_string()))?;
        Ok(Self {
            chain,
            genesis,
            status,
            client_version,
            config,
            set,
            contracts,
            assets_version: assets::version(),
            recent: Mutex::default(),
            analysis: OnceLock::new(),
            reads: Arc::new(Semaphore::new(READS)),
            room: Room::default(),
            viewers: Arc::new(Semaphore::new(VIEWERS)),
            heads,
            stop,
        })
    }

    /// What the node last said of itself.
    pub(crate) fn status(&self) -> Arc<NodeStatus> {
        self.status.borrow().clone()
    }

    /// The name of a validator in the genesis file.
    pub(crate) fn validator_name(&self, index: u16) -> String {
        match self.genesis.validator(ValidatorIndex(index)) {
            Some(validator) => validator.name.clone(),
            None => format!("validator {index}"),
        }
    }

    /// What the validators' weights withstand; `None` when they cannot be computed. For very many validators this takes
    /// seconds, once; it is done when the explorer starts.
    pub(crate) fn analysis(&self) -> Option<&Analysis> {
        let analyse = || Some(weights::analyze(&self.genesis.members().ok()?, &weights::Options::default()));
        self.analysis.get_or_init(analyse).as_ref()
    }

    /// The last blocks, up to the head. Blocks for reads when the head has moved far.
    pub(crate) fn recent(&self) -> Result<MutexGuard<'_, Recent>, Failure> {
        let mut recent = self.lock_recent();
        recent.catch_up(&self.chain, &self.set)?;
        Ok(recent)
    }

    /// The same as it stands. What it holds is right after each of its changes, so a panic of another page does no harm.
    fn lock_recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes a page on a blocking thread when there is a place for it.
pub(crate) async fn blocking<F>(explorer: Arc<Explorer>, work: F) -> Answer
where
    F: FnOnce(&Explorer) -> Answer + Send + 'static,
{
    let place = tokio::time::timeout(PATIENCE, explorer.reads.clone().acquire_owned()).await;
    let Ok(Ok(place)) = place else { return Err(Failure::Busy) };
    let page = tokio::task::spawn_blocking(move || {
        let _place = place;
        work(&explorer)
    });
    match page.await {
        Ok(answer) => answer,
        Err(error) => {
            tracing::error!(target: "assent::explorer", %error, "a page could not be made");
            Err(Failure::Internal("making this page failed: please report it with the node's log".into()))
        }
    }
}

/// Starts the explorer, on threads of its own.
///
/// # Errors
/// When it cannot listen where the configuration says.
pub async fn serve(config: ExplorerConfig, backend: Backend) -> Result<ExplorerServer, ExplorerError> {
    let (stop, stopped) = watch::channel(false);
    let (heads, head) = watch::channel(backend.chain.head().number);
    let listen = config.listen;
    let explorer = Arc::new(Explorer::new(config, backend, head, stopped)?);
    ExplorerServer::start(listen, explorer, heads, stop).await
}

/// All pages.
fn router(explorer: Arc<Explorer>) -> Router {
    let pages = Router::new()
        .route("/", get(home::page))
        .route("/blocks", get(blocks::page))
        .route("/block/{block}", get(block::page))
        .route("/txs", get(transactions::page))
        .route("/tx/{hash}", get(transaction::page))
        .route("/tx/{hash}/calls", get(calls::page))
        .route("/validators", get(validators::page))
        .route("/validator/{index}", get(validator::page))
        .route("/network", get(network::page))
        .route("/mempool", get(mempool::page))
        .route("/search", get(search::page))
        .route("/live", get(live::stream))
        .merge(account::routes())
        .merge(contract::routes(&explorer))
        .merge(assets::routes());
    pages
        .fallback(search::no_such_page)
        .layer(DefaultBodyLimit::max(MAX_FORM_BYTES))
        .layer(middleware::from_fn_with_state(explorer.clone(), security::guard))
        .with_state(explorer)
}

/// A validator by its position in the set.
pub(crate) fn validator_index(index: u16) -> ValidatorIndex {
    ValidatorIndex(index)
}

/// A number in decimal, or in hex behind 0x.
pub(crate) fn parse_number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        // `from_str_radix` would take a sign.
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_hexdigit()) => u64::from_str_radix(digits, 16).ok(),
        Some(_) => None,
        None if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
        None => None,
    }
}

/// Bytes in hex, with or without 0x, when there are exactly so many.
pub(crate) fn parse_bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
    hex::decode_to_array(digits).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_hashes_are_told_apart() {
        assert_eq!(parse_number("17"), Some(17));
        assert_eq!(parse_number("0x11"), Some(17));
        for text in ["", "+1", "-1", "0x", "0x+1", "1.0", "99999999999999999999999", "é"] {
            assert_eq!(parse_number(text), None, "{text}");
        }
        assert_eq!(parse_bytes::<2>("0xabCD"), Some([0xab, 0xcd]));
        assert_eq!(parse_bytes::<2>("abcd"), Some([0xab, 0xcd]));
        for text in ["", "0x", "0xabc", "0xabcdef", "0x0xab", "zzzz", "éé"] {
            assert_eq!(parse_bytes::<2>(text), None, "{text}");
        }
    }
}
