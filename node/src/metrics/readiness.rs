//! Whether a node is worth sending users to: `/readiness`.

use assent_rpc::{NodeStatus, SyncStatus};
use serde::{Deserialize, Serialize};

/// A node that is further behind the best of its peers than this is not ready.
const BLOCKS_BEHIND: u64 = 20;

/// Whether a node is worth sending users to, and why not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Readiness {
    /// Whether it is.
    pub ready: bool,
    /// Why it is not; sentences for a person.
    pub reasons: Vec<String>,
}

impl Readiness {
    /// The readiness of a node with this status.
    pub fn of(status: &NodeStatus) -> Self {
        let mut reasons = Vec::new();
        if !status.peers.is_empty() && !status.peers.iter().any(|peer| peer.connected) {
            reasons.push(format!("no peer is connected (the node list has {})", status.peers.len()));
        }
        if let SyncStatus::Syncing(progress) = status.syncing {
            reasons.push(format!("behind: at block {} of {}", progress.current_block, progress.highest_block));
        } else if let Some(highest) = status.peers.iter().filter_map(|peer| peer.head).max()
            && highest > status.head.number.saturating_add(BLOCKS_BEHIND)
        {
            reasons.push(format!("behind: at block {}, a peer is at {highest}", status.head.number));
        }
        let quorum = &status.quorum;
        if quorum.missing > 0 {
            reasons.push(format!(
                "too little weight heard to make blocks: {} of {}, needed {}",
                quorum.heard, quorum.total, quorum.needed
            ));
        }
        Self { ready: reasons.is_empty(), reasons }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use assent_rpc::{PeerStatus, QuorumStatus, SyncProgress};

    use super::*;

    pub(in crate::metrics) fn healthy() -> NodeStatus {
        NodeStatus {
            quorum: QuorumStatus::new(100, 100),
            peers: vec![PeerStatus { name: "node1".into(), connected: true, ..PeerStatus::default() }],
            ..NodeStatus::default()
        }
    }

    #[test]
    fn readiness_says_why_not() {
        assert!(Readiness::of(&healthy()).ready);
        let mut alone = healthy();
        alone.peers[0].connected = false;
        let mut behind = healthy();
        behind.syncing = SyncStatus::Syncing(SyncProgress { starting_block: 0, current_block: 5, highest_block: 9 });
        let mut late = healthy();
        late.peers[0].head = Some(BLOCKS_BEHIND + 1);
        let mut halted = healthy();
        halted.quorum = QuorumStatus::new(100, 60);
        for (status, word) in [
            (alone, "no peer"),
            (behind, "at block 5 of 9"),
            (late, "a peer is at 21"),
            (halted, "60 of 100, needed 67"),
        ] {
            let readiness = Readiness::of(&status);
            assert!(!readiness.ready);
            assert_eq!(readiness.reasons.len(), 1, "{readiness:?}");
            assert!(readiness.reasons[0].contains(word), "{readiness:?}");
        }
        let mut single = healthy();
        single.peers.clear();
        assert!(Readiness::of(&single).ready, "a network of one needs no peer");
    }
}
