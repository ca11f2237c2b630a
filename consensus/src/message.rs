//! What validators send each other, and its wire form (SPEC section 4).

use std::sync::Arc;

use crate::codec::{DecodeError, Reader, Writer};
use crate::{
    Ballot, BlockInfo, Certificate, Epoch, Evidence, Hash, Height, MAX_VALIDATORS, Phase, Signature, ValidatorSet,
    View, Vote,
};

/// Most bytes of a block on the wire. Genesis may set less.
pub const MAX_PAYLOAD_BYTES: usize = 8 * 1024 * 1024;

/// Most view-change certificates that a proposal carries; its leader is asked for further ones.
pub const MAX_CARRIED: usize = 16;

/// Most views that one Fetch asks for.
pub const MAX_FETCHED_VIEWS: u64 = 16;

/// Upper bound of an encoded message: payload, carried certificates and fields.
pub const MAX_MESSAGE_BYTES: usize = MAX_PAYLOAD_BYTES + (MAX_CARRIED + 2) * MAX_CERTIFICATE_BYTES;

/// Upper bound of an encoded certificate: each of the validators has a signature, a named block and a choice.
pub const MAX_CERTIFICATE_BYTES: usize = 128 + MAX_VALIDATORS * (64 + 32 + 2);

/// A block proposed by the leader of its view, with what justifies it (SPEC rule P).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Proposal {
    /// What the block says of itself, read from `payload` by the application.
    pub block: BlockInfo,
    /// The block as the application encoded it.
    pub payload: Arc<[u8]>,
    /// Its header as the application encoded it, read from `payload`.
    pub header: Arc<[u8]>,
    /// The parent's certificate; none when the parent is genesis.
    pub parent: Option<Certificate>,
    /// View-change certificates of the latest views between the parent's and this one, ascending.
    pub skipped: Vec<Certificate>,
    /// The leader's signature of the Propose ballot.
    pub signature: Signature,
}

impl Proposal {
    /// What the leader signed.
    #[must_use]
    pub const fn ballot(&self) -> Ballot {
        Ballot { epoch: self.block.epoch, view: self.block.view, phase: Phase::Propose, block: self.block.hash }
    }

    /// Whether the leader of the view signed it.
    #[must_use]
    pub fn verify(&self, set: &ValidatorSet, genesis: &Hash) -> bool {
        set.verify(set.leader(self.block.view), &self.ballot().sign_bytes(genesis), &self.signature)
    }

    /// About how many bytes it takes.
    pub(crate) fn bytes(&self) -> usize {
        let certificates: usize = self.skipped.iter().chain(&self.parent).map(Certificate::bytes).sum();
        size_of::<Self>() + self.payload.len() + self.header.len() + certificates
    }

    fn write(&self, writer: &mut Writer) {
        writer.bytes(&self.payload).u8(u8::from(self.parent.is_some()));
        if let Some(certificate) = &self.parent {
            certificate.write(writer);
        }
        writer.count(self.skipped.len());
        self.skipped.iter().for_each(|certificate| certificate.write(writer));
        writer.raw(&self.signature.0);
    }

    fn read(reader: &mut Reader<'_>, read_block: &ReadBlock<'_>, validators: usize) -> Result<Self, DecodeError> {
        let payload = reader.bytes("block", MAX_PAYLOAD_BYTES)?;
        let parent =
            if reader.flag("parent certificate")? { Some(Certificate::read(reader, validators)?) } else { None };
        let count = reader.count("view-change certificates", MAX_CARRIED)?;
        let skipped = (0..count).map(|_| Certificate::read(reader, validators)).collect::<Result<_, _>>()?;
        let signature = reader.signature()?;
        let refused = DecodeError::Invalid { field: "block", reason: "the application cannot read it" };
        let (block, header) = read_block(payload).ok_or(refused)?;
        Ok(Self { block, payload: payload.into(), header, parent, skipped, signature })
    }
}

/// How the application reads a block's bytes: what the block says of itself, and its encoded header (at most
/// [`crate::MAX_HEADER_BYTES`]); `None` when they are no block. The block's hash must commit to every byte of it
/// (SPEC rule P1): signatures and certificates are over the hash alone.
pub type ReadBlock<'a> = dyn Fn(&[u8]) -> Option<(BlockInfo, Arc<[u8]>)> + 'a;

/// Where a validator stands: sent to a new peer, and while nothing else is to be said (SPEC rule R).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Status {
    /// The epoch.
    pub epoch: Epoch,
    /// The height of the last final block.
    pub height: Height,
    /// The certificate that led into the sender's view; none in the first.
    pub entry: Option<Certificate>,
    /// The latest vote of the receiver that the sender has: the receiver may have forgotten it (SPEC rule M).
    pub yours: Option<Vote>,
    /// Whether the sender asks for the receiver's status.
    pub reply: bool,
}

/// A question for what decided the views of a range: certificates and prepared blocks (SPEC rule A).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Fetch {
    /// The epoch.
    pub epoch: Epoch,
    /// First view.
    pub from: View,
    /// Last view; at most [`MAX_FETCHED_VIEWS`] in all.
    pub to: View,
}

/// Everything that consensus says on the wire.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Message {
    /// A block.
    Propose(Proposal),
    /// A vote.
    Vote(Vote),
    /// A certificate.
    Certificate(Certificate),
    /// Where the sender stands.
    Status(Status),
    /// A question.
    Fetch(Fetch),
    /// An accusation.
    Evidence(Evidence),
}

