//! WebSocket: reading calls, carrying them out beside each other, and writing their answers and what subscriptions tell.
//!
//! The transport is this crate's own: jsonrpsee's reads on whatever waits to be written. Here a message is read when
//! there is room for its answer, and its turn ends when the answer is written (see `frames` and `outflow`).

use std::{
    hash::{BuildHasher, RandomState},
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use futures::{
    FutureExt,
    future::{BoxFuture, ready},
};
use hyper::{
    StatusCode,
    upgrade::{OnUpgrade, Upgraded},
};
use hyper_util::rt::TokioIo;
use jsonrpsee::{
    BatchResponseBuilder, BoundedSubscriptions, ConnectionId, MethodCallback, MethodResponse, MethodSink,
    SubscriptionState,
    core::middleware::{Batch, BatchEntry, BatchEntryErr, Notification, RpcServiceT},
    server::{HttpBody, HttpRequest, HttpResponse, IdProvider, StopHandle},
    types::{
        ErrorCode, Extensions, Id, InvalidRequest, Params, Request, SubscriptionId,
        error::{reject_too_big_batch_request, reject_too_many_subscriptions},
    },
};
use serde_json::value::RawValue;
use soketto::{base::OpCode, handshake::http::Server};
use tokio::{
    io::{ReadHalf, WriteHalf},
    sync::{
        mpsc::{self, UnboundedReceiver, UnboundedSender},
        oneshot,
    },
    time::{MissedTickBehavior, timeout},
};

use crate::{
    config::RpcConfig,
    eth::subscriptions::Outbox,
    frames::{Close, Ending, Frames, Message, Messages, Signs},
    http::{plain, unreadable},
    limits::{CLOSE_TIMEOUT, MAX_SILENT_PINGS, PING_INTERVAL, SUBSCRIPTION_BUFFER},
    middleware::{Gate, Rules},
    outflow::{Held, Owed, Turn},
    server::Place,
};

type Stream = TokioIo<Upgraded>;

/// What all WebSockets share.
#[derive(Debug)]
pub(crate) struct WebSockets {
    rules: Arc<Rules>,
    max_body: usize,
    max_batch: usize,
    max_subscriptions: u32,
    ids: HexIds,
    connections: AtomicUsize,
    stop: StopHandle,
}

impl WebSockets {
    pub(crate) fn new(config: &RpcConfig, rules: Arc<Rules>, stop: StopHandle) -> Self {
        Self {
            rules,
            max_body: config.max_body as usize,
            max_batch: config.max_batch as usize,
            max_subscriptions: config.max_subscriptions,
            ids: HexIds::default(),
            connections: AtomicUsize::new(0),
            stop,
        }
    }
}

/// Subscription ids as Geth gives them: hex strings without order. A client only ever reaches its
/// own, so nothing depends on how hard they are to guess.
#[derive(Debug, Default)]
struct HexIds(AtomicU64);

impl IdProvider for HexIds {
    fn next_id(&self) -> SubscriptionId<'static> {
        let next = self.0.fetch_add(1, Ordering::Relaxed);
        format!("{:#x}", RandomState::new().hash_one(next)).into()
    }
}

/// What a WebSocket takes over from its connection, in the extensions of the request that opens it.
#[derive(Clone, Debug)]
pub(crate) struct Upgrade {
    pub(crate) sockets: Arc<WebSockets>,
    pub(crate) owed: Owed,
    pub(crate) place: Arc<Place>,
}

impl Upgrade {
    /// Answers the request that opens a WebSocket, and serves it from then on.
    pub(crate) fn open(self, mut request: HttpRequest) -> HttpResponse {
        match Server::new().receive_request(&request) {
            Ok(response) => {
                let upgraded = hyper::upgrade::on(&mut request);
                let extensions = request.into_parts().0.extensions;
                tokio::spawn(self.serve(upgraded, extensions));
                response.map(|()| HttpBody::empty())
            }
            Err(error) => plain(StatusCode::BAD_REQUEST, &format!("The WebSocket cannot be opened: {error}.\n")),
        }
    }

    async fn serve(self, upgraded: OnUpgrade, extensions: Extensions) {
        let upgraded = match upgraded.await {
            Ok(upgraded) => upgraded,
            Err(error) => {
                tracing::debug!(target: "assent::rpc", %error, "a WebSocket was not opened");
                return;
            }
        };
        let (reader, writer) = tokio::io::split(TokioIo::new(upgraded));
        let signs = Arc::new(Signs::default());
        let received = Messages::new(reader, self.sockets.max_body, signs.clone());
        let (answers, answered) = mpsc::unbounded_channel();
        let (told, messages) = mpsc::channel(SUBSCRIPTION_BUFFER as usize);
        let (close, closing) = oneshot::channel();
        let outbox = extensions.get::<Outbox>().cloned().unwrap_or_default();
        let gate = Gate::new(Dispatch::new(self.sockets.clone(), told), self.sockets.rules.clone());
        let session = Session { gate, extensions, sockets: self.sockets.clone(), answers };
        let write = write(Frames::new(writer), answered, messages, &signs, closing);
        tokio::pin!(write);
        let end = tokio::select! {
            end = read(received, session, &self.owed) => end,
            () = outbox.lost() => End::Ended(Ending::Close(Close::FELL_BEHIND)),
            Err(error) = &mut write => End::Ended(Ending::Gone(error)),
        };
        match end {
            // Calls that run when the server stops are answered.
            End::Stopped => {
                let _ = write.await;
            }
            End::Ended(ending) => {
                tracing::debug!(target: "assent::rpc", %ending, "a WebSocket ends");
                // Of a client that is gone nothing is kept.
                if let Ending::Close(why) = ending {
                    let _ = close.send(why);
                    let _ = timeout(CLOSE_TIMEOUT, write).await;
                }
            }
        }
        drop(self.place);
    }
}

