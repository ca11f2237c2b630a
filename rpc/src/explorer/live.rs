//! Tells pages of new blocks, as server-sent events. An event says only where the chain is; a page that shows more asks for
//! itself again.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::State,
    response::{IntoResponse, Response, Sse, sse::Event},
};
use futures::stream;
use serde_json::json;
use tokio::{
    sync::{OwnedSemaphorePermit, broadcast::error::RecvError, watch},
    time::{sleep, timeout},
};

use crate::explorer::{Explorer, format::now_ms, page::Failure, server::stopped};

/// Least time between two events of one page: blocks may come faster than anybody reads.
const PAUSE: Duration = Duration::from_millis(500);

/// After so long without a block pages are told all the same: peers, votes and the mempool change too.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// Blocks after which they are read into memory although no page asks.
const BEHIND: u64 = 32;

/// Follows the chain until it is told to stop.
pub(super) async fn follow(explorer: Arc<Explorer>, heads: watch::Sender<u64>, mut stop: watch::Receiver<bool>) {
    let mut finals = explorer.chain.subscribe();
    catch_up(&explorer).await;
    prepare_analysis(&explorer);
    loop {
        tokio::select! {
            () = stopped(&mut stop) => return,
            block = finals.recv() => match block {
                Ok(block) => {
                    let took = now_ms().saturating_sub(block.time_ms());
                    let last = {
                        let mut recent = explorer.lock_recent();
                        recent.note_finality(took);
                        recent.last()
                    };
                    heads.send_replace(block.number());
                    if last.is_none_or(|last| last.saturating_add(BEHIND) <= block.number()) {
                        catch_up(&explorer).await;
                    }
                }
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            },
        }
    }
}

/// Reads the last blocks, which takes a moment when there are many.
async fn catch_up(explorer: &Arc<Explorer>) {
    let explorer = explorer.clone();
    let read = tokio::task::spawn_blocking(move || explorer.recent().map(|_| ()).err());
    if let Ok(Some(failure)) = read.await {
        tracing::warn!(target: "assent::explorer", ?failure, "the last blocks could not be read");
    }
}

/// Analyses the validators before anybody asks. Nobody waits for it here: it can take a while.
fn prepare_analysis(explorer: &Arc<Explorer>) {
    let explorer = explorer.clone();
    tokio::task::spawn_blocking(move || explorer.analysis().is_some());
}

/// A page that is kept up to date.
struct Viewer {
    explorer: Arc<Explorer>,
    heads: watch::Receiver<u64>,
    stop: watch::Receiver<bool>,
    first: bool,
    _place: OwnedSemaphorePermit,
}

/// `/live`
pub(super) async fn stream(State(explorer): State<Arc<Explorer>>) -> Response {
    let Ok(place) = explorer.viewers.clone().try_acquire_owned() else { return Failure::Busy.into_response() };
    let (heads, stop) = (explorer.heads.clone(), explorer.stop.clone());
    let viewer = Viewer { explorer, heads, stop, first: true, _place: place };
    Sse::new(stream::unfold(viewer, next)).into_response()
}

/// The next event; the first at once, so that a page knows that it is connected.
async fn next(mut viewer: Viewer) -> Option<(Result<Event, Infallible>, Viewer)> {
    if !viewer.first {
        let heads = &mut viewer.heads;
        let news = async {
            sleep(PAUSE).await;
            // No news is news too; and when nobody sends any more, the explorer stops.
            let _ = timeout(HEARTBEAT, heads.changed()).await;
        };
        tokio::select! {
            () = stopped(&mut viewer.stop) => return None,
            () = news => {}
        }
    }
    viewer.first = false;
    viewer.heads.mark_unchanged();
    let head = viewer.explorer.chain.head();
    let data = json!({ "head": head.number, "timeMs": head.time_ms, "nowMs": now_ms() });
    Some((Ok(Event::default().event("head").data(data.to_string())), viewer))
}
