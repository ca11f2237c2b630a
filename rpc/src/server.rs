//! The server: one port for HTTP and WebSocket, from the socket to the methods.
//!
//! This file accepts connections and puts the layers together: `http` (hosts, origins, content
//! types), `middleware` (rates, deadlines, metrics), and then the methods of the namespaces.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use jsonrpsee::{
    Methods,
    core::middleware::RpcServiceBuilder,
    server::{
        BatchRequestConfig, HttpRequest, ServerBuilder, ServerConfig, ServerHandle, StopHandle, TowerServiceBuilder,
        stop_channel,
    },
};
use soketto::handshake::http::is_upgrade_request;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch},
};
use tower::{
    Service,
    layer::util::{Identity, Stack},
};
use tower_http::cors::CorsLayer;

use crate::{
    backend::Backend,
    blocking::Share,
    config::RpcConfig,
    errors::LIMIT_EXCEEDED,
    eth::subscriptions::Outbox,
    http::{HttpLayer, HttpRules, rpc_error_body},
    limits::{ACCEPT_PAUSE, IDLE_TIMEOUT, MAX_REFUSALS, REFUSAL_TIMEOUT, STOP_TIMEOUT},
    measures, methods,
    middleware::{GateLayer, Peer, Rules},
    outflow::{Outflow, until_written},
    rate_limit::RateLimiter,
    socket::Socket,
    threads,
    websocket::{Upgrade, WebSockets},
};

/// Why the server could not start.
#[derive(Debug, thiserror::Error)]
pub enum RpcError {
    /// The port cannot be had.
    #[error("cannot listen for JSON-RPC on {address}: {source}; choose another address or port for it")]
    Listen {
        /// What the configuration says.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// The system gives it no threads.
    #[error("cannot start the threads for JSON-RPC: {0}")]
    Threads(std::io::Error),
    /// The configuration names a namespace that does not exist.
    #[error("unknown RPC namespace {name:?}: expected some of {known}")]
    UnknownNamespace {
        /// What the configuration says.
        name: String,
        /// The names that exist.
        known: String,
    },
}

/// A running server. It ends when the last of its handles is dropped.
#[derive(Clone, Debug)]
pub struct RpcHandle {
    addr: SocketAddr,
    server: ServerHandle,
    outflow: Outflow,
    ended: watch::Receiver<()>,
}

impl RpcHandle {
    /// Where it listens; with port 0 in the configuration this has the port that was taken.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Bytes of calls and answers that wait until their clients have read the answers.
    pub fn unread_bytes(&self) -> usize {
        self.outflow.bytes()
    }

    /// Takes no further connections, gives open calls a moment and ends. Nothing of it reads the chain afterwards.
    pub async fn stop(mut self) {
        // It may have been stopped through another handle.
        let _ = self.server.stop();
        // Nothing is ever sent: this waits until its threads are gone.
        let _ = self.ended.changed().await;
    }
}

/// Starts the server, on threads of its own.
pub async fn serve(config: RpcConfig, backend: Backend) -> Result<RpcHandle, RpcError> {
    let methods = methods::offered(&config, backend)?;
    let (stop, server) = stop_channel();
    let rules = Arc::new(Rules {
        methods: methods.clone(),
        limiter: config.effective_rate_limit().map(RateLimiter::new),
        timeout: config.request_timeout,
        max_response: config.max_response as usize,
    });
    let outflow = Outflow::new(&config);
    let acceptor = Acceptor {
        service: service(&config, rules.clone()),
        methods,
        sockets: Arc::new(WebSockets::new(&config, rules, stop.clone())),
        stop,
        outflow: outflow.clone(),
        write_timeout: config.write_timeout,
        places: config.max_connections,
        connections: Arc::new(Semaphore::new(config.max_connections as usize)),
        refusals: Arc::new(Semaphore::new(MAX_REFUSALS)),
        heavy_per_connection: config.heavy_per_connection(),
    };
    let (tell, listens) = oneshot::channel();
    let mut ended =
        threads::run("rpc", acceptor.serve(config.listen, tell), config.evm_timeout).map_err(RpcError::Threads)?;
    let gone =
        |_| RpcError::Threads(std::io::Error::other("there is no asynchronous runtime for it; the log says why"));
    let addr = match listens.await.map_err(gone).and_then(|bound| bound) {
        Ok(addr) => addr,
        Err(error) => {
            // Its threads have the chain until they are gone, and the caller may end the process.
            let _ = ended.changed().await;
            return Err(error);
        }
    };
    tracing::info!(target: "assent::rpc", %addr, namespaces = config.namespaces.join(","), "JSON-RPC listens");
    Ok(RpcHandle { addr, server, outflow, ended })
}

type Layered = TowerServiceBuilder<Stack<GateLayer, Identity>, Stack<HttpLayer, Stack<CorsLayer, Identity>>>;

/// What a connection's HTTP requests go through. WebSockets leave it at [`HttpLayer`].
fn service(config: &RpcConfig, rules: Arc<Rules>) -> Layered {
    let http = Arc::new(HttpRules::new(config));
    let server = ServerConfig::builder()
        .http_only()
        .max_request_body_size(config.max_body)
        .max_response_body_size(config.max_response)
        .max_connections(config.max_connections)
        .set_batch_request_config(BatchRequestConfig::Limit(config.max_batch))
        .build();
    ServerBuilder::with_config(server)
        .set_rpc_middleware(RpcServiceBuilder::new().layer(GateLayer(rules)))
        .set_http_middleware(tower::ServiceBuilder::new().layer(http.cors()).layer(HttpLayer(http)))
        .to_service_builder()
}

struct Acceptor {
    service: Layered,
    methods: Methods,
    sockets: Arc<WebSockets>,
    stop: StopHandle,
    outflow: Outflow,
    write_timeout: Duration,
    /// Connections that are allowed.
    places: u32,
    connections: Arc<Semaphore>,
    refusals: Arc<Semaphore>,
    heavy_per_connection: usize,
}

impl Acceptor {
    /// Listens, tells where, and serves until it is stopped.
    async fn serve(self, listen: SocketAddr, tell: oneshot::Sender<Result<SocketAddr, RpcError>>) {
        let bound = TcpListener::bind(listen).await;
        let listener = match bound.and_then(|listener| Ok((listener.local_addr()?, listener))) {
            Ok((addr, listener)) => {
                // Who does not wait any more has no handle, and that ends the server.
                let _ = tell.send(Ok(addr));
                listener
            }
            Err(source) => {
                let _ = tell.send(Err(RpcError::Listen { address: listen, source }));
                return;
            }
        };
        let (connections, places) = (self.connections.clone(), self.places);
        self.run(listener).await;
        if tokio::time::timeout(STOP_TIMEOUT, connections.acquire_many(places)).await.is_err() {
            tracing::debug!(target: "assent::rpc", "connections are still open; leaving them");
        }
    }