/// Why a WebSocket is not read any more.
enum End {
    /// The server stops.
    Stopped,
    /// This one ends.
    Ended(Ending),
}

/// Reads messages, each when there is room for it.
async fn read(mut messages: Messages<ReadHalf<Stream>>, session: Session, owed: &Owed) -> End {
    let session = Arc::new(session);
    let stopped = session.sockets.stop.clone().shutdown();
    tokio::pin!(stopped);
    loop {
        let next = tokio::select! {
            message = messages.next(owed) => message,
            () = &mut stopped => return End::Stopped,
        };
        match next {
            Ok(Message { turn, data: Ok(data) }) => {
                let session = session.clone();
                tokio::spawn(async move { session.carry_out(data, turn).await });
            }
            Ok(Message { turn, data: Err(error) }) => session.send(MethodResponse::error(Id::Null, error), turn),
            Err(ending) => return End::Ended(ending),
        }
    }
}

/// An answer that is to be written, and what it holds until then.
struct Answer {
    json: Box<RawValue>,
    held: Option<Arc<Held>>,
    turn: Turn,
}

/// Writes answers and messages of subscriptions, pings, and answers to pings. Ends well when it is told to, or when there
/// will be no further answer.
async fn write(
    mut frames: Frames<WriteHalf<Stream>>,
    mut answers: UnboundedReceiver<Answer>,
    mut messages: mpsc::Receiver<Box<RawValue>>,
    signs: &Signs,
    mut closing: oneshot::Receiver<Close>,
) -> io::Result<()> {
    let mut pings = tokio::time::interval(PING_INTERVAL);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut heard, mut silent) = (signs.pings(), 0);
    let close = loop {
        tokio::select! {
            answer = answers.recv() => {
                // There is none when the server stops, or when there is another reason to close.
                let Some(Answer { json, held, turn }) = answer else {
                    break closing.try_recv().unwrap_or(Close::GOING_AWAY);
                };
                // What was told before comes before: nothing of a subscription after the answer that it has ended.
                for _ in 0..messages.len() {
                    let Ok(message) = messages.try_recv() else { break };
                    send(&mut frames, &message).await?;
                }
                send(&mut frames, &json).await?;
                drop((json, held, turn));
            }
            Some(message) = messages.recv() => send(&mut frames, &message).await?,
            Ok(()) = heard.changed() => {
                let ping = heard.borrow_and_update().clone();
                frames.send(OpCode::Pong, &ping).await?;
            }
            Ok(close) = &mut closing => break close,
            _ = pings.tick() => {
                // Only pings that were sent count: while an answer is being written there are none.
                silent = if signs.alive() { 0 } else { silent + 1 };
                if silent > MAX_SILENT_PINGS {
                    return Err(io::Error::new(io::ErrorKind::TimedOut, "it does not answer pings"));
                }
                frames.send(OpCode::Ping, &[]).await?;
            }
        }
    };
    frames.close(close).await
}

async fn send(frames: &mut Frames<WriteHalf<Stream>>, json: &RawValue) -> io::Result<()> {
    frames.send(OpCode::Text, json.get().as_bytes()).await
}

/// What the messages of a WebSocket share.
struct Session {
    gate: Gate<Dispatch>,
    extensions: Extensions,
    sockets: Arc<WebSockets>,
    answers: UnboundedSender<Answer>,
}

impl Session {
    async fn carry_out(&self, data: Vec<u8>, turn: Turn) {
        let answer = tokio::select! {
            answer = self.answer(&data) => answer,
            // The client is gone: nobody wants to know.
            () = self.answers.closed() => return,
        };
        drop(data);
        // Notifications have no answer, and subscriptions have given theirs.
        if answer.is_method_call() || answer.is_batch() {
            self.send(answer, turn);
        }
    }

    /// At most as many answers wait here as there are turns.
    fn send(&self, answer: MethodResponse, turn: Turn) {
        let (json, _, mut extensions) = answer.into_parts();
        let held = extensions.remove::<Arc<Held>>();
        // It fails when the client is gone.
        let _ = self.answers.send(Answer { json, held, turn });
    }

