//! What one peer may make this node read: a rate per lane, and a bound on what was read but not yet
//! taken by the node. Who is over its budget is slowed down by not being read; nothing is dropped.

use super::channel::Limits;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How much of the long-run rate may come at once.
const BURST: Duration = Duration::from_secs(2);

/// A rate in frames and bytes. Each frame costs the time that the stricter of the two limits asks
/// for; who has spent more than [`BURST`] ahead of the clock waits.
#[derive(Debug)]
pub(crate) struct Rate {
    frame_cost: Duration,
    bytes_per_second: u32,
    paid_until: Instant,
}

impl Rate {
    pub(crate) fn new(frames_per_second: u32, bytes_per_second: u32, now: Instant) -> Self {
        Self { frame_cost: Duration::from_secs(1) / frames_per_second, bytes_per_second, paid_until: now }
    }

    /// Counts a frame; answers how long to wait before the next one is read.
    pub(crate) fn charge(&mut self, bytes: usize, now: Instant) -> Duration {
        let byte_cost = Duration::from_secs(bytes as u64) / self.bytes_per_second;
        self.paid_until = self.paid_until.max(now) + byte_cost.max(self.frame_cost);
        self.paid_until.saturating_duration_since(now).saturating_sub(BURST)
    }
}

/// The bound on frames that were read and not yet taken. A frame is charged its bytes, or the share
/// of the budget that one of the most frames may take, so that one number bounds both.
#[derive(Debug)]
pub(crate) struct Inflow {
    budget: Arc<Semaphore>,
    bytes: usize,
    least: usize,
}

impl Inflow {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            budget: Arc::new(Semaphore::new(limits.receive_bytes)),
            bytes: limits.receive_bytes,
            least: limits.receive_bytes / limits.receive_frames,
        }
    }

    /// Waits until there is room for a frame of this length. The room is free again when the permit
    /// is dropped.
    pub(crate) async fn room(&self, length: usize) -> Option<OwnedSemaphorePermit> {
        let charge = u32::try_from(length.clamp(self.least, self.bytes)).ok()?;
        self.budget.clone().acquire_many_owned(charge).await.ok()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::network::channel::Lane;
    use futures::FutureExt;

    #[test]
    fn a_peer_within_its_rate_never_waits() {
        let mut now = Instant::now();
        let mut rate = Rate::new(100, 1_000_000, now);
        for _ in 0..1_000 {
            assert_eq!(rate.charge(10_000, now), Duration::ZERO);
            now += Duration::from_millis(10);
        }
    }

    #[test]
    fn frames_and_bytes_each_have_a_rate() {
        let now = Instant::now();
        let mut rate = Rate::new(100, 1_000_000, now);
        for _ in 0..200 {
            assert_eq!(rate.charge(1, now), Duration::ZERO, "the burst of two seconds");
        }
        assert_eq!(rate.charge(1, now), Duration::from_millis(10));
        assert_eq!(rate.charge(500_000, now), Duration::from_millis(510));
        let later = now + Duration::from_secs(60);
        assert_eq!(rate.charge(2_000_000, later), Duration::ZERO, "an idle minute restores it");
        assert_eq!(rate.charge(usize::MAX >> 32, later).as_secs(), (u64::MAX >> 32) / 1_000_000, "no overflow");
    }

    #[test]
    fn reliability_13_inflow_is_bounded_in_frames_and_in_bytes() {
        for lane in Lane::ALL {
            let limits = lane.limits();
            let inflow = Inflow::new(limits);
            let tiny: Vec<_> = (0..limits.receive_frames).map(|_| inflow.room(0).now_or_never().unwrap()).collect();
            assert!(inflow.room(0).now_or_never().is_none(), "{lane:?}: one frame more");
            drop(tiny);
            let all = inflow.room(limits.receive_bytes).now_or_never().unwrap();
            assert!(inflow.room(0).now_or_never().is_none(), "{lane:?}: one byte more");
            drop(all);
            assert!(inflow.room(limits.frame_bytes).now_or_never().is_some());
        }
    }
}
