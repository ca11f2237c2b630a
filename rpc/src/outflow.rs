//! What clients have not read yet: calls that are not answered and answers that are not written, bounded for each
//! connection and for the whole node.
//!
//! A WebSocket is not read on while it owes much ([`Owed::turn`]); HTTP has one answer at a time. A message is counted as
//! it comes, an answer when it is made ([`Held`]) and until its bytes have left: the count goes with the memory, so none
//! is lost when a call is given up. What finds no room is not kept, and the call is told that the node is busy. The less
//! room the node has left, the less may one connection owe: some that are not read leave room for others. A client that
//! takes nothing, or little while it owes much, loses its connection (see `socket`).

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll, ready},
};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use jsonrpsee::{
    core::BoxError,
    server::{HttpBody, HttpResponse},
};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::{
    config::RpcConfig,
    errors::CallError,
    limits::{OWED_BYTES, OWED_CALLS, OWED_ROOM, OWED_SHARES, SLOW_BYTES, SMALL_ANSWER},
    measures,
};

/// What waits in the whole node.
#[derive(Clone, Debug)]
pub(crate) struct Outflow(Arc<Node>);

#[derive(Debug)]
struct Node {
    bytes: AtomicUsize,
    /// Bytes of one connection: what is read of it, and one answer as large as any.
    share: usize,
    /// Bytes of all connections together.
    limit: usize,
}

impl Outflow {
    pub(crate) fn new(config: &RpcConfig) -> Self {
        let share = OWED_BYTES.saturating_add(config.max_body as usize).saturating_add(config.max_response as usize);
        Self(Arc::new(Node { bytes: AtomicUsize::new(0), share, limit: share.saturating_mul(OWED_SHARES) }))
    }

    /// A connection that owes nothing yet.
    pub(crate) fn connection(&self) -> Owed {
        let calls = Arc::new(Semaphore::new(OWED_CALLS));
        Owed(Arc::new(Connection { node: self.0.clone(), bytes: AtomicUsize::new(0), calls, room: Notify::new() }))
    }

    /// Bytes that wait.
    pub(crate) fn bytes(&self) -> usize {
        self.0.bytes.load(SeqCst)
    }
}

/// What one connection is owed, in the extensions of its requests.
#[derive(Clone, Debug)]
pub(crate) struct Owed(Arc<Connection>);

#[derive(Debug)]
struct Connection {
    node: Arc<Node>,
    bytes: AtomicUsize,
    calls: Arc<Semaphore>,
    /// Told when bytes have left. Only the one who reads the connection waits for it.
    room: Notify,
}

impl Owed {
    /// Waits until the connection may bring another message. Not given only if there will be none.
    pub(crate) async fn turn(&self) -> Option<Turn> {
        let permit = self.0.calls.clone().acquire_owned().await.ok()?;
        loop {
            let room = self.0.room.notified();
            // Without room for more, only who owes nothing is read, and told that the node is busy.
            let most = if self.full() { 1 } else { OWED_BYTES };
            if self.0.bytes.load(SeqCst) < most {
                return Some(Turn { held: self.hold(), _permit: permit });
            }
            room.await;
        }
    }

    /// Whether the connection may not even owe another small answer.
    pub(crate) fn full(&self) -> bool {
        !self.fits(SMALL_ANSWER)
    }

    /// Whether the connection owes so much that its client must take it fast.
    pub(crate) fn much(&self) -> bool {
        self.0.bytes.load(SeqCst) > SLOW_BYTES
    }

    /// Whether the connection may owe so many bytes more: no more than its share, and only part of what is left for all.
    fn fits(&self, more: usize) -> bool {
        let node = &self.0.node;
        let own = self.0.bytes.load(SeqCst).saturating_add(more);
        let all = node.bytes.load(SeqCst).saturating_add(more);
        own <= node.share && own.saturating_mul(OWED_ROOM) <= node.limit.saturating_sub(all)
    }