impl Message {
    /// The wire form: a tag byte, then the fields.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        match self {
            Self::Propose(proposal) => proposal.write(writer.u8(1)),
            Self::Vote(vote) => vote.write(writer.u8(2)),
            Self::Certificate(certificate) => certificate.write(writer.u8(3)),
            Self::Status(status) => {
                writer.u8(4).u64(status.epoch.0).u64(status.height.0).u8(u8::from(status.reply));
                writer.u8(u8::from(status.entry.is_some()));
                if let Some(certificate) = &status.entry {
                    certificate.write(&mut writer);
                }
                writer.u8(u8::from(status.yours.is_some()));
                if let Some(vote) = &status.yours {
                    vote.write(&mut writer);
                }
            }
            Self::Fetch(fetch) => {
                writer.u8(5).u64(fetch.epoch.0).u64(fetch.from.0).u64(fetch.to.0);
            }
            Self::Evidence(evidence) => evidence.write(writer.u8(6)),
        }
        writer.0
    }

    /// Reads the wire form. `validators` is the size of the set; `read_block` reads a proposal's block.
    ///
    /// # Errors
    /// When the bytes are no canonical message.
    pub fn decode(bytes: &[u8], validators: usize, read_block: &ReadBlock<'_>) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let message = match reader.u8("tag")? {
            1 => Self::Propose(Proposal::read(&mut reader, read_block, validators)?),
            2 => Self::Vote(Vote::read(&mut reader)?),
            3 => Self::Certificate(Certificate::read(&mut reader, validators)?),
            4 => {
                let (epoch, height) = (reader.epoch()?, Height(reader.u64("height")?));
                let reply = reader.flag("reply")?;
                let entry =
                    if reader.flag("entry")? { Some(Certificate::read(&mut reader, validators)?) } else { None };
                let yours = if reader.flag("yours")? { Some(Vote::read(&mut reader)?) } else { None };
                Self::Status(Status { epoch, height, entry, yours, reply })
            }
            5 => Self::Fetch(Fetch { epoch: reader.epoch()?, from: reader.view()?, to: reader.view()? }),
            6 => Self::Evidence(Evidence::read(&mut reader)?),
            _ => return Err(DecodeError::Invalid { field: "tag", reason: "no message has it" }),
        };
        reader.finish()?;
        Ok(message)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::ValidatorIndex;
    use crate::testing::{Network, read_block};
    use proptest::prelude::*;

    fn samples(net: &Network) -> Vec<Message> {
        let entry = net.certificate(Phase::Prepare, 3, 7, &[0, 1]);
        let (a, b) = (net.signed(3, Phase::Prepare, 5, 1), net.signed(3, Phase::Prepare, 5, 2));
        vec![
            Message::Propose(net.proposal(4, 8, (3, 7), vec![])),
            Message::Propose(net.proposal(6, 8, (3, 7), vec![net.skip(4, &[0, 1]), net.skip(5, &[0, 1, 2])])),
            Message::Vote(net.vote(1, Phase::Prepare, 3, 7)),
            Message::Vote(net.vote(1, Phase::Commit, 3, 7)),
            Message::Vote(net.vote(1, Phase::ViewChange, 3, 0)),
            Message::Vote(net.view_change_naming(1, 3, 7)),
            Message::Certificate(entry.clone()),
            Message::Status(Status {
                epoch: Epoch(0),
                height: Height(9),
                entry: Some(entry),
                yours: Some(net.vote(2, Phase::Commit, 3, 7)),
                reply: true,
            }),
            Message::Status(Status { epoch: Epoch(0), height: Height(0), entry: None, yours: None, reply: false }),
            Message::Fetch(Fetch { epoch: Epoch(0), from: View(3), to: View(9) }),
            Message::Evidence(Evidence::of(Epoch(0), View(5), ValidatorIndex(3), a, b).unwrap()),
        ]
    }

    #[test]
    fn every_message_round_trips_and_no_cut_one_is_read() {
        let net = Network::new(&[40, 30, 20, 10]);
        for message in samples(&net) {
            let bytes = message.encode();
            assert_eq!(Message::decode(&bytes, 4, &read_block).unwrap(), message);
            for length in 0..bytes.len() {
                assert!(Message::decode(&bytes[..length], 4, &read_block).is_err());
            }
            assert!(Message::decode(&[&bytes[..], &[0]].concat(), 4, &read_block).is_err());
        }
    }

    #[test]
    fn a_claimed_length_over_the_limit_is_refused_before_it_is_believed() {
        let mut bytes = vec![1];
        bytes.extend(u32::MAX.to_be_bytes());
        let error = Message::decode(&bytes, 4, &read_block).unwrap_err();
        assert!(matches!(error, DecodeError::TooLong { field: "block", .. }), "{error}");
    }

    proptest! {
        /// No bytes make the decoder panic, and what it reads it writes again as it was.
        #[test]
        fn decoding_is_total_and_canonical(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
            if let Ok(message) = Message::decode(&bytes, 4, &read_block) {
                prop_assert_eq!(message.encode(), bytes);
            }
        }

        #[test]
        fn mutations_of_honest_messages_stay_canonical(which in 0usize..11, at in any::<prop::sample::Index>(), bit in 0u8..8) {
            let net = Network::new(&[40, 30, 20, 10]);
            let mut bytes = samples(&net)[which].encode();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            if let Ok(message) = Message::decode(&bytes, 4, &read_block) {
                prop_assert_eq!(message.encode(), bytes);
            }
        }
    }
}
