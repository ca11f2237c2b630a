//! The frames of a WebSocket: messages out of what a client sends, and what is written to it.
//!
//! soketto knows the heads of frames. Its connection is not used: it loses a message when a pong comes between the parts,
//! loses its place after one that comes in parts and is too large, takes memory for what a head only announces, and
//! answers no ping while something else is written.

use std::{
    fmt, io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
};

use jsonrpsee::types::{ErrorObject, ErrorObjectOwned};
use soketto::{
    Parsing,
    base::{self, Codec, Header, OpCode},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, BufWriter},
    sync::watch,
    time::timeout,
};

use crate::{
    errors::INVALID_REQUEST,
    http::too_large,
    limits::MESSAGE_TIMEOUT,
    outflow::{Owed, Turn},
};

/// Bytes of the longest head: two, eight for the length, four for the mask.
const MAX_HEAD: usize = 14;

/// What the close frame says; without a code it says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Close {
    code: Option<u16>,
    reason: &'static str,
}

impl Close {
    /// The server stops.
    pub(crate) const GOING_AWAY: Self = Self::because(1001, "the server stops");
    /// The client may come again, and begin anew.
    pub(crate) const FELL_BEHIND: Self = Self::because(1013, "a subscription could not be told everything in time");
    const PROTOCOL: Self = Self::because(1002, "no frame of a WebSocket was expected to look like this");
    const TOO_SLOW: Self = Self::because(1008, "a message did not arrive in time");

    const fn because(code: u16, reason: &'static str) -> Self {
        Self { code: Some(code), reason }
    }

    /// The answer to a close frame: its code, if it is one that may be sent.
    fn answering(payload: &[u8]) -> Self {
        let Some(&[high, low]) = payload.get(..2) else { return Self { code: None, reason: "" } };
        match u16::from_be_bytes([high, low]) {
            code @ (1000..=1003 | 1007..=1014 | 3000..=4999) => Self::because(code, ""),
            _ => Self::PROTOCOL,
        }
    }
}

/// Why no more messages come.
#[derive(Debug)]
pub(crate) enum Ending {
    /// The client has closed the WebSocket, or it is to be closed.
    Close(Close),
    /// The connection is gone.
    Gone(io::Error),
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Close(Close { code: Some(code), reason }) if !reason.is_empty() => write!(f, "{reason} ({code})"),
            Self::Close(_) => f.write_str("the client has closed it"),
            Self::Gone(error) => error.fmt(f),
        }
    }
}

impl From<io::Error> for Ending {
    fn from(error: io::Error) -> Self {
        Self::Gone(error)
    }
}

impl From<base::Error> for Ending {
    fn from(_: base::Error) -> Self {
        Self::Close(Close::PROTOCOL)
    }
}

/// What the one who reads tells the one who writes.
#[derive(Debug, Default)]
pub(crate) struct Signs {
    /// Something came from the client.
    heard: AtomicBool,
    /// Nothing is read, since there is no room.
    waits: AtomicBool,
    /// The last ping. Of several that are not answered yet one answer is enough.
    ping: watch::Sender<Vec<u8>>,
}

impl Signs {
    /// Whether the client gave a sign of life since this was asked last, or could not be heard.
    pub(crate) fn alive(&self) -> bool {
        self.heard.swap(false, SeqCst) || self.waits.load(SeqCst)
    }

    /// What pings from now on hold.
    pub(crate) fn pings(&self) -> watch::Receiver<Vec<u8>> {
        self.ping.subscribe()
    }

    fn hear(&self) {
        self.heard.store(true, SeqCst);
    }

    async fn turn(&self, owed: &Owed) -> Option<Turn> {
        self.waits.store(true, SeqCst);
        let turn = owed.turn().await;
        self.hear();
        self.waits.store(false, SeqCst);
        turn
    }
}

/// A message, or what to answer instead: it was skipped.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) turn: Turn,
    pub(crate) data: Result<Vec<u8>, ErrorObjectOwned>,
}

/// The messages of a client.
#[derive(Debug)]
pub(crate) struct Messages<R> {
    reader: BufReader<R>,
    codec: Codec,
    /// Bytes of a message.
    max: usize,
    signs: Arc<Signs>,
}

