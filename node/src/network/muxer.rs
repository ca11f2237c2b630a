//! Yamux with bounds: few streams, a receive window that bounds the memory of a connection, and a
//! close that ends even when the remote no longer reads.
//!
//! The wrapper that comes with libp2p allows a peer windows of 1 GiB in all and waits for ever when
//! a full connection is closed.

use futures::{AsyncRead, AsyncWrite, future};
use libp2p::core::{
    muxing::{StreamMuxer, StreamMuxerEvent},
    upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade, UpgradeInfo},
};
use std::{
    collections::VecDeque,
    future::Future as _,
    io, iter,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};
use tokio::time::{Sleep, sleep};

/// Streams of one connection, both directions: the hello and one per lane each way make nine; the
/// rest is for those that are being replaced.
const MAX_STREAMS: usize = 32;
/// Bytes that all streams of one connection may hold unread: the product of 100 ms and 2 Gbit/s,
/// and three times what Yamux gives [`MAX_STREAMS`] at the least (256 KiB each).
const MAX_WINDOW: usize = 24 * 1024 * 1024;
/// How long an orderly close may take.
const CLOSE_TIME: Duration = Duration::from_secs(2);

/// The upgrade that speaks Yamux.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BoundedYamux;

impl UpgradeInfo for BoundedYamux {
    type Info = &'static str;
    type InfoIter = iter::Once<Self::Info>;

    fn protocol_info(&self) -> Self::InfoIter {
        iter::once("/yamux/1.0.0")
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin + Send + 'static> InboundConnectionUpgrade<C> for BoundedYamux {
    type Output = Muxer<C>;
    type Error = io::Error;
    type Future = future::Ready<io::Result<Muxer<C>>>;

    fn upgrade_inbound(self, socket: C, _: Self::Info) -> Self::Future {
        future::ready(Ok(Muxer::new(socket, yamux::Mode::Server)))
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin + Send + 'static> OutboundConnectionUpgrade<C> for BoundedYamux {
    type Output = Muxer<C>;
    type Error = io::Error;
    type Future = future::Ready<io::Result<Muxer<C>>>;

    fn upgrade_outbound(self, socket: C, _: Self::Info) -> Self::Future {
        future::ready(Ok(Muxer::new(socket, yamux::Mode::Client)))
    }
}

/// One connection.
pub(crate) struct Muxer<C> {
    connection: yamux::Connection<C>,
    /// Streams that arrived while the connection was driven for another reason; never more than
    /// [`MAX_STREAMS`], which Yamux itself holds to.
    arrived: VecDeque<yamux::Stream>,
    waiting: Option<Waker>,
    close_by: Option<Pin<Box<Sleep>>>,
}

impl<C: AsyncRead + AsyncWrite + Unpin> Muxer<C> {
    fn new(socket: C, mode: yamux::Mode) -> Self {
        let mut config = yamux::Config::default();
        config.set_max_num_streams(MAX_STREAMS);
        config.set_max_connection_receive_window(Some(MAX_WINDOW));
        Self {
            connection: yamux::Connection::new(socket, config, mode),
            arrived: VecDeque::new(),
            waiting: None,
            close_by: None,
        }
    }

    fn poll_arrival(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<yamux::Stream>> {
        Poll::Ready(match ready!(self.connection.poll_next_inbound(cx)) {
            Some(arrival) => arrival.map_err(into_io),
            None => Err(io::ErrorKind::ConnectionReset.into()),
        })
    }
}

fn into_io(error: yamux::ConnectionError) -> io::Error {
    match error {
        yamux::ConnectionError::Io(error) => error,
        other => io::Error::other(other),
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> StreamMuxer for Muxer<C> {
    type Substream = yamux::Stream;
    type Error = io::Error;

    fn poll_inbound(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<yamux::Stream>> {
        if let Some(stream) = self.arrived.pop_front() {
            return Poll::Ready(Ok(stream));
        }
        if let Poll::Ready(arrival) = self.poll_arrival(cx) {
            return Poll::Ready(arrival);
        }
        self.waiting = Some(cx.waker().clone());
        Poll::Pending
    }

    fn poll_outbound(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<yamux::Stream>> {
        self.connection.poll_new_outbound(cx).map_err(into_io)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Poll::Ready(closed) = self.connection.poll_close(cx) {
            return Poll::Ready(closed.map_err(into_io));
        }
        let close_by = self.close_by.get_or_insert_with(|| Box::pin(sleep(CLOSE_TIME)));
        close_by.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<StreamMuxerEvent>> {
        let stream = ready!(self.poll_arrival(cx))?;
        if self.arrived.len() < MAX_STREAMS {
            self.arrived.push_back(stream);
        }
        if let Some(waiting) = self.waiting.take() {
            waiting.wake();
        }
        // There may be more to do; others get their turn first.
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
