//! Frames on a stream: a length as u32, big endian, then so many bytes.
//!
//! A length is checked against the limit before anything is allocated for it, and memory grows with
//! what has arrived, not with what was announced. Both directions give up on a stream that stalls.

use alloy_primitives::bytes::Bytes;
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use std::{io, time::Duration};
use tokio::time::timeout;

/// Bytes before a frame.
pub(crate) const HEADER: usize = 4;
/// What is read or written in one piece at most; also the first allocation for a frame.
const PIECE: usize = 64 * 1024;

/// Why a frame could not be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    /// The announced length is over the limit.
    #[error(
        "frame of {length} bytes, at most {limit} are allowed on this stream; the peer runs other software or is hostile"
    )]
    TooLarge { length: usize, limit: usize },
    /// Nothing moved for too long within a frame.
    #[error("a frame did not move for {0:?}")]
    Stalled(Duration),
    /// The stream ended within a frame.
    #[error("the stream ended within a frame")]
    Torn,
    /// The stream or its connection failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl FrameError {
    /// Whether the peer is at fault, rather than the stream being gone.
    pub(crate) const fn is_fault(&self) -> bool {
        matches!(self, Self::TooLarge { .. } | Self::Stalled(_))
    }
}

async fn moving<T>(limit: Duration, step: impl Future<Output = io::Result<T>>) -> Result<T, FrameError> {
    match timeout(limit, step).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(FrameError::Stalled(limit)),
    }
}

/// Reads a length; nothing at the orderly end of the stream. Waits for its first byte for ever.
pub(crate) async fn read_length<R: AsyncRead + Unpin>(
    stream: &mut R,
    limit: usize,
    stall: Duration,
) -> Result<Option<usize>, FrameError> {
    let mut header = [0; HEADER];
    let mut filled = stream.read(&mut header).await?;
    if filled == 0 {
        return Ok(None);
    }
    while filled < HEADER {
        match moving(stall, stream.read(&mut header[filled..])).await? {
            0 => return Err(FrameError::Torn),
            read => filled += read,
        }
    }
    let length = u32::from_be_bytes(header) as usize;
    if length > limit { Err(FrameError::TooLarge { length, limit }) } else { Ok(Some(length)) }
}

/// Reads the bytes of a frame whose length was read, and calls `moved` whenever some arrived.
pub(crate) async fn read_body<R: AsyncRead + Unpin>(
    stream: &mut R,
    length: usize,
    stall: Duration,
    mut moved: impl FnMut(),
) -> Result<Bytes, FrameError> {
    let mut body = vec![0; length.min(PIECE)];
    let mut filled = 0;
    while filled < length {
        if filled == body.len() {
            body.resize(length.min(filled * 2), 0);
        }
        match moving(stall, stream.read(&mut body[filled..])).await? {
            0 => return Err(FrameError::Torn),
            read => filled += read,
        }
        moved();
    }
    Ok(body.into())
}

/// Reads a whole small frame; nothing at the orderly end of the stream.
pub(crate) async fn read_frame<R: AsyncRead + Unpin>(
    stream: &mut R,
    limit: usize,
    stall: Duration,
) -> Result<Option<Bytes>, FrameError> {
    match read_length(stream, limit, stall).await? {
        Some(length) => Ok(Some(read_body(stream, length, stall, || ()).await?)),
        None => Ok(None),
    }
}

async fn write_moving<W: AsyncWrite + Unpin>(
    stream: &mut W,
    mut bytes: &[u8],
    stall: Duration,
) -> Result<(), FrameError> {
    while !bytes.is_empty() {
        let piece = &bytes[..bytes.len().min(PIECE)];
        match moving(stall, stream.write(piece)).await? {
            0 => return Err(FrameError::Io(io::ErrorKind::WriteZero.into())),
            written => bytes = &bytes[written..],
        }
    }
    Ok(())
}