impl<R: AsyncRead + Unpin> Messages<R> {
    pub(crate) fn new(reader: R, max: usize, signs: Arc<Signs>) -> Self {
        Self { reader: BufReader::new(reader), codec: Codec::new(), max, signs }
    }

    /// The next message. It is read when there is room for it; pings are heard until it begins.
    pub(crate) async fn next(&mut self, owed: &Owed) -> Result<Message, Ending> {
        let first = self.data_frame().await?;
        if first.opcode() == OpCode::Continue {
            return Err(Ending::Close(Close::PROTOCOL));
        }
        let Some(mut turn) = self.signs.turn(owed).await else { return Err(Ending::Close(Close::GOING_AWAY)) };
        let read = timeout(MESSAGE_TIMEOUT, self.message(first, &mut turn)).await;
        let data = read.map_err(|_| Ending::Close(Close::TOO_SLOW))??;
        Ok(Message { turn, data })
    }

    /// All parts of a message.
    async fn message(
        &mut self,
        mut frame: Header,
        turn: &mut Turn,
    ) -> Result<Result<Vec<u8>, ErrorObjectOwned>, Ending> {
        let mut message = Ok(Vec::new());
        loop {
            self.payload(&frame, turn, &mut message).await?;
            if frame.is_fin() {
                return Ok(message);
            }
            frame = self.data_frame().await?;
            if frame.opcode() != OpCode::Continue {
                return Err(Ending::Close(Close::PROTOCOL));
            }
        }
    }

    /// Appends what a frame holds. Memory is taken for what has come, and counted; without room for it, the rest of the
    /// message is only read.
    async fn payload(
        &mut self,
        frame: &Header,
        turn: &mut Turn,
        message: &mut Result<Vec<u8>, ErrorObjectOwned>,
    ) -> Result<(), Ending> {
        let mut left = frame.payload_len();
        let begin = message.as_ref().map_or(0, Vec::len);
        if message.is_ok() && begin.saturating_add(left) > self.max {
            let text = too_large(self.max as u64);
            *message = Err(ErrorObject::owned(INVALID_REQUEST, text, None::<()>));
        }
        while left > 0 {
            let bytes = self.reader.fill_buf().await?;
            if bytes.is_empty() {
                return Err(Ending::Gone(io::ErrorKind::UnexpectedEof.into()));
            }
            let count = bytes.len().min(left);
            if let Ok(data) = message {
                match turn.add(count) {
                    Ok(()) => data.extend_from_slice(&bytes[..count]),
                    Err(error) => *message = Err(error.into()),
                }
            }
            self.reader.consume(count);
            self.signs.hear();
            left -= count;
        }
        match message {
            Ok(data) => Codec::apply_mask(frame, &mut data[begin..]),
            Err(_) => turn.clear(),
        }
        Ok(())
    }

    /// The head of the next frame of a message; what comes before it is dealt with.
    async fn data_frame(&mut self) -> Result<Header, Ending> {
        loop {
            let head = self.head().await?;
            self.signs.hear();
            if !head.opcode().is_control() {
                return Ok(head);
            }
            // At most 125 bytes.
            let mut payload = vec![0; head.payload_len()];
            self.reader.read_exact(&mut payload).await?;
            Codec::apply_mask(&head, &mut payload);
            match head.opcode() {
                OpCode::Ping => drop(self.signs.ping.send_replace(payload)),
                OpCode::Close => return Err(Ending::Close(Close::answering(&payload))),
                _ => {}
            }
        }
    }

    async fn head(&mut self) -> Result<Header, Ending> {
        let mut bytes = [0; MAX_HEAD];
        let (mut have, mut more) = (0, 2);
        loop {
            self.reader.read_exact(&mut bytes[have..have + more]).await?;
            have += more;
            match self.codec.decode_header(&bytes[..have])? {
                Parsing::Done { value, .. } => return Ok(value),
                Parsing::NeedMore(count) => more = count,
            }
        }
    }
}

/// Writes frames.
#[derive(Debug)]
pub(crate) struct Frames<W> {
    writer: BufWriter<W>,
    codec: Codec,
}

impl<W: AsyncWrite + Unpin> Frames<W> {
    pub(crate) fn new(writer: W) -> Self {
        Self { writer: BufWriter::new(writer), codec: Codec::new() }
    }

