//! WebSocket: reading calls, carrying them out beside each other, and writing their answers and what subscriptions tell.
//!
//! The transport is this crate's own: jsonrpsee's reads on whatever waits to be written. Here a message is read when
//! there is room for its answer, and its turn ends when the answer is written (see `outflow`).

use std::{
    hash::{BuildHasher, RandomState},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use futures::{
    FutureExt,
    future::{BoxFuture, ready},
    io::{BufReader, BufWriter},
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
        ErrorCode, ErrorObject, Extensions, Id, InvalidRequest, Params, Request, SubscriptionId,
        error::{reject_too_big_batch_request, reject_too_many_subscriptions},
    },
};
use serde_json::value::RawValue;
use soketto::{Incoming, Receiver, Sender, connection::Error, data::ByteSlice125, handshake::http::Server};
use tokio::{
    sync::mpsc::{self, UnboundedReceiver, UnboundedSender},
    time::MissedTickBehavior,
};
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt};

use crate::{
    config::RpcConfig,
    errors::INVALID_REQUEST,
    http::{plain, too_large, unreadable},
    limits::{PING_INTERVAL, PING_TIMEOUT, SUBSCRIPTION_BUFFER},
    middleware::{Gate, Rules},
    outflow::{Held, Owed, Turn},
    server::Place,
};

type Stream = BufReader<BufWriter<Compat<TokioIo<Upgraded>>>>;

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
        let mut handshake = Server::new();
        match handshake.receive_request(&request) {
            Ok(response) => {
                let upgraded = hyper::upgrade::on(&mut request);
                let extensions = request.into_parts().0.extensions;
                tokio::spawn(self.serve(upgraded, handshake, extensions));
                response.map(|()| HttpBody::empty())
            }
            Err(error) => plain(StatusCode::BAD_REQUEST, &format!("The WebSocket cannot be opened: {error}.\n")),
        }
    }

    async fn serve(self, upgraded: OnUpgrade, handshake: Server, extensions: Extensions) {
        let upgraded = match upgraded.await {
            Ok(upgraded) => upgraded,
            Err(error) => {
                tracing::debug!(target: "assent::rpc", %error, "a WebSocket was not opened");
                return;
            }
        };
        let mut builder = handshake.into_builder(BufReader::new(BufWriter::new(TokioIo::new(upgraded).compat())));
        builder.set_max_message_size(self.sockets.max_body);
        let (sender, receiver) = builder.finish();
        let (answers, answered) = mpsc::unbounded_channel();
        let (told, messages) = mpsc::channel(SUBSCRIPTION_BUFFER as usize);
        let gate = Gate::new(Dispatch::new(self.sockets.clone(), told), self.sockets.rules.clone());
        let session = Session { gate, extensions, sockets: self.sockets.clone(), answers };
        let write = write(sender, answered, messages);
        tokio::pin!(write);
        let end = tokio::select! {
            end = read(receiver, session, &self.owed) => end,
            Err(error) = &mut write => {
                tracing::debug!(target: "assent::rpc", %error, "a WebSocket could not be written");
                End::Gone
            }
        };
        // Calls that run when the server stops are answered. Of a client that is gone nothing is kept.
        if let End::Stopped = end {
            let _ = write.await;
        }
        drop(self.place);
    }
}

/// Why a WebSocket is not read any more.
enum End {
    /// The server stops.
    Stopped,
    /// The client is gone, or does not keep to the protocol.
    Gone,
}

/// Reads messages, each when there is room for it.
async fn read(mut receiver: Receiver<Stream>, session: Session, owed: &Owed) -> End {
    let session = Arc::new(session);
    let stopped = session.sockets.stop.clone().shutdown();
    tokio::pin!(stopped);
    loop {
        let next = tokio::select! {
            message = next(&mut receiver, owed) => message,
            () = &mut stopped => return End::Stopped,
        };
        let Some((turn, message)) = next else { return End::Gone };
        match message {
            Message::Whole(data) => {
                let session = session.clone();
                tokio::spawn(async move { session.carry_out(data, turn).await });
            }
            Message::TooLarge => {
                let error = ErrorObject::owned(INVALID_REQUEST, too_large(session.sockets.max_body as u64), None::<()>);
                session.send(MethodResponse::error(Id::Null, error), turn);
            }
        }
    }
}

enum Message {
    Whole(Vec<u8>),
    /// It was skipped.
    TooLarge,
}

/// The next message; none if the connection is to end.
async fn next(receiver: &mut Receiver<Stream>, owed: &Owed) -> Option<(Turn, Message)> {
    let mut turn = owed.turn().await?;
    let mut data = Vec::new();
    loop {
        match tokio::time::timeout(PING_TIMEOUT, receiver.receive(&mut data)).await {
            Ok(Ok(Incoming::Data(_))) => break,
            Ok(Ok(Incoming::Pong(_))) => {}
            Ok(Ok(Incoming::Closed(_)) | Err(Error::Closed)) => return None,
            Ok(Err(Error::MessageTooLarge { .. })) => return Some((turn, Message::TooLarge)),
            Ok(Err(error)) => {
                tracing::debug!(target: "assent::rpc", %error, "a WebSocket could not be read");
                return None;
            }
            Err(_) => {
                tracing::debug!(target: "assent::rpc", "a WebSocket does not answer pings");
                return None;
            }
        }
    }
    turn.count(data.len());
    Some((turn, Message::Whole(data)))
}

/// An answer that is to be written, and what it holds until then.
struct Answer {
    json: Box<RawValue>,
    held: Option<Arc<Held>>,
    turn: Turn,
}

/// Writes answers and messages of subscriptions, and pings. Ends well when there will be no further answer.
async fn write(
    mut sender: Sender<Stream>,
    mut answers: UnboundedReceiver<Answer>,
    mut messages: mpsc::Receiver<Box<RawValue>>,
) -> Result<(), Error> {
    let mut pings = tokio::time::interval(PING_INTERVAL);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            answer = answers.recv() => {
                let Some(Answer { json, held, turn }) = answer else { break };
                // What was told before comes before: nothing of a subscription after the answer that it has ended.
                for _ in 0..messages.len() {
                    let Ok(message) = messages.try_recv() else { break };
                    send(&mut sender, message).await?;
                }
                send(&mut sender, json).await?;
                drop((held, turn));
            }
            Some(message) = messages.recv() => send(&mut sender, message).await?,
            _ = pings.tick() => {
                let nothing: &[u8] = &[];
                if let Ok(nothing) = ByteSlice125::try_from(nothing) {
                    sender.send_ping(nothing).await?;
                    sender.flush().await?;
                }
            }
        }
    }
    sender.close().await
}

async fn send(sender: &mut Sender<Stream>, json: Box<RawValue>) -> Result<(), Error> {
    sender.send_text_owned(String::from(Box::<str>::from(json))).await?;
    sender.flush().await
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
