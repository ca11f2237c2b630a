//! The explorer's sockets: how many there may be, how long they may wait, and how they end.

use std::{net::SocketAddr, sync::Arc};

use axum::Router;
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::{JoinHandle, JoinSet},
    time::Duration,
};
use tower::Service;

use crate::{
    explorer::{Explorer, ExplorerError, live, router},
    limits::STOP_TIMEOUT,
};

/// Connections at a time. A browser opens up to six, and one more for what is live.
const CONNECTIONS: usize = 1_024;

/// Time for the headers of a request, and that a connection may stay open without one.
const IDLE: Duration = Duration::from_secs(60);

/// The running explorer. It goes on when this is dropped.
#[derive(Debug)]
pub struct ExplorerServer {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    tasks: [JoinHandle<()>; 2],
}

impl ExplorerServer {
    pub(super) async fn start(
        listen: SocketAddr,
        explorer: Arc<Explorer>,
        heads: watch::Sender<u64>,
        stop: watch::Sender<bool>,
    ) -> Result<Self, ExplorerError> {
        let failed = |source| ExplorerError::Listen { address: listen, source };
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let follow = tokio::spawn(live::follow(explorer.clone(), heads, stop.subscribe()));
        let accept = tokio::spawn(accept(listener, router(explorer), stop.subscribe()));
        tracing::info!(target: "assent::explorer", %address, "the explorer listens");
        Ok(Self { address, stop, tasks: [follow, accept] })
    }

    /// Where it listens; of use when the configuration said port 0.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no further connections, gives open requests a moment and ends.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        for task in self.tasks {
            // A task only fails by a panic, which has been printed; there is nothing left to stop.
            let _ = task.await;
        }
    }
}

async fn accept(listener: TcpListener, router: Router, mut stop: watch::Receiver<bool>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
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
                    tokio::task::yield_now().await;
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
        .serve_connection(TokioIo::new(socket), handler);
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