    async fn run(self, listener: TcpListener) {
        let stopped = self.stop.clone().shutdown();
        tokio::pin!(stopped);
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = &mut stopped => return,
            };
            match accepted {
                Ok((socket, peer)) => self.accept(socket, peer),
                Err(error) => {
                    // Of one connection (reset) or of the system (no file descriptors left).
                    tracing::warn!(target: "assent::rpc", %error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn accept(&self, socket: TcpStream, peer: SocketAddr) {
        let Ok(place) = self.connections.clone().try_acquire_owned() else {
            tracing::debug!(target: "assent::rpc", %peer, "too many connections");
            if let Ok(permit) = self.refusals.clone().try_acquire_owned() {
                tokio::spawn(async move {
                    let _permit = permit;
                    let _ = tokio::time::timeout(REFUSAL_TIMEOUT, refuse(socket)).await;
                });
            }
            return;
        };
        // Answers are written at once; waiting for more to send would only delay them.
        let _ = socket.set_nodelay(true);
        let connection = Connection {
            peer,
            service: self.service.clone(),
            methods: self.methods.clone(),
            stop: self.stop.clone(),
            share: Share::new(self.heavy_per_connection),
            upgrade: Upgrade {
                sockets: self.sockets.clone(),
                owed: self.outflow.connection(),
                place: Arc::new(Place::new(place)),
            },
        };
        let owed = connection.upgrade.owed.clone();
        tokio::spawn(connection.serve(Socket::new(socket, self.write_timeout, Some(owed))));
    }
}

/// The place of an open connection among those that are allowed.
#[derive(Debug)]
pub(crate) struct Place {
    _permit: OwnedSemaphorePermit,
}

impl Place {
    fn new(permit: OwnedSemaphorePermit) -> Self {
        measures::opened();
        Self { _permit: permit }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        measures::closed();
    }
}

/// An open connection.
struct Connection {
    peer: SocketAddr,
    service: Layered,
    methods: Methods,
    stop: StopHandle,
    share: Share,
    /// What a WebSocket takes over; it outlives the HTTP connection and keeps its place.
    upgrade: Upgrade,
}

impl Connection {
    async fn serve(self, socket: Socket) {
        let Self { peer, service, methods, stop, share, upgrade } = self;
        let service = service.build(methods, stop.clone());
        let outbox = Outbox::default();
        let handler = service_fn(|mut request: HttpRequest<Incoming>| {
            let websocket = is_upgrade_request(&request);
            let extensions = request.extensions_mut();
            extensions.insert(Peer { address: peer.ip(), websocket });
            extensions.insert(share.clone());
            extensions.insert(outbox.clone());
            extensions.insert(upgrade.owed.clone());
            if websocket {
                extensions.insert(upgrade.clone());
            }
            let answer = service.clone().call(request);
            async move { answer.await.map(until_written).map_err(std::io::Error::other) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(IDLE_TIMEOUT)
            .serve_connection(TokioIo::new(socket), handler)
            .with_upgrades();
        tokio::pin!(connection);
        let stopped = stop.shutdown();
        let result = tokio::select! {
            result = &mut connection => result,
            () = stopped => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = result {
            tracing::debug!(target: "assent::rpc", %peer, %error, "connection ended");
        }
    }
}

/// Tells a client that there are too many connections.
async fn refuse(mut socket: TcpStream) -> std::io::Result<()> {
    let body = rpc_error_body(LIMIT_EXCEEDED, "too many connections; try again later");
    let response = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    // With its request unread the client would find the connection reset and not see the answer.
    let mut request = [0; 16 * 1024];
    let _ = socket.read(&mut request).await?;
    socket.write_all(response.as_bytes()).await?;
    socket.shutdown().await
}
