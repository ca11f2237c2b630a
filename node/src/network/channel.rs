//! Channels, lanes and their bounds.
//!
//! A channel is what the rest of the node addresses. A lane is one long-lived, one-way stream:
//! every channel has one, except that consensus has two, so that a vote never waits behind a block.
//! Frames of one lane arrive in order; between lanes there is no order.

use libp2p::StreamProtocol;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// What a frame is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Channel {
    /// Votes, certificates, proposals. Frames up to [`CONSENSUS_SMALL_MAX`] overtake larger ones.
    Consensus,
    /// Transactions that are being spread.
    Transactions,
    /// Requests and answers of block sync.
    Sync,
}

/// The largest consensus frame that takes the fast lane: votes and small certificates are below it,
/// proposals with transactions above.
pub const CONSENSUS_SMALL_MAX: usize = 16 * KIB;
/// The largest consensus frame: a proposal carries a block of at most 8 MiB, and certificates.
pub const CONSENSUS_MAX: usize = 12 * MIB;
/// The largest frame of transactions: one transaction is at most 128 KiB, a batch stays small so that
/// it is admitted at once.
pub const TRANSACTIONS_MAX: usize = MIB;
/// The largest frame of block sync: at least one block of the largest size with its certificate.
pub const SYNC_MAX: usize = 24 * MIB;

/// What happens to a frame for which the send queue has no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WhenFull {
    /// Makes room: in consensus the newest message says most, and the old ones are sent again.
    DropOldest,
    /// Refuses the new one: what was taken first goes first, and pushing again is the caller's.
    Refuse,
}

/// The bounds of one lane, per peer.
#[derive(Debug)]
pub(crate) struct Limits {
    /// The largest frame, checked before anything is allocated.
    pub(crate) frame_bytes: usize,
    /// Frames waiting to be sent.
    pub(crate) send_frames: usize,
    /// Bytes waiting to be sent (a broadcast shares them between peers).
    pub(crate) send_bytes: usize,
    /// Frames received that the node has not taken yet.
    pub(crate) receive_frames: usize,
    /// Bytes received that the node has not taken yet; at least one frame fits.
    pub(crate) receive_bytes: usize,
    /// Frames per second that are read on the long run.
    pub(crate) frames_per_second: u32,
    /// Bytes per second that are read on the long run.
    pub(crate) bytes_per_second: u32,
}

/// A validator sends a handful of votes per view, and views last milliseconds at the least.
const CONSENSUS_SMALL: Limits = Limits {
    frame_bytes: CONSENSUS_SMALL_MAX,
    send_frames: 1024,
    send_bytes: 4 * MIB,
    receive_frames: 512,
    receive_bytes: 2 * MIB,
    frames_per_second: 5_000,
    bytes_per_second: 16 * MIB as u32,
};
/// One proposal per view, seldom from one peer twice in a row; only the last ones matter.
const CONSENSUS_LARGE: Limits = Limits {
    frame_bytes: CONSENSUS_MAX,
    send_frames: 16,
    send_bytes: 32 * MIB,
    receive_frames: 16,
    receive_bytes: 24 * MIB,
    frames_per_second: 200,
    bytes_per_second: 64 * MIB as u32,
};
/// More than one core can recover senders for (some 30,000 a second), were each a frame of its own.
const TRANSACTIONS: Limits = Limits {
    frame_bytes: TRANSACTIONS_MAX,
    send_frames: 8192,
    send_bytes: 8 * MIB,
    receive_frames: 1024,
    receive_bytes: 4 * MIB,
    frames_per_second: 30_000,
    bytes_per_second: 16 * MIB as u32,
};
/// Few large answers; a requester has few requests open.
const SYNC: Limits = Limits {
    frame_bytes: SYNC_MAX,
    send_frames: 64,
    send_bytes: 32 * MIB,
    receive_frames: 32,
    receive_bytes: 32 * MIB,
    frames_per_second: 500,
    bytes_per_second: 64 * MIB as u32,
};

/// One stream of frames in one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    ConsensusSmall,
    ConsensusLarge,
    Transactions,
    Sync,
}

impl Lane {
    pub(crate) const COUNT: usize = 4;
    pub(crate) const ALL: [Self; Self::COUNT] =
        [Self::ConsensusSmall, Self::ConsensusLarge, Self::Transactions, Self::Sync];

    /// The lane of a frame of this length, or nothing when the channel does not take it.
    pub(crate) fn of(channel: Channel, length: usize) -> Option<Self> {
        let lane = match channel {
            Channel::Consensus if length <= CONSENSUS_SMALL_MAX => Self::ConsensusSmall,
            Channel::Consensus => Self::ConsensusLarge,
            Channel::Transactions => Self::Transactions,
            Channel::Sync => Self::Sync,
        };
        (length <= lane.limits().frame_bytes).then_some(lane)
    }

    pub(crate) const fn index(self) -> usize {
        self as usize
    }

    pub(crate) const fn channel(self) -> Channel {
        match self {
            Self::ConsensusSmall | Self::ConsensusLarge => Channel::Consensus,
            Self::Transactions => Channel::Transactions,
            Self::Sync => Channel::Sync,
        }
    }

    pub(crate) const fn limits(self) -> &'static Limits {
        match self {
            Self::ConsensusSmall => &CONSENSUS_SMALL,
            Self::ConsensusLarge => &CONSENSUS_LARGE,
            Self::Transactions => &TRANSACTIONS,
            Self::Sync => &SYNC,
        }
    }

    pub(crate) const fn when_full(self) -> WhenFull {
        match self {
            Self::ConsensusSmall | Self::ConsensusLarge => WhenFull::DropOldest,
            Self::Transactions | Self::Sync => WhenFull::Refuse,
        }
    }

    /// The name in logs and metrics.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::ConsensusSmall => "consensus_small",
            Self::ConsensusLarge => "consensus_large",
            Self::Transactions => "transactions",
            Self::Sync => "sync",
        }
    }

    /// The protocol that the stream is opened with; a new format gets a new number.
    pub(crate) const fn protocol(self) -> StreamProtocol {
        StreamProtocol::new(match self {
            Self::ConsensusSmall => "/assent/consensus/1",
            Self::ConsensusLarge => "/assent/consensus-large/1",
            Self::Transactions => "/assent/transactions/1",
            Self::Sync => "/assent/sync/1",
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn small_consensus_frames_take_the_fast_lane_and_too_large_ones_none() {
        let of = Lane::of;
        assert_eq!(of(Channel::Consensus, CONSENSUS_SMALL_MAX), Some(Lane::ConsensusSmall));
        assert_eq!(of(Channel::Consensus, CONSENSUS_SMALL_MAX + 1), Some(Lane::ConsensusLarge));
        for (channel, max) in
            [(Channel::Consensus, CONSENSUS_MAX), (Channel::Transactions, TRANSACTIONS_MAX), (Channel::Sync, SYNC_MAX)]
        {
            assert_eq!(of(channel, max).unwrap().channel(), channel);
            assert_eq!(of(channel, max + 1), None);
        }
    }

    #[test]
    fn every_budget_holds_the_largest_frame_and_can_be_charged_in_u32() {
        for lane in Lane::ALL {
            let limits = lane.limits();
            assert_eq!(Lane::ALL[lane.index()], lane);
            assert!(limits.frame_bytes <= limits.send_bytes, "{lane:?}");
            assert!(limits.frame_bytes <= limits.receive_bytes, "{lane:?}");
            assert!(u32::try_from(limits.receive_bytes).is_ok(), "{lane:?}");
        }
    }
}
