//! What happens to every call before and after its method: the rate limit, the answer to unknown
//! methods, the deadline, the metric and the access log.
//!
//! It works on calls, after HTTP or WebSocket and JSON have been decoded; what concerns HTTP is in
//! `http`.

use std::{
    net::IpAddr,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{FutureExt, future::join_all};
use jsonrpsee::{
    BatchResponseBuilder, MethodCallback, MethodResponse, Methods,
    core::middleware::{Batch, BatchEntry, Notification, RpcServiceT},
    types::{ErrorObjectOwned, Id, Request},
};

use crate::{
    errors::{CallError, INVALID_REQUEST},
    measures,
    outflow::{self, Held, Owed},
    rate_limit::RateLimiter,
};

/// The client, in the extensions of each of its requests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    pub(crate) address: IpAddr,
    /// Whether it can be told things that it did not ask for.
    pub(crate) websocket: bool,
}

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Rules {
    /// The methods that are offered.
    pub(crate) methods: Methods,
    /// Calls per address, if limited.
    pub(crate) limiter: Option<RateLimiter>,
    /// Time of a call or of a whole batch.
    pub(crate) timeout: Duration,
    /// Bytes of an answer.
    pub(crate) max_response: usize,
}

/// Puts [`Gate`] around the service of each connection.
#[derive(Clone, Debug)]
pub(crate) struct GateLayer(pub(crate) Arc<Rules>);

impl<S> tower::Layer<S> for GateLayer {
    type Service = Gate<S>;

    fn layer(&self, inner: S) -> Gate<S> {
        Gate::new(inner, self.0.clone())
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Gate<S> {
    inner: S,
    rules: Arc<Rules>,
}

impl<S> Gate<S> {
    pub(crate) fn new(inner: S, rules: Arc<Rules>) -> Self {
        Self { inner, rules }
    }
}

impl<S> RpcServiceT for Gate<S>
where
    S: RpcServiceT<
            MethodResponse = MethodResponse,
            BatchResponse = MethodResponse,
            NotificationResponse = MethodResponse,
        > + Clone
        + Send
        + Sync
        + 'static,
{
    type MethodResponse = MethodResponse;
    type NotificationResponse = MethodResponse;
    type BatchResponse = MethodResponse;

    fn call<'a>(&self, request: Request<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        let gate = self.clone();
        async move {
            let deadline = Instant::now() + gate.rules.timeout;
            let held = request.extensions.get::<Owed>().map(Owed::hold);
            let id = request.id.clone().into_owned();
            owe(gate.one(request, deadline, false).await, id, held)
        }
    }

    /// One after the other, as Geth does: a call may count on those before it. Only transactions that follow each other
    /// are handed over together, in their order: the node admits and spreads them in one go.
    fn batch<'a>(&self, batch: Batch<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        let gate = self.clone();
        async move {
            let deadline = Instant::now() + gate.rules.timeout;
            let held = batch.iter().flatten().find_map(|entry| entry.extensions().get::<Owed>().map(Owed::hold));
            let mut answers = BatchAnswer::new(gate.rules.max_response, held);
            let mut notified = false;
            let mut transactions = Vec::new();
            for entry in batch {
                let entry = match entry {
                    Ok(BatchEntry::Call(request)) if request.method_name() == "eth_sendRawTransaction" => {
                        transactions.push(gate.one(request, deadline, true));
                        continue;
                    }
                    other => other,
                };
                for answer in join_all(transactions.drain(..)).await {
                    if let Err(too_large) = answers.append(answer) {
                        return too_large;
                    }
                }
                let answer = match entry {
                    Ok(BatchEntry::Call(request)) => gate.one(request, deadline, true).await,
                    Ok(BatchEntry::Notification(_)) => {
                        notified = true;
                        continue;
                    }
                    Err(entry) => {
                        let (error, id) = entry.into_parts();
                        MethodResponse::error(id, error)
                    }
                };
                if let Err(too_large) = answers.append(answer) {
                    return too_large;
                }
            }
            for answer in join_all(transactions).await {
                if let Err(too_large) = answers.append(answer) {
                    return too_large;
                }
            }
            answers.finish(notified)
        }
    }

    /// A call without id wants no answer; as in Geth it is not carried out either.
    fn notification<'a>(&self, notification: Notification<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        self.inner.notification(notification)
    }
}

