//! A running node: everything wired together, started in order and stopped in order.

use std::sync::Arc;
use std::time::Instant;

use alloy_primitives::B256;
use anyhow::{Context, Result, anyhow};
use assent_chain::Chain;
use assent_consensus::{Epoch, Hash, PublicKey, ValidatorIndex, ValidatorSet};
use assent_genesis::{Genesis, SecretKey};
use assent_rpc::{Backend, ExplorerServer, RpcHandle};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::committer::Committer;
use crate::config::NodeConfig;
use crate::driver::{self, Directory, Driver, Surroundings};
use crate::gossip::Gossip;
use crate::metrics::{self, MetricsServer, Recorder};
use crate::network::{self, Hello, NetworkConfig, NetworkEvents, NetworkHandle, PeerEvent, PeerSpec};
use crate::status::StatusSource;
use crate::sync::{Sync, SyncConfig};

/// Submissions over RPC that may wait to be admitted; beyond, the client is told that the node is busy.
const SUBMISSIONS: usize = 4096;

/// What `web3_clientVersion` says.
#[must_use]
pub fn client_version() -> String {
    format!("assent/v{}/{}-{}", env!("CARGO_PKG_VERSION"), std::env::consts::OS, std::env::consts::ARCH)
}

/// What a node knows before it starts anything.
struct Identity {
    genesis: Arc<Genesis>,
    genesis_hash: B256,
    name: String,
    node_key: SecretKey,
    validator: Option<(SecretKey, ValidatorIndex)>,
    set: Arc<ValidatorSet>,
    directory: Directory,
}

/// Runs a node until `stop` resolves or a part of it fails.
///
/// # Errors
/// When something it needs is missing, wrong or taken, or when a part fails while it runs; the text says what to do.
pub async fn run(config: NodeConfig, stop: impl Future<Output = ()> + Send + 'static) -> Result<()> {
    let token = CancellationToken::new();
    let _stop_all = token.clone().drop_guard();
    let node = Node::start(&config, token.clone()).await?;
    let outcome = node.serve(stop).await;
    if let Err(error) = &outcome {
        tracing::error!(target: "assent::node", "{error:#}");
    }
    outcome
}

struct Node {
    token: CancellationToken,
    chain: Arc<Chain>,
    committer: Committer,
    network: NetworkHandle,
    rpc: Option<RpcHandle>,
    explorer: Option<ExplorerServer>,
    metrics: Option<MetricsServer>,
    driver: Option<tokio::task::JoinHandle<Result<(), driver::DriverError>>>,
    tasks: JoinSet<()>,
}

impl Node {
    async fn start(config: &NodeConfig, token: CancellationToken) -> Result<Self> {
        let started = Instant::now();
        let identity = Identity::load(config)?;
        let recorder = Recorder::install()?;
        let chain = open_chain(config, &identity.genesis).await?;
        let committer = Committer::start(chain.clone()).context("the thread that writes final blocks")?;
        let writer = committer.clone();
        match Self::start_upon(config, identity, recorder, chain, committer, &token, started).await {
            Ok(node) => Ok(node),
            Err(error) => {
                // What was started before the failure has the chain too. The thread must let go of it before the
                // process ends.
                token.cancel();
                writer.close().await;
                Err(error)
            }
        }
    }

    /// Starts everything that works with the chain.
    async fn start_upon(
        config: &NodeConfig,
        identity: Identity,
        recorder: Recorder,
        chain: Arc<Chain>,
        committer: Committer,
        token: &CancellationToken,
        started: Instant,
    ) -> Result<Self> {
        let (network, events) = start_network(config, &identity, chain.head().number).await?;
        let admitted = Arc::new(Notify::new());
        let surroundings = Surroundings {
            genesis: identity.genesis.clone(),
            genesis_hash: Hash(identity.genesis_hash.0),
            chain: chain.clone(),
            committer: committer.clone(),
            network: network.clone(),
            admitted: admitted.clone(),
        };
        let driver = open_driver(config, &identity, surroundings).await?;
        let consensus = driver.as_ref().map(Driver::status);
        let driver_events = driver.as_ref().map(Driver::events);
        let mut tasks = JoinSet::new();
        let NetworkEvents { consensus: votes, transactions, sync: sync_messages, control } = events;
        tasks.spawn(watch_peers(control, driver_events.clone(), token.clone()));
        let driver = spawn_driver(driver, votes, &mut tasks, token);
        let sync = Sync::new(SyncConfig {
            chain: chain.clone(),
            committer: committer.clone(),
            network: network.clone(),
            set: (*identity.set).clone(),
            genesis: Hash(identity.genesis_hash.0),
            driver: driver_events,
        });
        let source = StatusSource {
            genesis: identity.genesis.clone(),
            genesis_hash: identity.genesis_hash,
            name: identity.name.clone(),
            client_version: client_version(),
            me: identity.validator.as_ref().map(|(_, me)| *me),
            set: identity.set.clone(),
            directory: identity.directory.clone(),
            network: network.clone(),
            chain: chain.clone(),
            consensus: consensus.clone(),
            sync: sync.status(),
            started,
        };
        tasks.spawn(sync.run(sync_messages, token.clone()));
        let (status, status_receiver) = watch::channel(Arc::new(source.take()));
        tasks.spawn(source.run(status, token.clone()));
        let gossip = Gossip {
            chain: chain.clone(),
            network: network.clone(),
            admitted,
            directory: identity.directory.clone(),
            set: identity.set.clone(),
            consensus,
        };
        let (submit, submissions) = mpsc::channel(SUBMISSIONS);
        tasks.spawn(gossip.clone().run_submissions(submissions, token.clone()));
        tasks.spawn(gossip.run_peers(transactions, token.clone()));
        let backend = Backend {
            chain: chain.clone(),
            genesis: identity.genesis.clone(),
            status: status_receiver.clone(),
            submit,
            client_version: client_version(),
        };
        let explorer = start_explorer(config, backend.clone()).await?;
        let rpc = match start_rpc(config, backend).await {
            Ok(rpc) => rpc,
            Err(error) => {
                stop_servers(None, explorer).await;
                return Err(error);
            }
        };
        tasks.spawn(metrics::sampler::run(recorder.clone(), chain.clone(), network.clone(), token.clone()));
        let metrics = match start_metrics(config, recorder, status_receiver).await {
            Ok(metrics) => metrics,
            Err(error) => {
                stop_servers(rpc, explorer).await;
                return Err(error);
            }
        };
        announce(&identity, &chain, rpc.as_ref());
        Ok(Self { token: token.clone(), chain, committer, network, rpc, explorer, metrics, driver, tasks })
    }

