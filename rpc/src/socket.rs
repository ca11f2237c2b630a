//! The socket of a connection, which ends when the client takes nothing of what is written to it, or little while it owes
//! much.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep, sleep},
};

use crate::{limits::SLOW_RATE, measures, outflow::Owed};

/// How long writes wait for a client.
#[derive(Debug)]
struct Patience {
    /// Time for a client to take any byte; and one that owes much must have met its goal when writes have waited so long.
    most: Duration,
    /// What the client owes, if that is counted.
    owed: Option<Owed>,
    /// Bytes taken since the goal was met.
    taken: usize,
    /// Time that writes waited since then, without the one that waits now.
    waited: Duration,
}

impl Patience {
    fn new(most: Duration, owed: Option<Owed>) -> Self {
        Self { most, owed, taken: 0, waited: Duration::ZERO }
    }

    /// The client took bytes after a write waited so long for it.
    fn took(&mut self, bytes: usize, waited: Duration) {
        self.taken = self.taken.saturating_add(bytes);
        self.waited = self.waited.saturating_add(waited);
        if self.taken >= self.goal() {
            self.begin();
        }
    }

    /// Bytes to take while writes wait for the whole time.
    fn goal(&self) -> usize {
        SLOW_RATE.saturating_mul(self.most.as_millis() as usize) / 1_000
    }

    fn begin(&mut self) {
        (self.taken, self.waited) = (0, Duration::ZERO);
    }

    /// Time that one write may wait before it is looked at.
    fn left(&self) -> Duration {
        self.most.saturating_sub(self.waited)
    }

    /// Why the connection ends after a write has waited so long, which is all that was left. If it does not, there is
    /// more left.
    fn over(&mut self, waited: Duration) -> Option<String> {
        let seconds = self.most.as_secs_f64();
        if waited >= self.most {
            return Some(format!("the client took nothing for {seconds} seconds"));
        }
        if self.owed.as_ref().is_some_and(Owed::much) {
            return Some(format!("the client owes much and took {} bytes in {seconds} seconds", self.taken));
        }
        self.begin();
        None
    }
}

/// A write that waits.
#[derive(Debug)]
struct Wait {
    since: Instant,
    end: Pin<Box<Sleep>>,
}

/// A connected socket on which every write must move within a time.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: TcpStream,
    patience: Patience,
    wait: Option<Wait>,
}

impl Socket {
    /// Waits so long for the client to take any byte, or enough of what it owes.
    pub(crate) fn new(stream: TcpStream, most: Duration, owed: Option<Owed>) -> Self {
        Self { stream, patience: Patience::new(most, owed), wait: None }
    }

    fn within(&mut self, context: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(result) = &written {
            let waited = self.wait.take().map_or(Duration::ZERO, |wait| wait.since.elapsed());
            self.patience.took(*result.as_ref().unwrap_or(&0), waited);
            return written;
        }
        let patience = &mut self.patience;
        let wait =
            self.wait.get_or_insert_with(|| Wait { since: Instant::now(), end: Box::pin(sleep(patience.left())) });
        while wait.end.as_mut().poll(context).is_ready() {
            let waited = wait.since.elapsed();
            if let Some(text) = patience.over(waited) {
                self.wait = None;
                measures::stalled();
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, text)));
            }
            wait.end = Box::pin(sleep(patience.left().saturating_sub(waited)));
        }
        Poll::Pending
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let socket = self.get_mut();
        let written = Pin::new(&mut socket.stream).poll_write(context, bytes);
        socket.within(context, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let socket = self.get_mut();
        let written = Pin::new(&mut socket.stream).poll_write_vectored(context, slices);
        socket.within(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::{config::RpcConfig, limits::SLOW_BYTES, outflow::Outflow};

    const MOST: Duration = Duration::from_secs(30);
    const ALMOST: Duration = Duration::from_secs(29);

    fn patience(owed: &Owed) -> Patience {
        Patience::new(MOST, Some(owed.clone()))
    }

    #[test]
    fn who_owes_much_must_take_more_than_a_byte_in_time() {
        let owed = Outflow::new(&RpcConfig::default()).connection();
        let mut held = owed.hold();
        held.add(SLOW_BYTES + 1).unwrap();
        let mut slow = patience(&owed);
        slow.took(1, ALMOST);
        assert_eq!(slow.left(), MOST - ALMOST);
        assert!(slow.over(MOST - ALMOST).unwrap().contains("took 1 bytes"));

        let mut fast = patience(&owed);
        fast.took(SLOW_RATE * 30, ALMOST);
        assert_eq!(fast.left(), MOST, "it begins anew");
        fast.took(SLOW_RATE * 30 - 1, ALMOST);
        assert_eq!(fast.left(), MOST - ALMOST);
        fast.took(1, Duration::ZERO);
        assert_eq!(fast.left(), MOST);
    }

    #[test]
    fn who_owes_little_must_take_something_in_time() {
        let owed = Outflow::new(&RpcConfig::default()).connection();
        let mut held = owed.hold();
        held.add(SLOW_BYTES).unwrap();
        for owed in [Some(owed), None] {
            let mut patience = Patience::new(MOST, owed);
            for _ in 0..10 {
                patience.took(1, ALMOST);
                assert_eq!(patience.over(patience.left()), None);
                assert_eq!(patience.left(), MOST);
            }
            assert!(patience.over(MOST).unwrap().contains("took nothing"));
        }
    }
}