/// Writes frames, small ones gathered into one piece, and flushes.
pub(crate) async fn write_frames<W: AsyncWrite + Unpin>(
    stream: &mut W,
    frames: &[Bytes],
    stall: Duration,
) -> Result<(), FrameError> {
    let mut gathered = Vec::new();
    for frame in frames {
        // Frames come from this node and are within their lane's limit, far below 4 GiB.
        let length = u32::try_from(frame.len()).map_err(io::Error::other)?;
        gathered.extend_from_slice(&length.to_be_bytes());
        if frame.len() <= PIECE {
            gathered.extend_from_slice(frame);
        }
        if gathered.len() >= PIECE || frame.len() > PIECE {
            write_moving(stream, &gathered, stall).await?;
            gathered.clear();
        }
        if frame.len() > PIECE {
            write_moving(stream, frame, stall).await?;
        }
    }
    write_moving(stream, &gathered, stall).await?;
    moving(stall, stream.flush()).await
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use futures::io::Cursor;

    const STALL: Duration = Duration::from_secs(5);

    async fn round_trip(lengths: &[usize]) {
        let frames: Vec<Bytes> = lengths.iter().map(|length| vec![*length as u8; *length].into()).collect();
        let mut wire = Cursor::new(Vec::new());
        write_frames(&mut wire, &frames, STALL).await.unwrap();
        wire.set_position(0);
        for frame in &frames {
            assert_eq!(read_frame(&mut wire, frame.len(), STALL).await.unwrap().as_ref(), Some(frame));
        }
        assert!(read_frame(&mut wire, 0, STALL).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn frames_of_all_sizes_come_back() {
        round_trip(&[]).await;
        round_trip(&[0, 1, 3, PIECE - HEADER, PIECE, PIECE + 1, 3 * PIECE + 7, 5]).await;
    }

    #[tokio::test]
    async fn the_bytes_on_the_wire_are_these() {
        let mut wire = Cursor::new(Vec::new());
        write_frames(&mut wire, &[Bytes::from_static(b"abc"), Bytes::new()], STALL).await.unwrap();
        assert_eq!(wire.into_inner(), b"\0\0\0\x03abc\0\0\0\0");
    }

    #[tokio::test]
    async fn reliability_6_a_length_over_the_limit_is_refused_before_its_bytes() {
        let mut wire = Cursor::new(u32::MAX.to_be_bytes());
        let error = read_length(&mut wire, 10, STALL).await.unwrap_err();
        assert!(matches!(error, FrameError::TooLarge { length: 0xffff_ffff, limit: 10 }));
        assert!(error.is_fault());
        assert!(matches!(
            read_length(&mut Cursor::new([0, 0, 0, 11]), 10, STALL).await,
            Err(FrameError::TooLarge { .. })
        ));
        assert!(matches!(read_length(&mut Cursor::new([0, 0, 0, 10]), 10, STALL).await, Ok(Some(10))));
    }

    #[tokio::test]
    async fn a_torn_frame_is_an_error_of_the_stream() {
        for bytes in [&b"\0"[..], b"\0\0\0", b"\0\0\0\x04abc"] {
            let error = read_frame(&mut Cursor::new(bytes), 10, STALL).await.unwrap_err();
            assert!(matches!(error, FrameError::Torn), "{bytes:?}");
            assert!(!error.is_fault());
        }
    }

    #[tokio::test]
    async fn a_stalled_frame_is_given_up_in_both_directions() {
        const STALL: Duration = Duration::from_millis(20);
        let (near, mut far) = tokio::io::duplex(16);
        let mut near = tokio_util::compat::TokioAsyncReadCompatExt::compat(near);
        tokio::io::AsyncWriteExt::write_all(&mut far, b"\0\0\0\x04ab").await.unwrap();
        assert!(matches!(read_frame(&mut near, 10, STALL).await, Err(FrameError::Stalled(STALL))));
        let much = [Bytes::from(vec![0; 100])];
        assert!(matches!(write_frames(&mut near, &much, STALL).await, Err(FrameError::Stalled(STALL))));
    }
}