impl<S> Gate<S>
where
    S: RpcServiceT<MethodResponse = MethodResponse> + Send + Sync,
{
    async fn one(&self, request: Request<'_>, deadline: Instant, in_batch: bool) -> MethodResponse {
        let start = Instant::now();
        let peer = request.extensions.get::<Peer>().copied();
        let method = self.method(&request, peer);
        let admitted = self.admit(&request, method, peer, start);
        let answer = match admitted.and_then(|()| self.suits(&request, in_batch)) {
            Ok(()) => self.within(request, deadline).await,
            Err(error) => MethodResponse::error(request.id, ErrorObjectOwned::from(error)),
        };
        record(method.unwrap_or(measures::UNKNOWN), peer, start.elapsed(), &answer);
        answer
    }

    /// The method's name, if it is offered to this client: subscriptions need a WebSocket.
    fn method(&self, request: &Request<'_>, peer: Option<Peer>) -> Option<&'static str> {
        let (name, callback) = self.rules.methods.method_with_name(request.method_name())?;
        let subscribes = matches!(callback, MethodCallback::Subscription(_) | MethodCallback::Unsubscription(_));
        (!subscribes || peer.is_none_or(|peer| peer.websocket)).then_some(name)
    }

    fn admit(
        &self,
        request: &Request<'_>,
        method: Option<&'static str>,
        peer: Option<Peer>,
        now: Instant,
    ) -> Result<(), CallError> {
        if let (Some(limiter), Some(peer)) = (&self.rules.limiter, peer) {
            limiter.take(peer.address, now)?;
        }
        if request.extensions.get::<Owed>().is_some_and(Owed::full) {
            return Err(outflow::refusal());
        }
        match method {
            Some(_) => Ok(()),
            None => {
                let name = request.method_name().chars().take(MAX_NAME).collect();
                Err(CallError::MethodNotFound(name))
            }
        }
    }

    /// The answer to a call that subscribes is written on its own, so that it comes before what is told; it cannot be part
    /// of the answer to a batch as well.
    fn suits(&self, request: &Request<'_>, in_batch: bool) -> Result<(), CallError> {
        let callback = self.rules.methods.method_with_name(request.method_name());
        match callback {
            Some((name, MethodCallback::Subscription(_))) if in_batch => {
                let message = format!("{name} cannot be part of a batch: send it as a message of its own");
                Err(CallError::Coded { code: INVALID_REQUEST, message })
            }
            _ => Ok(()),
        }
    }

    async fn within(&self, request: Request<'_>, deadline: Instant) -> MethodResponse {
        let id = request.id.clone().into_owned();
        // Some methods run before there is a future.
        let call = AssertUnwindSafe(async { self.inner.call(request).await }).catch_unwind();
        match tokio::time::timeout_at(deadline.into(), call).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => MethodResponse::error(id, ErrorObjectOwned::from(CallError::internal("a call panicked"))),
            Err(_) => MethodResponse::error(id, ErrorObjectOwned::from(CallError::TimedOut(self.rules.timeout))),
        }
    }
}

/// Counts an answer until it is written; without room for it the answer is that the node is busy. Subscriptions have
/// given theirs already.
fn owe(mut answer: MethodResponse, id: Id<'static>, held: Option<Held>) -> MethodResponse {
    let Some(mut held) = held.filter(|_| !answer.is_subscription()) else { return answer };
    match held.add(answer.as_json().get().len()) {
        Ok(()) => {
            answer.extensions_mut().insert(Arc::new(held));
            answer
        }
        Err(error) => MethodResponse::error(id, ErrorObjectOwned::from(error)),
    }
}

/// The answer to a batch, counted while it grows.
struct BatchAnswer {
    answers: BatchResponseBuilder,
    held: Option<Held>,
}

impl BatchAnswer {
    fn new(max_response: usize, held: Option<Held>) -> Self {
        Self { answers: BatchResponseBuilder::new_with_limit(max_response), held }
    }

    /// Appends the answer to a call; fails with the answer to the whole batch.
    fn append(&mut self, answer: MethodResponse) -> Result<(), MethodResponse> {
        if let Some(held) = &mut self.held {
            let room = held.add(answer.as_json().get().len());
            room.map_err(|error| MethodResponse::error(Id::Null, ErrorObjectOwned::from(error)))?;
        }
        self.answers.append(answer)
    }

    fn finish(self, notified: bool) -> MethodResponse {
        if self.answers.is_empty() && notified {
            return MethodResponse::notification();
        }
        let mut answer = MethodResponse::from_batch(self.answers.finish());
        if let Some(held) = self.held {
            answer.extensions_mut().insert(Arc::new(held));
        }
        answer
    }
}

/// Characters of an unknown method's name that are repeated in the answer.
const MAX_NAME: usize = 100;

fn record(method: &'static str, peer: Option<Peer>, took: Duration, answer: &MethodResponse) {
    let code = answer.as_error_code();
    measures::called(method, took, code);
    tracing::debug!(
        target: "assent::rpc",
        method,
        peer = peer.map(|peer| tracing::field::display(peer.address)),
        microseconds = took.as_micros() as u64,
        error = code,
        "call"
    );
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::future::{Ready, ready};

    use jsonrpsee::RpcModule;

    use super::*;

    /// Fails before there is a future, as methods do that answer at once.
    #[derive(Clone)]
    struct Faulty;

    impl RpcServiceT for Faulty {
        type MethodResponse = MethodResponse;
        type NotificationResponse = MethodResponse;
        type BatchResponse = MethodResponse;

        fn call<'a>(&self, request: Request<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
            assert_ne!(request.method_name(), "bug", "a bug");
            nothing()
        }

        fn batch<'a>(&self, _: Batch<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
            nothing()
        }

        fn notification<'a>(&self, _: Notification<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
            nothing()
        }
    }

    fn nothing() -> Ready<MethodResponse> {
        ready(MethodResponse::notification())
    }

    #[tokio::test]
    async fn a_call_whose_method_panics_is_answered() {
        let mut module = RpcModule::new(());
        module.register_method("bug", |_, _, _| "never called").unwrap();
        let timeout = Duration::from_secs(60);
        let rules = Rules { methods: module.into(), limiter: None, timeout, max_response: 1_000 };
        let gate = Gate::new(Faulty, Arc::new(rules));
        let answer = gate.call(Request::owned("bug".into(), None, Id::Number(7))).await;
        assert_eq!(answer.as_error_code(), Some(crate::errors::INTERNAL));
        assert!(answer.as_json().get().contains(r#""id":7"#), "{answer}");
    }
}
