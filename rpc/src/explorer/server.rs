//! The explorer's sockets: how many there may be, how long they may wait, and how they end.

use std::{io, net::SocketAddr, sync::Arc};

use axum::Router;
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, oneshot, watch},
    task::JoinSet,
    time::Duration,
};
use tower::Service;

use crate::{
    explorer::{Explorer, ExplorerError, live, router},
    limits::{ACCEPT_PAUSE, EVM_TIMEOUT, EXPLORER_CONNECTIONS, STOP_TIMEOUT, WRITE_TIMEOUT},
    socket::Socket,
    threads,
};

/// Time for the headers of a request, and that a connection may stay open without one.
const IDLE: Duration = Duration::from_secs(60);

/// Bytes of what is read and not yet understood, of one connection: headers.
const BUFFER: usize = 64 * 1024;

/// The running explorer. It ends when this is dropped.
#[derive(Debug)]
pub struct ExplorerServer {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    ended: watch::Receiver<()>,
}

impl ExplorerServer {
    pub(super) async fn start(
        listen: SocketAddr,
        explorer: Arc<Explorer>,
        heads: watch::Sender<u64>,
        stop: watch::Sender<bool>,
    ) -> Result<Self, ExplorerError> {
        let (tell, listens) = oneshot::channel();
        let main = run(listen, explorer, heads, stop.subscribe(), tell);
        // A page may run a transaction again, which takes this long at most.
        let mut ended = threads::run("explorer", main, EVM_TIMEOUT).map_err(ExplorerError::Threads)?;
        let gone = |_| ExplorerError::Threads(io::Error::other("there is no asynchronous runtime; the log says why"));
        let address = match listens.await.map_err(gone).and_then(|bound| bound) {
            Ok(address) => address,
            Err(error) => {
                // Its threads have the chain until they are gone, and the caller may end the process.
                let _ = ended.changed().await;
                return Err(error);
            }
        };
        tracing::info!(target: "assent::explorer", %address, "the explorer listens");
        Ok(Self { address, stop, ended })
    }

    /// Where it listens; of use when the configuration said port 0.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no further connections, gives open requests a moment and ends. Nothing of it reads the chain afterwards.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        // Nothing is ever sent: this waits until its threads are gone.
        let _ = self.ended.changed().await;
    }
}

/// Listens, tells where, and serves until it is stopped. The socket belongs to the runtime that this runs on.
async fn run(
    listen: SocketAddr,
    explorer: Arc<Explorer>,
    heads: watch::Sender<u64>,
    stop: watch::Receiver<bool>,
    tell: oneshot::Sender<Result<SocketAddr, ExplorerError>>,
) {
    let bound = TcpListener::bind(listen).await;
    match bound.and_then(|listener| Ok((listener.local_addr()?, listener))) {
        Ok((address, listener)) => {
            // Who does not wait any more has no handle, and that ends the server.
            let _ = tell.send(Ok(address));
            let follow = tokio::spawn(live::follow(explorer.clone(), heads, stop.clone()));
            accept(listener, router(explorer), stop).await;
            // It only fails by a panic, which has been printed; there is nothing left to stop.
            let _ = follow.await;
        }
        Err(source) => {
            let _ = tell.send(Err(ExplorerError::Listen { address: listen, source }));
        }
    }
}

async fn accept(listener: TcpListener, router: Router, mut stop: watch::Receiver<bool>) {
    let places = Arc::new(Semaphore::new(EXPLORER_CONNECTIONS as usize));
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stopped(&mut stop) => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((socket, _)) => match places.clone().try_acquire_owned() {
                    Ok(place) => {
                        let served = connection(socket, router.clone(), stop.clone());
                        connections.spawn(async move {
                            served.await;
                            drop(place);
                        });
                    }
                    Err(_) => tracing::debug!(target: "assent::explorer", "too many connections"),
                },
                Err(error) => {
                    // Of one connection (reset) or of the system (no file descriptors left).
                    tracing::warn!(target: "assent::explorer", %error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
    let ended = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(STOP_TIMEOUT, ended).await;
}

async fn connection(socket: TcpStream, router: Router, mut stop: watch::Receiver<bool>) {
    // Answers are written at once; waiting for more to send would only delay them.
    let _ = socket.set_nodelay(true);
    let handler = service_fn(move |request: Request<Incoming>| {
        let mut router = router.clone();
        router.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(Socket::new(socket, WRITE_TIMEOUT, None)), handler);
    tokio::pin!(connection);
    let result = tokio::select! {
        result = &mut connection => result,
        () = stopped(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(target: "assent::explorer", %error, "connection ended");
    }
}

/// Until the explorer is told to stop, or nobody is left who could tell it.
pub(super) async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}