    async fn answer(&self, data: &[u8]) -> MethodResponse {
        match data.iter().find(|byte| !byte.is_ascii_whitespace()) {
            Some(b'{') => self.one(data).await,
            Some(b'[') => self.batch(data).await,
            _ => unreadable(data),
        }
    }

    async fn one(&self, data: &[u8]) -> MethodResponse {
        if let Ok(mut request) = serde_json::from_slice::<Request<'_>>(data) {
            request.extensions = self.extensions.clone();
            return self.gate.call(request).await;
        }
        match serde_json::from_slice::<Notification<'_>>(data) {
            Ok(notification) => self.gate.notification(notification).await,
            Err(_) => unreadable(data),
        }
    }

    async fn batch(&self, data: &[u8]) -> MethodResponse {
        let Ok(entries) = serde_json::from_slice::<Vec<&RawValue>>(data) else { return unreadable(data) };
        let most = self.sockets.max_batch;
        if entries.len() > most {
            return MethodResponse::error(Id::Null, reject_too_big_batch_request(most));
        }
        let entries = entries.into_iter().map(|entry| self.entry(entry.get())).collect();
        self.gate.batch(Batch::from(entries)).await
    }

    fn entry<'a>(&self, entry: &'a str) -> Result<BatchEntry<'a>, BatchEntryErr<'a>> {
        if let Ok(mut request) = serde_json::from_str::<Request<'a>>(entry) {
            request.extensions = self.extensions.clone();
            return Ok(BatchEntry::Call(request));
        }
        if let Ok(notification) = serde_json::from_str::<Notification<'a>>(entry) {
            return Ok(BatchEntry::Notification(notification));
        }
        let id = serde_json::from_str::<InvalidRequest<'a>>(entry).map_or(Id::Null, |request| request.id);
        Err(BatchEntryErr::new(id, ErrorCode::InvalidRequest.into()))
    }
}

/// Hands the calls of one WebSocket to their methods, when the gate has let them through.
#[derive(Clone, Debug)]
struct Dispatch {
    sockets: Arc<WebSockets>,
    connection: ConnectionId,
    subscriptions: BoundedSubscriptions,
    sink: MethodSink,
}

impl Dispatch {
    fn new(sockets: Arc<WebSockets>, messages: mpsc::Sender<Box<RawValue>>) -> Self {
        let connection = ConnectionId(sockets.connections.fetch_add(1, Ordering::Relaxed));
        let subscriptions = BoundedSubscriptions::new(sockets.max_subscriptions);
        Self { sockets, connection, subscriptions, sink: MethodSink::new(messages) }
    }

    fn begin(&self, request: Request<'_>) -> BoxFuture<'static, MethodResponse> {
        let Request { id, method, params, extensions, .. } = request;
        let params = Params::new(params.as_ref().map(|params| params.get()));
        let (connection, max) = (self.connection, self.sockets.rules.max_response);
        match self.sockets.rules.methods.method_with_name(&method) {
            Some((_, MethodCallback::Async(method))) => {
                method(id.into_owned(), params.into_owned(), connection, max, extensions)
            }
            Some((_, MethodCallback::Sync(method))) => ready(method(id, params, max, extensions)).boxed(),
            Some((_, MethodCallback::Unsubscription(method))) => {
                ready(method(id, params, connection, max, extensions)).boxed()
            }
            Some((_, MethodCallback::Subscription(method))) => match self.subscriptions.acquire() {
                Some(subscription_permit) => {
                    let id_provider: &dyn IdProvider = &self.sockets.ids;
                    let state = SubscriptionState { conn_id: connection, id_provider, subscription_permit };
                    method(id, params, self.sink.clone(), state, extensions)
                }
                None => {
                    let error = reject_too_many_subscriptions(self.subscriptions.max());
                    ready(MethodResponse::error(id, error)).boxed()
                }
            },
            None => ready(MethodResponse::error(id, ErrorCode::MethodNotFound)).boxed(),
        }
    }
}

impl RpcServiceT for Dispatch {
    type MethodResponse = MethodResponse;
    type NotificationResponse = MethodResponse;
    type BatchResponse = MethodResponse;

    fn call<'a>(&self, request: Request<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        let dispatch = self.clone();
        async move { dispatch.begin(request).await }
    }

    /// The gate hands the calls of a batch over one by one.
    fn batch<'a>(&self, batch: Batch<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        let dispatch = self.clone();
        async move {
            let mut answers = BatchResponseBuilder::new_with_limit(dispatch.sockets.rules.max_response);
            for entry in batch {
                let answer = match entry {
                    Ok(BatchEntry::Call(request)) => dispatch.begin(request).await,
                    Ok(BatchEntry::Notification(_)) => continue,
                    Err(entry) => {
                        let (error, id) = entry.into_parts();
                        MethodResponse::error(id, error)
                    }
                };
                if let Err(too_large) = answers.append(answer) {
                    return too_large;
                }
            }
            MethodResponse::from_batch(answers.finish())
        }
    }

    fn notification<'a>(&self, _: Notification<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        ready(MethodResponse::notification())
    }
}
