//! What visitors can make the node keep in memory: forms that are on their way, and pages that are made and not yet
//! written. Visitors may be slow on purpose, and open many connections.

use std::sync::Arc;

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use hyper::body::Body as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::explorer::{Explorer, page::Failure};

/// Large forms that are read and looked at at a time: one of them takes many times its size while its JSON is read.
const UPLOADS: usize = 2;

/// Bytes of pages that are not yet written, all connections together.
const UNWRITTEN: usize = 128 * 1024 * 1024;

/// Bytes that are counted as one.
const UNIT: usize = 1024;

/// Bytes of a page that always has room; one that tells of a failure is no larger.
const SMALL: usize = 16 * 1024;

/// See the module.
#[derive(Debug)]
pub(super) struct Room {
    uploads: Arc<Semaphore>,
    unwritten: Arc<Semaphore>,
}

impl Default for Room {
    fn default() -> Self {
        Self::new(UPLOADS, UNWRITTEN)
    }
}

impl Room {
    fn new(uploads: usize, unwritten: usize) -> Self {
        Self { uploads: Arc::new(Semaphore::new(uploads)), unwritten: Arc::new(Semaphore::new(unwritten / UNIT)) }
    }

    /// Counts an answer until its bytes are written; `None`: there is no room for it. What has no known size is made
    /// as it is read, and not counted.
    pub(super) async fn counted(&self, response: Response) -> Option<Response> {
        let (parts, body) = response.into_parts();
        let Some(size) = body.size_hint().exact().filter(|size| *size > SMALL as u64) else {
            return Some(Response::from_parts(parts, body));
        };
        let units = u32::try_from(size.div_ceil(UNIT as u64)).ok()?;
        let permit = self.unwritten.clone().try_acquire_many_owned(units).ok()?;
        let data = to_bytes(body, usize::MAX).await.ok()?;
        // The server drops the bytes when it has written them, which is after the end of the body.
        let data = Bytes::from_owner(Counted { data, _permit: permit });
        Some(Response::from_parts(parts, Body::from(data)))
    }
}

struct Counted {
    data: Bytes,
    _permit: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.data
    }
}

/// Goes around pages that take large forms: the form is not read before there is a place for it.
pub(super) async fn upload(State(explorer): State<Arc<Explorer>>, request: Request, next: Next) -> Response {
    match explorer.room.uploads.clone().try_acquire_owned() {
        Ok(_place) => next.run(request).await,
        Err(_) => Failure::Busy.into_response(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn answer(bytes: usize) -> Response {
        Body::from(vec![7_u8; bytes]).into_response()
    }

    #[tokio::test]
    async fn pages_are_counted_until_their_bytes_are_dropped() {
        let room = Room::new(1, 64 * UNIT);
        let first = room.counted(answer(60 * UNIT)).await.unwrap();
        assert_eq!(first.body().size_hint().exact(), Some(60 * UNIT as u64));
        assert!(room.counted(answer(20 * UNIT)).await.is_none(), "there is no room");
        assert!(room.counted(answer(SMALL)).await.is_some(), "small ones always have room");
        let data = to_bytes(first.into_body(), usize::MAX).await.unwrap();
        assert_eq!(data.len(), 60 * UNIT);
        assert!(room.counted(answer(20 * UNIT)).await.is_none(), "its bytes are still there");
        drop(data);
        assert!(room.counted(answer(20 * UNIT)).await.is_some());
        assert!(room.counted(answer(65 * UNIT)).await.is_none(), "larger than all the room");
    }
}
