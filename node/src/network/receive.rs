//! Reads one lane of one connection and hands its frames to the node.
//!
//! Backpressure is simply not reading: while the node has not taken what this peer sent before, or
//! the peer is over its rate, its stream stands still, and other peers and lanes go on.

use super::{
    channel::Lane,
    connection::Connection,
    frame::{self, FrameError},
    handle::Message,
    hub::Hub,
    measures,
    peer::Peer,
};
use libp2p::Stream;
use std::{sync::Arc, time::Instant};
use tokio::time::sleep;

/// Reads until the stream or the connection ends. A peer that breaks the rules loses its connection.
pub(crate) async fn run(
    shared: Arc<Hub>,
    peer: Arc<Peer>,
    connection: Arc<Connection>,
    lane: Lane,
    mut stream: Stream,
) {
    loop {
        match next(&shared, &peer, &connection, lane, &mut stream).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) if error.is_fault() => {
                tracing::warn!(peer = %peer.name(), key = %peer.key, lane = lane.name(), %error, "closing the connection");
                measures::fault(lane);
                return connection.close(format!("{}: {error}", lane.name()));
            }
            Err(error) => {
                tracing::debug!(peer = %peer.name(), lane = lane.name(), %error, "stream ended");
                return;
            }
        }
    }
}

/// Reads one frame; false at the end of the stream or of the node.
async fn next(
    shared: &Hub,
    peer: &Peer,
    connection: &Connection,
    lane: Lane,
    stream: &mut Stream,
) -> Result<bool, FrameError> {
    let (limits, stall) = (lane.limits(), shared.timing.stall);
    let Some(length) = frame::read_length(stream, limits.frame_bytes, stall).await? else {
        return Ok(false);
    };
    let Some(room) = peer.inflow[lane.index()].room(length).await else {
        return Ok(false);
    };
    let bytes = frame::read_body(stream, length, stall, || connection.heard()).await?;
    peer.heard.touch();
    measures::received(lane, length);
    if shared.inbox(lane.channel()).send(Message::received(peer.key, bytes, room)).await.is_err() {
        return Ok(false);
    }
    let pause = peer.rates[lane.index()].lock().charge(length, Instant::now());
    if !pause.is_zero() {
        slow_down(peer, lane);
        sleep(pause).await;
    }
    Ok(true)
}

fn slow_down(peer: &Peer, lane: Lane) {
    measures::slowed(lane);
    if peer.slowed_logs.permits(Instant::now()) {
        let limits = lane.limits();
        tracing::warn!(
            peer = %peer.name(), key = %peer.key, lane = lane.name(),
            frames_per_second = limits.frames_per_second, bytes_per_second = limits.bytes_per_second,
            "peer sends more than its budget; reading it slower"
        );
    }
}
