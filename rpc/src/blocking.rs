//! Where calls run that block: executions, searches, and reads of more than one thing.
//!
//! They run on the blocking threads of the server's runtime, a bounded number at a time, so that
//! they do not take the asynchronous threads that answer cheap calls. A bounded number more may
//! wait; further ones are refused at once. That none of them keeps consensus from a processor is
//! seen to in `threads`.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::errors::CallError;

/// The calls of one connection, in the extensions of its requests.
#[derive(Clone, Debug)]
pub(crate) struct Share(Arc<Semaphore>);

impl Share {
    /// One of `places` calls.
    pub(crate) fn new(places: usize) -> Self {
        Self(Arc::new(Semaphore::new(places)))
    }
}

/// A bounded number of places, and a bounded queue before them.
#[derive(Clone, Debug)]
pub(crate) struct BlockingPool {
    /// What the calls are, for the one who is refused.
    what: &'static str,
    /// Calls that run or wait.
    admitted: Arc<Semaphore>,
    /// Calls that run.
    running: Arc<Semaphore>,
}

impl BlockingPool {
    /// A pool in which `slots` calls run and `queue` may wait.
    pub(crate) fn new(what: &'static str, slots: usize, queue: usize) -> Self {
        let semaphore = |permits: usize| Arc::new(Semaphore::new(permits.min(Semaphore::MAX_PERMITS)));
        Self { what, admitted: semaphore(slots.saturating_add(queue)), running: semaphore(slots) }
    }

    /// The same as [`BlockingPool::run`] within the share of a connection.
    pub(crate) async fn run_within<T, F>(&self, share: Option<&Share>, work: F) -> Result<T, CallError>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T, CallError> + Send + 'static,
    {
        let place = share.map(|share| share.0.clone().try_acquire_owned()).transpose();
        let place = place.map_err(|_| CallError::Busy("too many heavy calls of this connection wait"))?;
        self.run(move || {
            let _place = place;
            work()
        })
        .await
    }

    /// Runs `work` when there is a place for it. A caller that goes away while it waits gives up
    /// its place in the queue; work that has begun keeps its place until it ends.
    pub(crate) async fn run<T, F>(&self, work: F) -> Result<T, CallError>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T, CallError> + Send + 'static,
    {
        let busy = CallError::Busy(self.what);
        let admitted = self.admitted.clone().try_acquire_owned().map_err(|_| busy)?;
        let running = self.running.clone().acquire_owned().await.map_err(CallError::internal)?;
        let work = move || {
            let _places = (admitted, running);
            work()
        };
        tokio::task::spawn_blocking(work).await.map_err(CallError::internal)?
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn the_queue_is_bounded_and_places_come_back() {
        let pool = BlockingPool::new("too many", 1, 4);
        let (release, wait) = mpsc::channel::<()>();
        let wait = Arc::new(std::sync::Mutex::new(wait));
        let call = || {
            let (pool, wait) = (pool.clone(), wait.clone());
            tokio::spawn(async move {
                pool.run(move || {
                    wait.lock().unwrap().recv().unwrap();
                    Ok(())
                })
                .await
            })
        };
        let calls: Vec<_> = (0..5).map(|_| call()).collect();
        while pool.admitted.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(pool.run(|| Ok(())).await, Err(CallError::Busy("too many")));
        for _ in &calls {
            release.send(()).unwrap();
        }
        for call in calls {
            call.await.unwrap().unwrap();
        }
        assert_eq!(pool.run(|| Ok(7)).await, Ok(7));
    }

    #[tokio::test]
    async fn one_connection_has_its_share() {
        let pool = BlockingPool::new("too many", 1, 4);
        let (one, other) = (Share::new(2), Share::new(2));
        let (release, wait) = mpsc::channel::<()>();
        let (pool_of_one, share) = (pool.clone(), one.clone());
        let running = tokio::spawn(async move {
            let work = move || {
                wait.recv().unwrap();
                Ok(())
            };
            pool_of_one.run_within(Some(&share), work).await
        });
        while one.0.available_permits() > 1 {
            tokio::task::yield_now().await;
        }
        let (second, third) = tokio::join!(pool.run_within(Some(&one), || Ok(2)), async {
            let third = pool.run_within(Some(&one), || Ok(3)).await;
            release.send(()).unwrap();
            third
        });
        assert_eq!((second, third), (Ok(2), Err(CallError::Busy("too many heavy calls of this connection wait"))));
        running.await.unwrap().unwrap();
        assert_eq!(pool.run_within(Some(&other), || Ok(4)).await, Ok(4));
        assert_eq!(pool.run_within(Some(&one), || Ok(5)).await, Ok(5), "places come back");
    }

    #[tokio::test]
    async fn a_panic_is_an_internal_error() {
        let pool = BlockingPool::new("", 1, 0);
        let result = pool.run::<(), _>(|| panic!("a bug")).await;
        assert!(matches!(result, Err(CallError::Internal(_))));
        assert_eq!(pool.run(|| Ok(7)).await, Ok(7));
    }
}
