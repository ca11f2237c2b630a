//! What the write-ahead log keeps: enough to stand again where one stood (SPEC rule D).

use crate::codec::{DecodeError, Reader};
use crate::message::{Message, ReadBlock};
use crate::{Certificate, Proposal, Vote};

/// One entry of the log.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Record {
    /// A vote of our own.
    Vote(Vote),
    /// A block for which we may vote, or our own.
    Proposal(Proposal),
    /// A certificate that we acted on.
    Certificate(Certificate),
}

impl Record {
    /// The bytes in the log: the wire form of the message with the same content.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Vote(vote) => Message::Vote(vote.clone()),
            Self::Proposal(proposal) => Message::Propose(proposal.clone()),
            Self::Certificate(certificate) => Message::Certificate(certificate.clone()),
        }
        .encode()
    }

    /// Reads the bytes of the log.
    ///
    /// # Errors
    /// When they are no record.
    pub fn decode(bytes: &[u8], validators: usize, read_block: &ReadBlock<'_>) -> Result<Self, DecodeError> {
        match Message::decode(bytes, validators, read_block)? {
            Message::Vote(vote) => Ok(Self::Vote(vote)),
            Message::Propose(proposal) => Ok(Self::Proposal(proposal)),
            Message::Certificate(certificate) => Ok(Self::Certificate(certificate)),
            _ => Err(DecodeError::Invalid { field: "tag", reason: "not a message that is logged" }),
        }
    }

    /// The tag byte of a vote's record: lets a reader of the log find votes without decoding blocks.
    #[must_use]
    pub fn is_vote(bytes: &[u8]) -> bool {
        Reader::new(bytes).u8("tag") == Ok(2)
    }
}
