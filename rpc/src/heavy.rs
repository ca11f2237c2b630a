//! Where calls run that take long: executions and searches through many blocks.
//!
//! They run on blocking threads, a bounded number at a time, so that they take neither the
//! asynchronous threads that answer cheap calls nor all the processors from consensus. A bounded
//! number more may wait; further ones are refused at once.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::{errors::CallError, limits::HEAVY_QUEUE_PER_SLOT};

/// A bounded number of places, and a bounded queue before them.
#[derive(Clone, Debug)]
pub(crate) struct HeavyPool {
    /// Calls that run or wait.
    admitted: Arc<Semaphore>,
    /// Calls that run.
    running: Arc<Semaphore>,
}

impl HeavyPool {
    /// A pool with `slots` places; 0 stands for the number of processors.
    pub(crate) fn new(slots: usize) -> Self {
        let slots = match slots {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            slots => slots,
        };
        let admitted = slots.saturating_mul(1 + HEAVY_QUEUE_PER_SLOT).min(Semaphore::MAX_PERMITS);
        Self {
            admitted: Arc::new(Semaphore::new(admitted)),
            running: Arc::new(Semaphore::new(slots.min(Semaphore::MAX_PERMITS))),
        }
    }

    /// Runs `work` when there is a place for it. A caller that goes away while it waits gives up
    /// its place in the queue; work that has begun keeps its place until it ends.
    pub(crate) async fn run<T, F>(&self, work: F) -> Result<T, CallError>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T, CallError> + Send + 'static,
    {
        let busy = CallError::Busy("too many heavy calls (eth_call, eth_estimateGas, eth_getLogs and the like) wait");
        let admitted = self.admitted.clone().try_acquire_owned().map_err(|_| busy)?;
        let running = self.running.clone().acquire_owned().await.map_err(CallError::internal)?;
        blocking(move || {
            let _places = (admitted, running);
            work()
        })
        .await
    }
}

/// Runs a read that may touch the disk on a blocking thread.
pub(crate) async fn blocking<T, F>(work: F) -> Result<T, CallError>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, CallError> + Send + 'static,
{
    tokio::task::spawn_blocking(work).await.map_err(CallError::internal)?
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn the_queue_is_bounded_and_places_come_back() {
        let pool = HeavyPool::new(1);
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
        let calls: Vec<_> = (0..=HEAVY_QUEUE_PER_SLOT).map(|_| call()).collect();
        while pool.admitted.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert!(matches!(pool.run(|| Ok(())).await, Err(CallError::Busy(_))));
        for _ in &calls {
            release.send(()).unwrap();
        }
        for call in calls {
            call.await.unwrap().unwrap();
        }
        assert_eq!(pool.run(|| Ok(7)).await, Ok(7));
    }

    #[tokio::test]
    async fn a_panic_is_an_internal_error() {
        let pool = HeavyPool::new(1);
        let result = pool.run::<(), _>(|| panic!("a bug")).await;
        assert!(matches!(result, Err(CallError::Internal(_))));
        assert_eq!(pool.run(|| Ok(7)).await, Ok(7));
    }
}