    /// Nothing yet, of this connection.
    pub(crate) fn hold(&self) -> Held {
        Held { owed: self.clone(), bytes: 0 }
    }
}

/// The turn of one message, until its answer is written.
#[derive(Debug)]
pub(crate) struct Turn {
    held: Held,
    _permit: OwnedSemaphorePermit,
}

impl Turn {
    /// Counts bytes of the message if there is room for them.
    pub(crate) fn add(&mut self, bytes: usize) -> Result<(), CallError> {
        self.held.add(bytes)
    }

    /// Counts none: they are not kept.
    pub(crate) fn clear(&mut self) {
        self.held.release(self.held.bytes);
    }
}

/// Bytes that are counted until this is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    owed: Owed,
    bytes: usize,
}

impl Held {
    /// Counts bytes of a message or an answer if there is room for them. Small ones always have room: the call is carried
    /// out, and who sent a transaction should know.
    pub(crate) fn add(&mut self, bytes: usize) -> Result<(), CallError> {
        self.count(bytes);
        if self.owed.fits(0) || self.bytes <= SMALL_ANSWER {
            return Ok(());
        }
        self.release(bytes);
        Err(refusal())
    }

    fn count(&mut self, bytes: usize) {
        self.bytes += bytes;
        self.owed.0.bytes.fetch_add(bytes, SeqCst);
        self.owed.0.node.bytes.fetch_add(bytes, SeqCst);
        measures::waits(bytes);
    }

    fn release(&mut self, bytes: usize) {
        if bytes == 0 {
            return;
        }
        self.bytes -= bytes;
        self.owed.0.bytes.fetch_sub(bytes, SeqCst);
        self.owed.0.node.bytes.fetch_sub(bytes, SeqCst);
        self.owed.0.room.notify_one();
        measures::left(bytes);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.release(self.bytes);
    }
}

/// What a call is told for which there is no room.
pub(crate) fn refusal() -> CallError {
    measures::refused();
    CallError::Busy("too many answers wait for clients to read them")
}

/// Keeps what an HTTP answer holds until its bytes are written.
pub(crate) fn until_written(mut response: HttpResponse) -> HttpResponse {
    match response.extensions_mut().remove::<Arc<Held>>() {
        Some(held) => response.map(|body| HttpBody::new(HeldBody { body, held })),
        None => response,
    }
}

struct HeldBody {
    body: HttpBody,
    held: Arc<Held>,
}

