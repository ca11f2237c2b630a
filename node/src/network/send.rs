//! Writes one lane to one peer: one task per peer and lane, for as long as the peer is on the list.
//!
//! It writes over the peer's newest connection. When that one fails, or a newer one comes, it opens a
//! stream there and goes on; frames that it was about to write are written again, so that a peer may
//! get a frame twice when a connection breaks.

use super::{
    channel::Lane,
    connection::Connection,
    frame::{self, FrameError},
    measures,
    peer::Peer,
    streams::Purpose,
};
use alloy_primitives::bytes::Bytes;
use futures::AsyncWriteExt;
use libp2p::Stream;
use std::{pin::pin, sync::Arc, time::Duration};
use tokio::{sync::watch, time::timeout};

/// Frames are gathered up to this many bytes for one write.
const BATCH: usize = 64 * 1024;
/// How long a write may still take when a newer connection is there.
const MOVE_TIME: Duration = Duration::from_secs(1);
/// The pause before a stream that the peer ended is opened again on the same connection.
const REOPEN_PAUSE: Duration = Duration::from_millis(200);

type Active = watch::Receiver<Option<Arc<Connection>>>;

/// Writes until the peer is taken off the list.
pub(crate) async fn run(peer: Arc<Peer>, lane: Lane, stall: Duration) {
    tokio::select! {
        () = peer.removed.cancelled() => {}
        () = write_for_ever(&peer, lane, stall) => {}
    }
}

async fn write_for_ever(peer: &Peer, lane: Lane, stall: Duration) {
    let mut active = peer.active();
    let mut unsent = Vec::new();
    loop {
        let current = active.borrow_and_update().clone();
        let Some(connection) = current else {
            unsent.clear();
            if active.changed().await.is_err() {
                return;
            }
            continue;
        };
        match connection.open(Purpose::Lane(lane)).await {
            Ok(stream) => {
                write(peer, lane, &connection, stream, &mut active, &mut unsent, stall).await;
                if !superseded(&active, &connection) {
                    wait_change(&mut active, &connection, REOPEN_PAUSE).await;
                }
            }
            Err(error) => {
                connection.close(format!("{}: {error}", lane.name()));
                wait_change(&mut active, &connection, Duration::MAX).await;
            }
        }
    }
}

fn superseded(active: &Active, connection: &Connection) -> bool {
    active.borrow().as_ref().is_none_or(|newest| newest.id != connection.id)
}

/// Waits until another connection (or none) is the active one.
async fn wait_superseded(active: &mut Active, connection: &Connection) {
    let _ = active.wait_for(|newest| newest.as_ref().is_none_or(|newest| newest.id != connection.id)).await;
}

async fn wait_change(active: &mut Active, connection: &Connection, at_most: Duration) {
    let _ = timeout(at_most, wait_superseded(active, connection)).await;
}

/// Writes to one stream until it is over with it. What could not be written stays in `unsent`.
async fn write(
    peer: &Peer,
    lane: Lane,
    connection: &Connection,
    mut stream: Stream,
    active: &mut Active,
    unsent: &mut Vec<Bytes>,
    stall: Duration,
) {
    let queue = &peer.queues[lane.index()];
    loop {
        if unsent.is_empty() {
            tokio::select! {
                biased;
                () = connection.ended() => return,
                () = wait_superseded(active, connection) => {
                    let _ = timeout(MOVE_TIME, stream.close()).await;
                    return;
                }
                () = queue.filled() => *unsent = queue.pop(BATCH),
            }
        }
        let written = {
            let mut writing = pin!(frame::write_frames(&mut stream, unsent, stall));
            tokio::select! {
                biased;
                () = connection.ended() => return,
                written = &mut writing => written,
                () = wait_superseded(active, connection) => match timeout(MOVE_TIME, writing).await {
                    Ok(written) => written,
                    Err(_) => return,
                },
            }
        };
        match written {
            Ok(()) => count(lane, unsent),
            Err(error) => return failed(peer, lane, connection, &error),
        }
        unsent.clear();
    }
}

fn failed(peer: &Peer, lane: Lane, connection: &Connection, error: &FrameError) {
    if error.is_fault() {
        tracing::warn!(peer = %peer.name(), key = %peer.key, lane = lane.name(), %error, "peer does not read; closing the connection");
        measures::fault(lane);
        connection.close(format!("{}: {error}; its receiver does not read", lane.name()));
    } else {
        tracing::debug!(peer = %peer.name(), lane = lane.name(), %error, "stream ended; opening another");
    }
}

fn count(lane: Lane, sent: &[Bytes]) {
    measures::sent(lane, sent.len(), sent.iter().map(Bytes::len).sum());
}
