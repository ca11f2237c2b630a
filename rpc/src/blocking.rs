//! Where calls run that block: executions, searches, and reads of more than one thing.
//!
//! They run on the blocking threads of the server's runtime, a bounded number at a time, so that
//! they do not take the asynchronous threads that answer cheap calls. A bounded number more may
//! wait; further ones are refused at once. That none of them keeps consensus from a processor is
//! seen to in `threads`.

use std::{
    collections::VecDeque,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{Semaphore, oneshot};

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
#[derive(Clone)]
pub(crate) struct BlockingPool {
    /// What the calls are, for the one who is refused.
    what: &'static str,
    /// Calls that run at a time.
    slots: usize,
    /// Calls that run or wait, at most.
    places: usize,
    /// Those of them that are free.
    admitted: Arc<Semaphore>,
    line: Arc<Mutex<Line>>,
}

/// The calls that wait, and the threads that take one after the other of them until none is left: while there are
/// calls, no thread has to be woken for each.
#[derive(Default)]
struct Line {
    waiting: VecDeque<Waiting>,
    threads: usize,
}

type Job = Box<dyn FnOnce() + Send>;

/// A call in the line; empty once it has begun, or when nobody waits for it any more.
type Waiting = Arc<Mutex<Option<Job>>>;

/// Takes a call out of its place in the line when its caller goes away.
struct Caller(Waiting);

impl Drop for Caller {
    fn drop(&mut self) {
        let abandoned = lock(&self.0).take();
        drop(abandoned);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for BlockingPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockingPool").field("what", &self.what).field("slots", &self.slots).finish_non_exhaustive()
    }
}

impl BlockingPool {
    /// A pool in which `slots` calls run and `queue` may wait.
    pub(crate) fn new(what: &'static str, slots: usize, queue: usize) -> Self {
        let places = slots.saturating_add(queue).min(Semaphore::MAX_PERMITS);
        Self { what, slots, places, admitted: Arc::new(Semaphore::new(places)), line: Arc::default() }
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
        let admitted = self.admitted.clone().try_acquire_owned().map_err(|_| CallError::Busy(self.what))?;
        let (tell, told) = oneshot::channel();
        let job: Job = Box::new(move || {
            let result = catch_unwind(AssertUnwindSafe(work));
            // Who is told may call again at once.
            drop(admitted);
            // The caller may be gone.
            let _ = tell.send(result.unwrap_or_else(|_| Err(CallError::internal("a call panicked"))));
        });
        let caller = Caller(Arc::new(Mutex::new(Some(job))));
        self.enter(caller.0.clone());
        let result = told.await.map_err(CallError::internal)?;
        drop(caller);
        result
    }

    /// Puts a call at the end of the line.
    fn enter(&self, call: Waiting) {
        let mut line = lock(&self.line);
        if line.waiting.len() >= self.places {
            // Some of them are empty: a call that waits has one of the places.
            line.waiting.retain(|waiting| lock(waiting).is_some());
        }
        line.waiting.push_back(call);
        if line.threads < self.slots {
            line.threads += 1;
            let line = self.line.clone();
            tokio::task::spawn_blocking(move || work_off(&line));
        }
    }
}

/// Runs calls until none waits.
fn work_off(line: &Mutex<Line>) {
    loop {
        let mut current = lock(line);
        let Some(next) = current.waiting.pop_front() else {
            current.threads -= 1;
            return;
        };
        drop(current);
        let job = lock(&next).take();
        if let Some(job) = job {
            job();
        }
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
    async fn who_goes_away_gives_up_the_place() {
        let pool = BlockingPool::new("too many", 1, 1);
        let (release, wait) = mpsc::channel::<()>();
        let (begin, begun) = oneshot::channel();
        let running = pool.clone();
        let running = tokio::spawn(async move {
            let work = move || {
                let _ = begin.send(());
                wait.recv().unwrap();
                Ok(())
            };
            running.run(work).await
        });
        begun.await.unwrap();
        for _ in 0..10 {
            let waiting = pool.run(|| Ok(()));
            // It gets its place, and is dropped at once.
            assert!(tokio::time::timeout(std::time::Duration::ZERO, waiting).await.is_err());
        }
        assert!(lock(&pool.line).waiting.len() <= pool.places, "what was given up does not pile up");
        release.send(()).unwrap();
        running.await.unwrap().unwrap();
        assert_eq!(pool.run(|| Ok(7)).await, Ok(7));
    }

    #[tokio::test]
    async fn a_panic_is_an_internal_error() {
        let pool = BlockingPool::new("", 1, 0);
        let result = pool.run::<(), _>(|| panic!("a bug")).await;
        assert!(matches!(result, Err(CallError::Internal(_))));
        assert_eq!(pool.run(|| Ok(7)).await, Ok(7));
    }
}