    /// Waits for the end, then stops everything in order.
    async fn serve(mut self, stop: impl Future<Output = ()> + Send + 'static) -> Result<()> {
        let driver = async {
            match &mut self.driver {
                Some(driver) => driver.await,
                None => std::future::pending().await,
            }
        };
        let outcome = tokio::select! {
            () = stop => Ok(()),
            ended = driver => {
                self.driver = None;
                match ended {
                    Ok(Ok(())) => Ok(()),
                    Ok(Err(error)) => Err(error.into()),
                    Err(error) => Err(anyhow!("consensus ended early: {error}. This is a fault of the program: please report it with the log")),
                }
            }
            reason = self.committer.failure() => Err(anyhow!("a final block could not be written: {reason}. Check the disk, then start again")),
        };
        self.stop().await;
        outcome
    }

    async fn stop(mut self) {
        stop_servers(self.rpc.take(), self.explorer.take()).await;
        self.token.cancel();
        if let Some(driver) = self.driver.take() {
            // It ends by the token; how it fared no longer matters.
            let _ = driver.await;
        }
        while self.tasks.join_next().await.is_some() {}
        self.network.shutdown().await;
        let _ = self.committer.flush().await;
        let chain = self.chain.clone();
        let synced = tokio::task::spawn_blocking(move || {
            chain.pool().flush_journal();
            chain.sync()
        });
        if let Ok(Err(error)) = synced.await {
            tracing::warn!(target: "assent::node", %error, "the database could not be synced; the consensus log has what is missing");
        }
        if let Some(metrics) = self.metrics.take() {
            metrics.stop().await;
        }
        self.committer.close().await;
        tracing::info!(target: "assent::node", "stopped");
    }
}

impl Identity {
    fn load(config: &NodeConfig) -> Result<Self> {
        let (genesis, findings) = Genesis::load(&config.home.genesis())?;
        for finding in findings {
            tracing::warn!(target: "assent::genesis", "{finding}");
        }
        let node_key = SecretKey::load(&config.home.node_key())?;
        let set = genesis.validator_set(Epoch(0), genesis.header().timestamp)?;
        let validator = if config.validator { Some(load_validator(config, &genesis, &set, &node_key)?) } else { None };
        let listed = genesis.assent.nodes.iter().find(|node| node.key == node_key.public());
        if listed.is_none() {
            tracing::warn!(target: "assent::node", key = %node_key.public(),
                "this node's key is not on the node list of genesis.json: the others will refuse it");
        }
        let name =
            config.name.clone().or_else(|| listed.map(|node| node.name.clone())).unwrap_or_else(|| "node".to_owned());
        let directory = Directory::new(&genesis);
        let genesis_hash = genesis.hash();
        Ok(Self { genesis: Arc::new(genesis), genesis_hash, name, node_key, validator, set: Arc::new(set), directory })
    }
}

fn load_validator(
    config: &NodeConfig,
    genesis: &Genesis,
    set: &ValidatorSet,
    node_key: &SecretKey,
) -> Result<(SecretKey, ValidatorIndex)> {
    let path = config.home.validator_key();
    let key = SecretKey::load(&path)?;
    let me = set.index_of(&key.public()).with_context(|| {
        format!(
            "the key {} in {} is not a validator of genesis.json. Use the right key; or move the file away to run a follower",
            key.public(),
            path.display()
        )
    })?;
    let expected = genesis.validator(me).map(|validator| validator.node_key);
    if expected != Some(node_key.public()) {
        return Err(anyhow!(
            "{} holds the node key {}, but genesis.json binds this validator to {}. Put the right key there",
            config.home.node_key().display(),
            node_key.public(),
            expected.unwrap_or(PublicKey([0; 32]))
        ));
    }
    Ok((key, me))
}

