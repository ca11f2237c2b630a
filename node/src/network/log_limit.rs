//! Limits on how often the log says the same, so that a hostile or broken remote cannot fill the disk.

use parking_lot::Mutex;
use std::{
    collections::HashMap,
    hash::Hash,
    time::{Duration, Instant},
};

/// Permits one message per interval.
#[derive(Debug)]
pub(crate) struct LogLimit {
    interval: Duration,
    last: Mutex<Option<Instant>>,
}

impl LogLimit {
    pub(crate) const fn new(interval: Duration) -> Self {
        Self { interval, last: Mutex::new(None) }
    }

    pub(crate) fn permits(&self, now: Instant) -> bool {
        let mut last = self.last.lock();
        let permitted = last.is_none_or(|last| now.saturating_duration_since(last) >= self.interval);
        if permitted {
            *last = Some(now);
        }
        permitted
    }
}

/// Permits one message per interval and key, for a bounded number of keys; those beyond are silent
/// until others have expired.
#[derive(Debug)]
pub(crate) struct LogLimits<K> {
    interval: Duration,
    keys: usize,
    last: HashMap<K, Instant>,
}

impl<K: Eq + Hash> LogLimits<K> {
    pub(crate) fn new(interval: Duration, keys: usize) -> Self {
        Self { interval, keys, last: HashMap::new() }
    }

    pub(crate) fn permits(&mut self, key: K, now: Instant) -> bool {
        let interval = self.interval;
        let recent = |last: &Instant| now.saturating_duration_since(*last) < interval;
        if self.last.get(&key).is_some_and(recent) {
            return false;
        }
        if self.last.len() >= self.keys {
            self.last.retain(|_, last| recent(last));
        }
        let permitted = self.last.len() < self.keys;
        if permitted {
            self.last.insert(key, now);
        }
        permitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn one_per_interval() {
        let (limit, now) = (LogLimit::new(MINUTE), Instant::now());
        assert!(limit.permits(now));
        assert!(!limit.permits(now + MINUTE / 2));
        assert!(limit.permits(now + MINUTE));
    }

    #[test]
    fn reliability_13_one_per_key_and_no_more_keys_than_the_bound() {
        let (mut limits, now) = (LogLimits::new(MINUTE, 2), Instant::now());
        assert!(limits.permits(1, now) && !limits.permits(1, now));
        assert!(limits.permits(2, now + MINUTE / 2));
        assert!(!limits.permits(3, now + MINUTE / 2));
        assert!(limits.permits(3, now + MINUTE));
        assert!(!limits.permits(1, now + MINUTE), "2 and 3 fill it");
    }
}