impl Body for HeldBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        let held = self.held.clone();
        // The server drops the bytes when it has written them, which is after the end of the body.
        let hold = |data| Bytes::from_owner(HeldBytes { data, _held: held });
        Poll::Ready(frame.map(|frame| frame.map(|frame| frame.map_data(hold))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

struct HeldBytes {
    data: Bytes,
    _held: Arc<Held>,
}

impl AsRef<[u8]> for HeldBytes {
    fn as_ref(&self) -> &[u8] {
        &self.data
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use futures::FutureExt;
    use tokio::task::unconstrained;

    use super::*;

    fn outflow() -> (Outflow, usize) {
        let config = RpcConfig { max_body: 1_000, max_response: 1 << 20, ..RpcConfig::default() };
        (Outflow::new(&config), OWED_BYTES + 1_000 + (1 << 20))
    }

    fn held(owed: &Owed, bytes: usize) -> Held {
        let mut held = owed.hold();
        held.add(bytes).unwrap();
        held
    }

    impl Outflow {
        /// What a connection that owes nothing yet may owe.
        fn room(&self) -> usize {
            let left = self.0.limit.saturating_sub(self.bytes());
            self.0.share.min(left / (OWED_ROOM + 1))
        }

        /// Connections that owe all they may, so many that others may owe no more than that.
        pub(crate) fn crowd(&self, most: usize) -> Vec<Held> {
            let mut all = Vec::new();
            while self.room() > most {
                all.push(held(&self.connection(), self.room()));
            }
            all
        }
    }

    #[test]
    fn a_connection_has_its_share() {
        let (outflow, share) = outflow();
        let owed = outflow.connection();
        let mut more = owed.hold();
        assert!(matches!(more.add(share + 1), Err(CallError::Busy(_))));
        assert_eq!(outflow.bytes(), 0, "what was refused is not counted");
        more.add(share).unwrap();
        assert!(owed.full() && owed.much());
        assert!(!outflow.connection().full(), "others have room");
        drop(more);
        assert!(!owed.full() && !owed.much());
        assert_eq!(outflow.bytes(), 0);
    }

    #[test]
    fn four_slow_readers_leave_room_for_a_fifth_client() {
        let outflow = Outflow::new(&RpcConfig::default());
        let mut slow = Vec::new();
        for _ in 0..4 {
            let (owed, room) = (outflow.connection(), outflow.room());
            slow.push(held(&owed, room));
            assert!(owed.hold().add(room.max(SMALL_ANSWER + 1)).is_err(), "it has all it may have");
        }
        let fifth = outflow.connection();
        assert!(!fifth.full());
        let answer = held(&fifth, 32 << 20);
        assert!(!fifth.full(), "and more");
        drop(answer);
        let _fifth = held(&fifth, outflow.room());
        let sixth = outflow.connection();
        assert!(!sixth.full());
        held(&sixth, 16 << 20);
    }

    #[test]
    fn all_together_have_a_limit() {
        let (outflow, share) = outflow();
        let all = outflow.crowd(SMALL_ANSWER - 1);
        assert!(outflow.bytes() <= OWED_SHARES * share);
        let other = outflow.connection();
        assert!(other.full());
        assert!(matches!(other.hold().add(SMALL_ANSWER + 1), Err(CallError::Busy(_))), "the node is full");
        other.hold().add(SMALL_ANSWER).unwrap();
        drop(all);
        assert!(!other.full());
        assert_eq!(outflow.bytes(), 0);
    }

    #[test]
    fn small_answers_are_small_all_together() {
        let (outflow, share) = outflow();
        let owed = outflow.connection();
        let _full = held(&owed, share);
        let mut batch = owed.hold();
        batch.add(SMALL_ANSWER).unwrap();
        assert!(batch.add(1).is_err());
    }

    #[tokio::test]
    async fn turns_wait_for_calls_and_bytes() {
        let (outflow, _) = outflow();
        let owed = outflow.connection();
        let mut turns = Vec::new();
        for _ in 0..OWED_CALLS {
            turns.push(owed.turn().await.unwrap());
        }
        // Tokio has a task that took so many turns at once pause.
        assert!(unconstrained(owed.turn()).now_or_never().is_none(), "one too many");
        turns.pop();
        let mut turn = unconstrained(owed.turn()).now_or_never().unwrap().unwrap();
        turn.add(OWED_BYTES).unwrap();
        turns.pop();
        let next = owed.turn();
        tokio::pin!(next);
        assert!(unconstrained(&mut next).now_or_never().is_none(), "there is a place and no room");
        drop(turn);
        next.await.unwrap();
        turns.clear();
        assert_eq!(outflow.bytes(), 0);
    }

    #[tokio::test]
    async fn a_body_is_held_until_its_bytes_are_dropped() {
        let (outflow, _) = outflow();
        let mut response = HttpResponse::new(HttpBody::from("answer"));
        response.extensions_mut().insert(Arc::new(held(&outflow.connection(), 6)));
        let mut body = until_written(response).into_body();
        assert_eq!(body.size_hint().exact(), Some(6));
        let frame = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await;
        drop(body);
        let data = frame.unwrap().unwrap().into_data().unwrap();
        assert_eq!((&data[..], outflow.bytes()), (&b"answer"[..], 6));
        drop(data);
        assert_eq!(outflow.bytes(), 0);
    }
}
