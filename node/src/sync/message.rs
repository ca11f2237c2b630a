//! What nodes say on the sync channel, and its wire form: a tag byte, then RLP.

use alloy_primitives::Bytes;
use alloy_rlp::{Decodable, Encodable, Header, RlpDecodable, RlpEncodable};

/// Most blocks in one answer.
pub(super) const MAX_BLOCKS: usize = 128;

/// Most bytes of blocks and certificates in one answer; one block is sent even when it is larger.
pub(super) const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;

/// Most blocks in an answer that is read: an answer goes on until a block with a commit certificate of its own.
const MAX_ITEMS: usize = 1024;

/// A final block with its certificate, both as they are stored.
#[derive(Clone, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub(super) struct Item {
    /// The encoded block.
    pub(super) block: Bytes,
    /// The encoded certificate.
    pub(super) certificate: Bytes,
}

/// A question for final blocks from a height on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub(super) struct Request {
    /// Comes back with the answer.
    pub(super) id: u64,
    /// The first height.
    pub(super) from: u64,
}

/// The blocks, ascending. The last one has a commit certificate; it may be none.
#[derive(Clone, Debug, PartialEq, Eq, RlpEncodable)]
pub(super) struct Answer {
    /// Of the request.
    pub(super) id: u64,
    /// The blocks.
    pub(super) items: Vec<Item>,
}

impl Decodable for Answer {
    fn decode(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        let mut fields = Header::decode_bytes(buf, true)?;
        let id = u64::decode(&mut fields)?;
        let mut list = Header::decode_bytes(&mut fields, true)?;
        if !fields.is_empty() {
            return Err(alloy_rlp::Error::UnexpectedLength);
        }
        let mut items = Vec::new();
        while !list.is_empty() {
            if items.len() == MAX_ITEMS {
                return Err(alloy_rlp::Error::Custom("too many blocks"));
            }
            items.push(Item::decode(&mut list)?);
        }
        Ok(Self { id, items })
    }
}

/// Everything on the sync channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SyncMessage {
    /// The sender has a new last final block, of this height.
    Head(u64),
    /// A question.
    Request(Request),
    /// An answer.
    Answer(Answer),
}

impl SyncMessage {
    /// The wire form.
    #[must_use]
    pub(super) fn encode(&self) -> Bytes {
        let (tag, body): (u8, &dyn Encodable) = match self {
            Self::Head(height) => (1, height),
            Self::Request(request) => (2, request),
            Self::Answer(answer) => (3, answer),
        };
        let mut bytes = vec![tag];
        body.encode(&mut bytes);
        bytes.into()
    }

    /// Whether the bytes claim to be an answer: one that was not asked for is not worth reading.
    pub(super) fn is_answer(bytes: &[u8]) -> bool {
        bytes.first() == Some(&3)
    }

    /// Reads the wire form; its length was bounded by the channel.
    ///
    /// # Errors
    /// When the bytes are no message.
    pub(super) fn decode(bytes: &[u8]) -> alloy_rlp::Result<Self> {
        let (tag, mut rest) = bytes.split_first().ok_or(alloy_rlp::Error::InputTooShort)?;
        let message = match tag {
            1 => Self::Head(u64::decode(&mut rest)?),
            2 => Self::Request(Request::decode(&mut rest)?),
            3 => Self::Answer(Answer::decode(&mut rest)?),
            _ => return Err(alloy_rlp::Error::Custom("unknown tag")),
        };
        if !rest.is_empty() {
            return Err(alloy_rlp::Error::UnexpectedLength);
        }
        Ok(message)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn messages_round_trip_and_nothing_else_is_read() {
        let item = Item { block: Bytes::from_static(b"block"), certificate: Bytes::from_static(b"certificate") };
        let messages = [
            SyncMessage::Head(7),
            SyncMessage::Request(Request { id: 1, from: 2 }),
            SyncMessage::Answer(Answer { id: 1, items: vec![item.clone(), item] }),
            SyncMessage::Answer(Answer { id: 1, items: vec![] }),
        ];
        for message in messages {
            let bytes = message.encode();
            assert_eq!(SyncMessage::decode(&bytes).unwrap(), message);
            assert!(SyncMessage::decode(&[&bytes[..], &[0]].concat()).is_err());
            (0..bytes.len()).for_each(|cut| assert!(SyncMessage::decode(&bytes[..cut]).is_err()));
        }
        assert!(SyncMessage::decode(&[9, 1]).is_err());
    }

    #[test]
    fn reliability_13_an_answer_of_crumbs_is_refused_before_it_grows() {
        let crumb = Item { block: Bytes::new(), certificate: Bytes::new() };
        let answer = |count| SyncMessage::Answer(Answer { id: 1, items: vec![crumb.clone(); count] }).encode();
        assert!(SyncMessage::decode(&answer(MAX_ITEMS)).is_ok());
        assert!(SyncMessage::decode(&answer(MAX_ITEMS + 1)).is_err());
    }
}
