//! Passes news of the chain on to those who wait for them.
//!
//! Who makes blocks final and who admits transactions wakes all that wait for news, and waits for the locks of their
//! channel. Clients may have tens of thousands of subscriptions, and their threads give way to all others (see
//! `threads`): a channel of their own keeps all of that among these threads. Only one of them waits at the chain's.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::broadcast::{Receiver, Sender, channel, error::RecvError};

/// A channel that carries what comes out of another one; `None` stands for what was missed there.
#[derive(Debug)]
pub(crate) struct Relay<T>(Arc<Shared<T>>);

#[derive(Debug)]
struct Shared<T> {
    sender: Sender<Option<T>>,
    /// Whether somebody passes news on. Held while it is decided.
    runs: Mutex<bool>,
}

impl<T: Clone + Send + 'static> Relay<T> {
    /// One whose receivers may be so many news behind.
    pub(crate) fn new(capacity: usize) -> Self {
        Self(Arc::new(Shared { sender: channel(capacity).0, runs: Mutex::new(false) }))
    }

    /// News from now on. `source` is asked for its own if nobody waits for them yet. To be called within the runtime of
    /// the server.
    pub(crate) fn subscribe(&self, source: impl FnOnce() -> Receiver<T>) -> Receiver<Option<T>> {
        let mut runs = self.0.runs.lock().unwrap_or_else(PoisonError::into_inner);
        let receiver = self.0.sender.subscribe();
        if !*runs {
            *runs = true;
            tokio::spawn(pass_on(self.0.clone(), source()));
        }
        receiver
    }
}

/// Passes news on until nobody waits for them.
async fn pass_on<T: Clone + Send + 'static>(shared: Arc<Shared<T>>, mut source: Receiver<T>) {
    loop {
        let (news, closed) = match source.recv().await {
            Ok(news) => (Some(news), false),
            Err(RecvError::Lagged(_)) => (None, false),
            Err(RecvError::Closed) => (None, true),
        };
        // Nobody may be listening.
        let _ = shared.sender.send(news);
        let mut runs = shared.runs.lock().unwrap_or_else(PoisonError::into_inner);
        if closed || shared.sender.receiver_count() == 0 {
            *runs = false;
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[tokio::test]
    async fn all_get_everything_from_one_receiver() {
        let (source, _) = channel(8);
        let relay = Relay::new(8);
        let mut first = relay.subscribe(|| source.subscribe());
        let mut second = relay.subscribe(|| source.subscribe());
        assert_eq!(source.receiver_count(), 1);
        source.send(1).unwrap();
        assert_eq!((first.recv().await, second.recv().await), (Ok(Some(1)), Ok(Some(1))));
        drop((first, second));
        source.send(2).unwrap();
        while source.receiver_count() > 0 {
            tokio::task::yield_now().await;
        }
        let mut third = relay.subscribe(|| source.subscribe());
        source.send(3).unwrap();
        assert_eq!(third.recv().await, Ok(Some(3)), "it begins again, with what is new");
    }

    #[tokio::test]
    async fn what_was_missed_is_told() {
        let (source, _) = channel(2);
        let relay = Relay::new(8);
        let mut receiver = relay.subscribe(|| source.subscribe());
        // The one who passes them on has not begun.
        for news in 1..=5 {
            source.send(news).unwrap();
        }
        for expected in [None, Some(4), Some(5)] {
            assert_eq!(receiver.recv().await, Ok(expected));
        }
    }
}