async fn open_chain(config: &NodeConfig, genesis: &Arc<Genesis>) -> Result<Arc<Chain>> {
    let (path, genesis, options) = (config.home.chain(), genesis.clone(), config.chain_options());
    let opened = tokio::task::spawn_blocking(move || Chain::open(&path, &genesis, &options)).await?;
    Ok(Arc::new(opened?))
}

async fn start_network(config: &NodeConfig, identity: &Identity, head: u64) -> Result<(NetworkHandle, NetworkEvents)> {
    let mut peers = Vec::new();
    for node in &identity.genesis.assent.nodes {
        let mut addresses = Vec::new();
        for text in &node.addresses {
            addresses
                .push(text.parse().with_context(|| format!("genesis.json: the address {text} of node {}", node.name))?);
        }
        peers.push(PeerSpec { key: node.key, name: node.name.clone(), addresses });
    }
    for extra in &config.p2p.peers {
        match peers.iter_mut().find(|peer| peer.key == extra.key) {
            Some(peer) => peer.addresses.push(extra.address.clone()),
            None => tracing::warn!(target: "assent::node", key = %extra.key,
                "p2p.peers names a key that is not on the node list of genesis.json: ignored"),
        }
    }
    let hello = Hello::new(identity.genesis_hash, identity.genesis.chain_id(), &identity.name, head);
    let timing = network::Timing::default();
    let (key, listen) = (identity.node_key.clone(), config.p2p.listen.clone());
    Ok(network::start(NetworkConfig { key, listen, peers, hello, timing }).await?)
}

async fn open_driver(config: &NodeConfig, identity: &Identity, surroundings: Surroundings) -> Result<Option<Driver>> {
    let Some((key, _)) = &identity.validator else { return Ok(None) };
    let (key, data, accept_lost_memory) = (key.clone(), config.home.data(), config.accept_lost_memory_risk);
    let options = driver::OpenOptions { data, key, accept_lost_memory };
    Ok(Some(tokio::task::spawn_blocking(move || Driver::open(surroundings, options)).await??))
}

async fn start_rpc(config: &NodeConfig, backend: Backend) -> Result<Option<RpcHandle>> {
    if !config.rpc.enabled {
        return Ok(None);
    }
    Ok(Some(assent_rpc::serve(config.rpc.server(), backend).await?))
}

async fn start_metrics(
    config: &NodeConfig,
    recorder: Recorder,
    status: watch::Receiver<Arc<assent_rpc::NodeStatus>>,
) -> Result<Option<MetricsServer>> {
    if !config.metrics.enabled {
        return Ok(None);
    }
    Ok(Some(metrics::serve(config.metrics.listen, recorder, status).await?))
}

/// Waits until nothing of them has the chain any more.
async fn stop_servers(rpc: Option<RpcHandle>, explorer: Option<ExplorerServer>) {
    if let Some(rpc) = rpc {
        rpc.stop().await;
    }
    if let Some(explorer) = explorer {
        explorer.stop().await;
    }
}

async fn start_explorer(config: &NodeConfig, backend: Backend) -> Result<Option<ExplorerServer>> {
    if !config.explorer.enabled {
        return Ok(None);
    }
    let settings = config.explorer.server(&config.rpc, config.home.explorer());
    Ok(Some(assent_rpc::serve_explorer(settings, backend).await?))
}

fn spawn_driver(
    driver: Option<Driver>,
    mut votes: mpsc::Receiver<network::Message>,
    tasks: &mut JoinSet<()>,
    token: &CancellationToken,
) -> Option<tokio::task::JoinHandle<Result<(), driver::DriverError>>> {
    match driver {
        Some(driver) => Some(tokio::spawn(driver.run(votes, token.clone()))),
        None => {
            // A follower takes no part in consensus: what comes is taken and dropped.
            let token = token.clone();
            tasks.spawn(async move { while let Some(Some(_)) = token.run_until_cancelled(votes.recv()).await {} });
            None
        }
    }
}

/// Tells the driver of connections.
async fn watch_peers(
    mut control: mpsc::Receiver<PeerEvent>,
    driver: Option<mpsc::Sender<driver::Event>>,
    token: CancellationToken,
) {
    while let Some(Some(event)) = token.run_until_cancelled(control.recv()).await {
        if let (PeerEvent::Connected { peer, .. }, Some(driver)) = (event, &driver)
            && driver.send(driver::Event::Connected(peer)).await.is_err()
        {
            return;
        }
    }
}

fn announce(identity: &Identity, chain: &Chain, rpc: Option<&RpcHandle>) {
    let weight = identity.validator.as_ref().map_or(0, |(_, me)| identity.set.weight(*me).0);
    tracing::info!(target: "assent::node", name = identity.name, chain_id = identity.genesis.chain_id(),
        genesis = %identity.genesis_hash, height = chain.head().number, weight, total = identity.set.total().0,
        rpc = rpc.map(|rpc| rpc.addr().to_string()), "started");
}
