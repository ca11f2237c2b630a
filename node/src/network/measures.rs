//! The metrics of the network: what they are, and where they are counted.

use assent_chain::metric::{Label, Metric};
use metrics::{counter, gauge};

use super::channel::{Channel, Lane};
use super::hub::Hub;

/// All metrics of this area.
pub const METRICS: &[Metric] = &[
    SENT_FRAMES,
    SENT_BYTES,
    RECEIVED_FRAMES,
    RECEIVED_BYTES,
    DROPPED,
    SLOWED,
    FAULTS,
    REFUSED,
    SEND_QUEUE_FRAMES,
    SEND_QUEUE_BYTES,
    INBOX,
];

const LANE: &[Label] = &[Label::of("lane", &["consensus_small", "consensus_large", "transactions", "sync"])];
const REASON: &[Label] = &[Label::of("reason", &["not_on_list", "handshake", "too_many", "hello"])];
const CHANNEL: &[Label] = &[Label::of("channel", &["consensus", "transactions", "sync"])];

const SENT_FRAMES: Metric = Metric::counter("assent_network_sent_frames_total", "Frames sent, by lane").by(LANE);
const SENT_BYTES: Metric = Metric::counter("assent_network_sent_bytes_total", "Bytes of frames sent, by lane").by(LANE);
const RECEIVED_FRAMES: Metric =
    Metric::counter("assent_network_received_frames_total", "Frames received, by lane").by(LANE);
const RECEIVED_BYTES: Metric =
    Metric::counter("assent_network_received_bytes_total", "Bytes of frames received, by lane").by(LANE);
const DROPPED: Metric =
    Metric::counter("assent_network_dropped_frames_total", "Frames dropped because a send queue was full, by lane")
        .by(LANE);
const SLOWED: Metric = Metric::counter(
    "assent_network_slowed_frames_total",
    "Frames after which a peer over its budget was not read for a while, by lane",
)
.by(LANE);
const FAULTS: Metric = Metric::counter(
    "assent_network_faults_total",
    "Connections closed because the peer broke a rule of the lane, by lane",
)
.by(LANE);
const REFUSED: Metric = Metric::counter(
    "assent_network_refused_total",
    "Connections refused, by reason: a key that is not on the node list, a failed handshake, too many of them, a hello \
     of another network or version",
)
.by(REASON);
const SEND_QUEUE_FRAMES: Metric =
    Metric::gauge("assent_network_send_queue_frames", "Frames that wait to be sent, to all peers, by lane").by(LANE);
const SEND_QUEUE_BYTES: Metric =
    Metric::gauge("assent_network_send_queue_bytes", "Bytes that wait to be sent, to all peers, by lane").by(LANE);
const INBOX: Metric = Metric::gauge(
    "assent_network_inbox_frames",
    "Frames received that the node has not taken yet, of all peers, by channel",
)
.by(CHANNEL);

/// Frames were written to a peer.
pub(super) fn sent(lane: Lane, frames: usize, bytes: usize) {
    counter!(SENT_FRAMES.name, "lane" => lane.name()).increment(frames as u64);
    counter!(SENT_BYTES.name, "lane" => lane.name()).increment(bytes as u64);
}

/// A frame was read from a peer.
pub(super) fn received(lane: Lane, bytes: usize) {
    counter!(RECEIVED_FRAMES.name, "lane" => lane.name()).increment(1);
    counter!(RECEIVED_BYTES.name, "lane" => lane.name()).increment(bytes as u64);
}

/// Frames had no room in a send queue.
pub(super) fn dropped(lane: Lane, frames: usize) {
    counter!(DROPPED.name, "lane" => lane.name()).increment(frames as u64);
}

/// A peer is over its budget.
pub(super) fn slowed(lane: Lane) {
    counter!(SLOWED.name, "lane" => lane.name()).increment(1);
}

/// A peer broke a rule.
pub(super) fn fault(lane: Lane) {
    counter!(FAULTS.name, "lane" => lane.name()).increment(1);
}

/// A connection was refused, for one of the reasons of [`REASON`].
pub(super) fn refused(reason: &'static str) {
    counter!(REFUSED.name, "reason" => reason).increment(1);
}

/// Sets the gauges of the queues.
pub(super) fn queues(hub: &Hub) {
    for lane in Lane::ALL {
        let (mut frames, mut bytes) = (0, 0);
        hub.for_each_peer(|peer| {
            let waiting = peer.queues[lane.index()].waiting();
            frames += waiting.0;
            bytes += waiting.1;
        });
        gauge!(SEND_QUEUE_FRAMES.name, "lane" => lane.name()).set(frames as f64);
        gauge!(SEND_QUEUE_BYTES.name, "lane" => lane.name()).set(bytes as f64);
    }
    for (channel, name) in
        [(Channel::Consensus, "consensus"), (Channel::Transactions, "transactions"), (Channel::Sync, "sync")]
    {
        let inbox = hub.inbox(channel);
        gauge!(INBOX.name, "channel" => name).set((inbox.max_capacity() - inbox.capacity()) as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lanes_of_the_metrics_are_those_of_the_network() {
        assert_eq!(LANE[0].values, Lane::ALL.map(Lane::name));
    }
}
