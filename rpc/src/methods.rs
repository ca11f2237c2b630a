//! The methods that are offered, and what they share.
//!
//! Each namespace has a function that registers its methods with a [`Registrar`]; the table
//! [`NAMESPACES`] is the one place that knows all of them.

use std::sync::Arc;

use jsonrpsee::{Methods, RpcModule, core::JsonRawValue, types::Params};
use serde::Serialize;

use crate::{
    assent,
    backend::Backend,
    config::RpcConfig,
    errors::CallError,
    eth,
    heavy::{HeavyPool, blocking},
    net,
    params::Args,
    server::RpcError,
    web3,
};

/// Registers the methods of a namespace.
type Register = fn(&mut Registrar);

/// The namespaces by name.
const NAMESPACES: [(&str, Register); 4] =
    [("assent", assent::register), ("eth", eth::register), ("net", net::register), ("web3", web3::register)];

/// What every method works with.
#[derive(Debug)]
pub(crate) struct Api {
    pub(crate) backend: Backend,
    pub(crate) config: RpcConfig,
    pub(crate) heavy: HeavyPool,
}

/// The methods of the namespaces that the configuration names.
pub(crate) fn offered(config: &RpcConfig, backend: Backend) -> Result<Methods, RpcError> {
    let api = Api { backend, config: config.clone(), heavy: HeavyPool::new(config.heavy_calls) };
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
            blocking(move || json(&method(&api, &args)?)).await
        };
        self.module.register_async_method(name, callback).expect(ONCE);
    }

    /// A method that may take long; it runs on the bounded pool.
    pub(crate) fn heavy<T>(&mut self, name: &'static str, max: usize, method: fn(&Api, &Args) -> Result<T, CallError>)
    where
        T: Serialize + 'static,
    {
        let callback = move |params: Params<'static>, api: Arc<Api>, _| async move {
            let args = Args::parse(&params, max)?;
            let pool = api.heavy.clone();
            pool.run(move || json(&method(&api, &args)?)).await
        };
        self.module.register_async_method(name, callback).expect(ONCE);
    }
}

fn json(value: &impl Serialize) -> Result<Box<JsonRawValue>, CallError> {
    serde_json::value::to_raw_value(value).map_err(CallError::internal)
}
