//! The threads of a server for clients: a runtime of its own, and threads that give way to all others.
//!
//! What clients ask for can be made to take every processor: traces, searches, batches of thousands of calls, answers of
//! many megabytes. Limits bound each of them, and this keeps all of them together from delaying blocks. Nothing that
//! consensus waits for runs on these threads; and where there are more threads than processors, the system gives a
//! processor to the others first.

use std::{io, time::Duration};

use tokio::{
    runtime::{Builder, Runtime},
    sync::watch,
};

/// Runs `main` on a runtime of its own, with threads of this name, until it ends, then gives work that blocks as long as
/// `rest` to end as well. The sender of what is returned is dropped when all of it has ended.
pub(crate) fn run<F>(name: &'static str, main: F, rest: Duration) -> io::Result<watch::Receiver<()>>
where
    F: Future<Output = ()> + Send + 'static,
{
    let (ends, ended) = watch::channel(());
    let thread = move || {
        give_way();
        match runtime(name) {
            Ok(runtime) => {
                runtime.block_on(main);
                runtime.shutdown_timeout(rest);
            }
            Err(error) => tracing::error!(target: "assent::rpc", %error, name, "no asynchronous runtime"),
        }
        drop(ends);
    };
    std::thread::Builder::new().name(name.into()).spawn(thread)?;
    Ok(ended)
}

fn runtime(name: &str) -> io::Result<Runtime> {
    Builder::new_multi_thread().thread_name(name).enable_all().on_thread_start(give_way).build()
}

/// Puts the calling thread behind all others.
#[cfg(target_os = "linux")]
fn give_way() {
    // Without an identity Linux takes the calling thread; it has a priority of its own. (In POSIX it is the whole process.)
    if let Err(error) = rustix::process::setpriority_process(None, crate::limits::THREAD_NICENESS) {
        tracing::warn!(target: "assent::rpc", %error, "a thread for clients keeps the usual priority");
    }
}

/// Elsewhere threads have no priorities of their own that could be set.
#[cfg(not(target_os = "linux"))]
fn give_way() {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn it_has_its_own_threads_and_tells_its_end() {
        let (sender, receiver) = mpsc::channel();
        let main = async move {
            let names = [
                tokio::spawn(async { std::thread::current().name().map(String::from) }).await.unwrap(),
                tokio::task::spawn_blocking(|| std::thread::current().name().map(String::from)).await.unwrap(),
            ];
            sender.send(names).unwrap();
        };
        let mut ended = run("rpc", main, Duration::ZERO).unwrap();
        ended.changed().await.unwrap_err();
        assert_eq!(receiver.recv().unwrap(), [Some("rpc".to_owned()), Some("rpc".to_owned())]);
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn its_threads_give_way_and_others_do_not() {
        use rustix::process::getpriority_process;
        let own = getpriority_process(None).unwrap();
        let (sender, receiver) = mpsc::channel();
        let main = async move {
            let here = tokio::spawn(async { getpriority_process(None) }).await.unwrap();
            let blocking = tokio::task::spawn_blocking(|| getpriority_process(None)).await.unwrap();
            sender.send([here.unwrap(), blocking.unwrap()]).unwrap();
        };
        let mut ended = run("rpc", main, Duration::ZERO).unwrap();
        ended.changed().await.unwrap_err();
        assert_eq!(receiver.recv().unwrap(), [crate::limits::THREAD_NICENESS; 2]);
        assert_eq!(getpriority_process(None).unwrap(), own);
    }
}
