//! The methods that are offered, and what they share.
//!
//! Each namespace has a function that registers its methods with a [`Registrar`]; the table
//! [`NAMESPACES`] is the one place that knows all of them.

use std::sync::Arc;

use assent_chain::{ExecutedBlock, mempool::PoolEvent};
use jsonrpsee::{
    Methods, RpcModule,
    core::JsonRawValue,
    types::{Extensions, Params},
};
use serde::Serialize;
use tokio::sync::broadcast::Receiver;

use crate::{
    assent,
    backend::Backend,
    blocking::{BlockingPool, Share},
    config::RpcConfig,
    debug,
    errors::CallError,
    eth::{self, filters::Filters},
    limits::{BLOCKS_BACKLOG, HEAVY_QUEUE_PER_SLOT, POOL_BACKLOG, READ_QUEUE, READ_SLOTS},
    net, openrpc, ots,
    params::Args,
    relay::Relay,
    server::RpcError,
    trace, txpool, web3,
};

/// Registers the methods of a namespace.
type Register = fn(&mut Registrar);

/// The namespaces by name.
const NAMESPACES: [(&str, Register); 10] = [
    ("assent", assent::register),
    ("debug", debug::register),
    ("erigon", ots::register_erigon),
    ("eth", eth::register),
    ("net", net::register),
    ("ots", ots::register),
    ("rpc", openrpc::register),
    ("trace", trace::register),
    ("txpool", txpool::register),
    ("web3", web3::register),
];

/// What every method works with.
#[derive(Debug)]
pub(crate) struct Api {
    pub(crate) backend: Backend,
    pub(crate) config: RpcConfig,
    pub(crate) filters: Filters,
    blocks: Relay<Arc<ExecutedBlock>>,
    transactions: Relay<PoolEvent>,
    /// Runs executions.
    executions: BlockingPool,
    /// Runs searches, apart from them: neither keeps the other out.
    searches: BlockingPool,
    /// Runs what reads more than one thing.
    reads: BlockingPool,
}

impl Api {
    fn new(config: &RpcConfig, backend: Backend) -> Self {
        let pool = |what, slots: usize| BlockingPool::new(what, slots, slots.saturating_mul(HEAVY_QUEUE_PER_SLOT));
        let reads = "too many reads of the chain wait";
        Self {
            backend,
            config: config.clone(),
            filters: Filters::default(),
            blocks: Relay::new(BLOCKS_BACKLOG),
            transactions: Relay::new(POOL_BACKLOG),
            executions: pool("too many executions (eth_call, eth_estimateGas) wait", config.execution_slots()),
            searches: pool("too many searches (eth_getLogs, eth_feeHistory and the like) wait", config.search_slots()),
            reads: BlockingPool::new(reads, READ_SLOTS, READ_QUEUE),
        }
    }

    /// Final blocks from now on, soon after the chain has them; `None` when some are missed.
    pub(crate) fn blocks(&self) -> Receiver<Option<Arc<ExecutedBlock>>> {
        self.blocks.subscribe(|| self.backend.chain.subscribe())
    }

    /// News of the mempool from now on; `None` when some are missed.
    pub(crate) fn transactions(&self) -> Receiver<Option<PoolEvent>> {
        self.transactions.subscribe(|| self.backend.chain.pool().subscribe())
    }

    /// Reads from the chain on a blocking thread.
    pub(crate) async fn read<T: Send + 'static>(
        self: Arc<Self>,
        read: impl FnOnce(&Self) -> Result<T, CallError> + Send + 'static,
    ) -> Result<T, CallError> {
        let reads = self.reads.clone();
        reads.run(move || read(&self)).await
    }
}

/// The methods of the namespaces that the configuration names.
pub(crate) fn offered(config: &RpcConfig, backend: Backend) -> Result<Methods, RpcError> {
    let api = Api::new(config, backend);
    let mut registrar = Registrar { module: RpcModule::new(api) };
    for name in &config.namespaces {
        if !NAMESPACES.iter().any(|(known, _)| known == name) {
            let known = NAMESPACES.map(|(known, _)| known).join(", ");
            return Err(RpcError::UnknownNamespace { name: name.clone(), known });
        }
    }
    for (name, register) in NAMESPACES {
        if config.namespaces.iter().any(|wanted| wanted == name) {
            register(&mut registrar);
        }
    }
    Ok(registrar.module.into())
}

/// Takes the methods of a namespace. `max` is the number of parameters that a method has at most.
pub(crate) struct Registrar {
    pub(crate) module: RpcModule<Api>,
}

/// Each name is registered in one place of the code.
pub(crate) const ONCE: &str = "no two methods have the same name";

impl Registrar {
    /// A method that answers at once: from memory, or with a single read.
    pub(crate) fn quick<T>(&mut self, name: &'static str, max: usize, method: fn(&Api, &Args) -> Result<T, CallError>)
    where
        T: Serialize + Clone + 'static,
    {
        let callback = move |params: Params<'_>, api: &Api, _: &_| method(api, &Args::parse(&params, max)?);
        self.module.register_method(name, callback).expect(ONCE);
    }

    /// A method with several reads; it runs, and its answer is written, on a blocking thread.
    pub(crate) fn blocking<T>(
        &mut self,
        name: &'static str,
        max: usize,
        method: fn(&Api, &Args) -> Result<T, CallError>,
    ) where
        T: Serialize + 'static,
    {
        let callback = move |params: Params<'static>, api: Arc<Api>, _| async move {
            let args = Args::parse(&params, max)?;
            api.read(move |api| json(&method(api, &args)?)).await
        };
        self.module.register_async_method(name, callback).expect(ONCE);
    }

    /// A method that decides for itself what it waits for.
    pub(crate) fn asynchronous<T, F, Fut>(&mut self, name: &'static str, max: usize, method: F)
    where
        T: Serialize + Clone + 'static,
        F: Fn(Arc<Api>, Args) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<T, CallError>> + Send,
    {
        let callback = move |params: Params<'static>, api: Arc<Api>, _| {
            let args = Args::parse(&params, max);
            let method = method.clone();
            async move { method(api, args?).await }
        };
        self.module.register_async_method(name, callback).expect(ONCE);
    }

    /// A method that runs code.
    pub(crate) fn execution<T>(
        &mut self,
        name: &'static str,
        max: usize,
        method: fn(&Api, &Args) -> Result<T, CallError>,
    ) where
        T: Serialize + 'static,
    {
        self.pooled(name, max, |api| &api.executions, method);
    }

    /// A method that goes through many blocks.
    pub(crate) fn search<T>(&mut self, name: &'static str, max: usize, method: fn(&Api, &Args) -> Result<T, CallError>)
    where
        T: Serialize + 'static,
    {
        self.pooled(name, max, |api| &api.searches, method);
    }

    fn pooled<T>(
        &mut self,
        name: &'static str,
        max: usize,
        pool: fn(&Api) -> &BlockingPool,
        method: fn(&Api, &Args) -> Result<T, CallError>,
    ) where
        T: Serialize + 'static,
    {
        let callback = move |params: Params<'static>, api: Arc<Api>, extensions: Extensions| async move {
            let args = Args::parse(&params, max)?;
            let pool = pool(&api).clone();
            pool.run_within(extensions.get::<Share>(), move || json(&method(&api, &args)?)).await
        };
        self.module.register_async_method(name, callback).expect(ONCE);
    }
}

/// An answer that is written already.
pub(crate) type Json = Box<JsonRawValue>;

pub(crate) fn json(value: &impl Serialize) -> Result<Json, CallError> {
    serde_json::value::to_raw_value(value).map_err(CallError::internal)
}
