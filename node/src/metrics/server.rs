//! The HTTP server for monitoring.

use std::{net::SocketAddr, sync::Arc};

use assent_rpc::NodeStatus;
use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::IntoResponse,
    routing::get,
};
use serde::Serialize;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::{MetricsError, Readiness, Recorder};

/// The running server.
#[derive(Debug)]
pub struct MetricsServer {
    address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl MetricsServer {
    /// Where it listens; of use when the configuration said port 0.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops it and waits for its end.
    pub async fn stop(self) {
        self.stop.cancel();
        // The task only fails by a panic, which has been printed; there is nothing left to stop.
        let _ = self.task.await;
    }
}

#[derive(Clone)]
struct Served {
    recorder: Recorder,
    status: watch::Receiver<Arc<NodeStatus>>,
}

/// Serves monitoring on `listen`.
pub async fn serve(
    listen: SocketAddr,
    recorder: Recorder,
    status: watch::Receiver<Arc<NodeStatus>>,
) -> Result<MetricsServer, MetricsError> {
    let failed = |source| MetricsError::Listen { address: listen, source };
    let listener = TcpListener::bind(listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let router = Router::new()
        .route("/metrics", get(metrics_text))
        .route("/liveness", get(liveness))
        .route("/readiness", get(readiness))
        .with_state(Served { recorder, status });
    let stop = CancellationToken::new();
    let stopped = stop.clone().cancelled_owned();
    let task = tokio::spawn(async move {
        // Serving ends by `stop` alone: axum retries failed accepts by itself.
        let _ = axum::serve(listener, router).with_graceful_shutdown(stopped).await;
    });
    info!(%address, "monitoring at /metrics, /liveness, /readiness");
    Ok(MetricsServer { address, stop, task })
}

async fn metrics_text(State(served): State<Served>) -> impl IntoResponse {
    let status = served.status.borrow().clone();
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], served.recorder.render(&status))
}

async fn liveness() -> Json<Liveness> {
    Json(Liveness { alive: true })
}

async fn readiness(State(served): State<Served>) -> (StatusCode, Json<Readiness>) {
    let readiness = Readiness::of(&served.status.borrow());
    let code = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(readiness))
}

#[derive(Debug, Serialize)]
struct Liveness {
    alive: bool,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use assent_rpc::QuorumStatus;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::metrics::{AREAS, readiness::tests::healthy};

    async fn fetch(address: SocketAddr, path: &str) -> String {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn the_three_pages_answer() {
        let (sender, status) = watch::channel(Arc::new(healthy()));
        let recorder = Recorder::install().unwrap();
        assert!(Recorder::install().is_err());
        let listen = "127.0.0.1:0".parse().unwrap();
        let server = serve(listen, recorder.clone(), status).await.unwrap();
        let address = server.address();

        let text = fetch(address, "/metrics").await;
        assert!(text.starts_with("HTTP/1.1 200"), "{text}");
        for line in [
            "assent_quorum_weight_needed 67",
            "assent_ready 1",
            "assent_peer_connected{peer=\"node1\"} 1",
            "# HELP assent_view View in which the node is",
            "process_resident_memory_bytes ",
        ] {
            assert!(text.contains(line), "{line} is missing in {text}");
        }
        // What never happened is there with 0; only what is divided by what comes up later is not.
        for metric in AREAS.iter().flat_map(|area| area.metrics) {
            let comes_later = metric.labels.iter().any(|label| label.values.is_empty());
            assert!(comes_later || text.contains(&format!("# HELP {} {}\n", metric.name, metric.help)), "{metric:?}");
        }
        assert!(fetch(address, "/liveness").await.starts_with("HTTP/1.1 200"));
        assert!(fetch(address, "/readiness").await.contains(r#""ready":true"#));

        let mut halted = healthy();
        halted.quorum = QuorumStatus::new(100, 10);
        sender.send(Arc::new(halted)).unwrap();
        let text = fetch(address, "/readiness").await;
        assert!(text.starts_with("HTTP/1.1 503"), "{text}");
        assert!(text.contains(r#""ready":false"#), "{text}");

        let second = serve(address, recorder, sender.subscribe()).await;
        assert!(second.unwrap_err().to_string().contains("metrics.listen"));
        server.stop().await;
    }
}
