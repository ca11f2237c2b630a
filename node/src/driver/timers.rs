//! The timers of the driver: those of the state machine, and two of its own.

use std::collections::BTreeMap;

use assent_consensus::core::Timer;
use tokio::time::Instant;

/// Which timer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Alarm {
    /// One of the state machine.
    Core(Timer),
    /// The least interval after the parent is over: a block may be built.
    Pace,
    /// An empty block is due.
    Empty,
}

/// Deadlines by timer; setting one again moves it.
#[derive(Debug, Default)]
pub(super) struct Timers(BTreeMap<Alarm, Instant>);

impl Timers {
    pub(super) fn set(&mut self, alarm: Alarm, at: Instant) {
        self.0.insert(alarm, at);
    }

    pub(super) fn cancel(&mut self, alarm: Alarm) {
        self.0.remove(&alarm);
    }

    /// A new view: the state machine's earlier timers are void.
    pub(super) fn clear_core(&mut self) {
        self.0.retain(|alarm, _| !matches!(alarm, Alarm::Core(_)));
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.0.values().min().copied()
    }

    /// Takes the earliest alarm whose time has come.
    pub(super) fn pop(&mut self, now: Instant) -> Option<Alarm> {
        let (alarm, at) = self.0.iter().map(|(alarm, at)| (*alarm, *at)).min_by_key(|(_, at)| *at)?;
        if at > now {
            return None;
        }
        self.0.remove(&alarm);
        Some(alarm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use assent_consensus::View;
    use std::time::Duration;

    #[test]
    fn alarms_come_in_order_and_once() {
        let (mut timers, now) = (Timers::default(), Instant::now());
        let view = Alarm::Core(Timer::View(View(3)));
        timers.set(view, now + Duration::from_secs(2));
        timers.set(Alarm::Pace, now + Duration::from_secs(1));
        assert_eq!(timers.pop(now), None);
        assert_eq!(timers.next(), Some(now + Duration::from_secs(1)));
        let later = now + Duration::from_secs(3);
        assert_eq!(timers.pop(later), Some(Alarm::Pace));
        timers.clear_core();
        assert_eq!(timers.pop(later), None);
    }
}