    pub(crate) async fn send(&mut self, opcode: OpCode, payload: &[u8]) -> io::Result<()> {
        let mut head = Header::new(opcode);
        head.set_payload_len(payload.len());
        self.writer.write_all(self.codec.encode_header(&head)).await?;
        self.writer.write_all(payload).await?;
        self.writer.flush().await
    }

    /// The last frame, and the end of the connection.
    pub(crate) async fn close(&mut self, close: Close) -> io::Result<()> {
        let mut payload = Vec::new();
        if let Some(code) = close.code {
            payload.extend_from_slice(&code.to_be_bytes());
            payload.extend_from_slice(close.reason.as_bytes());
        }
        self.send(OpCode::Close, &payload).await?;
        self.writer.shutdown().await
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use futures::poll;
    use tokio::io::{DuplexStream, duplex};

    use super::*;
    use crate::{config::RpcConfig, limits::OWED_CALLS, outflow::Outflow};

    struct Client {
        socket: DuplexStream,
        messages: Messages<DuplexStream>,
        signs: Arc<Signs>,
        outflow: Outflow,
        owed: Owed,
    }

    fn client(max: usize) -> Client {
        let (socket, server) = duplex(1 << 20);
        let signs = Arc::new(Signs::default());
        let outflow = Outflow::new(&RpcConfig::default());
        let (messages, owed) = (Messages::new(server, max, signs.clone()), outflow.connection());
        Client { socket, messages, signs, outflow, owed }
    }

    impl Client {
        /// The head of a frame, and as much of it as is given.
        async fn send_some(&mut self, opcode: OpCode, fin: bool, length: usize, payload: &[u8]) {
            let mut head = Header::new(opcode);
            head.set_fin(fin).set_masked(true).set_mask(0x0102_0304).set_payload_len(length);
            let mut payload = payload.to_vec();
            Codec::apply_mask(&head, &mut payload);
            self.socket.write_all(Codec::new().encode_header(&head)).await.unwrap();
            self.socket.write_all(&payload).await.unwrap();
        }

        async fn send(&mut self, opcode: OpCode, fin: bool, payload: &[u8]) {
            self.send_some(opcode, fin, payload.len(), payload).await;
        }

        async fn next(&mut self) -> Result<Vec<u8>, i32> {
            let message = self.messages.next(&self.owed).await.unwrap();
            message.data.map_err(|error| error.code())
        }

        async fn end(&mut self) -> Ending {
            self.messages.next(&self.owed).await.unwrap_err()
        }
    }

    #[tokio::test]
    async fn pings_and_pongs_come_between_the_parts_of_a_message() {
        let mut client = client(100);
        let mut pings = client.signs.pings();
        client.send(OpCode::Text, false, b"first, ").await;
        client.send(OpCode::Pong, true, b"").await;
        client.send(OpCode::Continue, false, b"").await;
        client.send(OpCode::Ping, true, b"are you there").await;
        client.send(OpCode::Continue, true, b"last").await;
        assert_eq!(client.next().await.unwrap(), b"first, last");
        assert_eq!(pings.borrow_and_update().as_slice(), b"are you there");
        client.send(OpCode::Binary, true, b"binary").await;
        assert_eq!(client.next().await.unwrap(), b"binary");
    }

    #[tokio::test]
    async fn what_is_too_large_is_skipped_to_its_end_in_parts_or_not() {
        let mut client = client(4);
        client.send(OpCode::Text, false, b"abc").await;
        client.send(OpCode::Continue, false, b"defghijkl").await;
        client.send(OpCode::Pong, true, b"").await;
        client.send(OpCode::Continue, true, b"m").await;
        client.send(OpCode::Text, true, b"abcde").await;
        client.send(OpCode::Text, true, b"abcd").await;
        assert_eq!(client.next().await, Err(INVALID_REQUEST));
        assert_eq!(client.next().await, Err(INVALID_REQUEST));
        assert_eq!(client.next().await.unwrap(), b"abcd");
        assert_eq!(client.outflow.bytes(), 0);
    }

    #[tokio::test]
    async fn what_has_come_is_counted_and_not_what_is_announced() {
        let mut client = client(1 << 20);
        client.send_some(OpCode::Text, true, 1 << 20, &[7; 3_000]).await;
        let Client { messages, owed, outflow, .. } = &mut client;
        {
            let next = messages.next(owed);
            tokio::pin!(next);
            assert!(poll!(&mut next).is_pending());
            assert_eq!(outflow.bytes(), 3_000);
        }
        assert_eq!(outflow.bytes(), 0, "given up");
    }

    #[tokio::test]
    async fn without_room_in_the_node_a_message_is_skipped() {
        let mut client = client(1 << 20);
        let _others = client.outflow.crowd(50_000);
        client.send(OpCode::Text, true, &[b' '; 100_000]).await;
        client.send(OpCode::Text, true, b"small").await;
        assert_eq!(client.next().await, Err(crate::errors::LIMIT_EXCEEDED));
        assert_eq!(client.next().await.unwrap(), b"small");
    }

    #[tokio::test]
    async fn pings_and_the_end_are_heard_while_all_turns_are_taken() {
        let mut client = client(100);
        let mut turns = Vec::new();
        for _ in 0..OWED_CALLS {
            turns.push(client.owed.turn().await.unwrap());
        }
        let mut pings = client.signs.pings();
        client.send(OpCode::Ping, true, b"ping").await;
        client.send(OpCode::Close, true, &1000u16.to_be_bytes()).await;
        let Ending::Close(close) = client.end().await else { panic!("it was closed") };
        assert_eq!(close, Close::because(1000, ""));
        assert_eq!(pings.borrow_and_update().as_slice(), b"ping");
    }

    #[tokio::test]
    async fn who_cannot_be_heard_is_alive() {
        let mut client = client(100);
        let turns: Vec<_> = futures::future::join_all((0..OWED_CALLS).map(|_| client.owed.turn())).await;
        assert!(!client.signs.alive());
        client.send(OpCode::Text, true, b"wait").await;
        let Client { messages, owed, signs, .. } = &mut client;
        let next = messages.next(owed);
        tokio::pin!(next);
        assert!(poll!(&mut next).is_pending());
        assert!(signs.alive() && signs.alive());
        drop(turns);
        assert_eq!(next.await.unwrap().data.unwrap(), b"wait");
        assert!(signs.alive());
        assert!(!signs.alive());
    }

    #[tokio::test]
    async fn what_is_no_message_is_a_mistake() {
        let lonely: &[(OpCode, bool)] = &[(OpCode::Continue, true)];
        let begun_again: &[(OpCode, bool)] = &[(OpCode::Text, false), (OpCode::Text, true)];
        let unknown: &[(OpCode, bool)] = &[(OpCode::Reserved3, true)];
        let control_in_parts: &[(OpCode, bool)] = &[(OpCode::Ping, false)];
        for frames in [lonely, begun_again, unknown, control_in_parts] {
            let mut client = client(100);
            for (opcode, fin) in frames {
                client.send(*opcode, *fin, b"x").await;
            }
            let Ending::Close(close) = client.end().await else { panic!("{frames:?}") };
            assert_eq!(close, Close::PROTOCOL, "{frames:?}");
        }
        let mut client = client(100);
        client.send_some(OpCode::Text, true, 10, b"half").await;
        client.socket.shutdown().await.unwrap();
        assert!(matches!(client.end().await, Ending::Gone(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_has_its_time() {
        let mut client = client(100);
        client.send_some(OpCode::Text, true, 10, b"half").await;
        let Ending::Close(close) = client.end().await else { panic!("it is too slow") };
        assert_eq!(close, Close::TOO_SLOW);
    }

    #[test]
    fn only_codes_that_may_be_sent_are_sent_back() {
        assert_eq!(Close::answering(b""), Close { code: None, reason: "" });
        assert_eq!(Close::answering(&4000u16.to_be_bytes()).code, Some(4000));
        for code in [0, 999, 1005, 1006, 1015, 5000u16] {
            assert_eq!(Close::answering(&code.to_be_bytes()).code, Some(1002), "{code}");
        }
        for close in [Close::GOING_AWAY, Close::FELL_BEHIND, Close::PROTOCOL, Close::TOO_SLOW] {
            assert!(close.reason.len() <= 123, "a control frame is small");
        }
    }
}
