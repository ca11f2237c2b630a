//! Blocks: their one encoding, and the forms with more knowledge.
//!
//! A block is the RLP list `[header, transactions, seal]`. The header is Ethereum's and its keccak
//! is the block's hash. A transaction stands in it as in an Ethereum block body: a legacy one as
//! a list, a typed one as a string of its EIP-2718 bytes. [`Block`] is what came from a peer,
//! decoded and within its limits, but not judged. [`RecoveredBlock`] knows all senders.
//!
//! What the values must be is decided in `chain::validate`, not here.

use std::sync::{Arc, OnceLock};

use alloy_consensus::{EMPTY_ROOT_HASH, Header};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{B256, Bytes, keccak256};
use alloy_rlp::{Decodable, EMPTY_LIST_CODE, Encodable, Header as RlpHeader};
use alloy_trie::root::ordered_trie_root_with_encoder;

use crate::recovery::recover_batch;
use crate::seal::{Seal, SealLimit};
use crate::transaction::{Recovered, SignedTransaction, TransactionError};

/// How large a block may be; part of the genesis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockLimits {
    /// Bytes of the encoding.
    pub bytes: usize,
    /// Number of transactions.
    pub transactions: usize,
}

/// Bytes are not a block.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Longer than allowed.
    #[error("the block has {got} bytes, at most {limit} are allowed")]
    TooLarge {
        /// Its length.
        got: usize,
        /// What is allowed.
        limit: usize,
    },
    /// More transactions than allowed.
    #[error("the block has more than {limit} transactions")]
    TooManyTransactions {
        /// What is allowed.
        limit: usize,
    },
    /// The bytes do not follow RLP or lack fields.
    #[error("malformed {part}: {error}")]
    Rlp {
        /// Which part of the block.
        part: &'static str,
        /// What is wrong.
        error: alloy_rlp::Error,
    },
    /// Readable, but not in the one form that is accepted.
    #[error("the {part} is not in its canonical encoding")]
    NotCanonical {
        /// Which part of the block.
        part: &'static str,
    },
    /// A transaction is malformed.
    #[error("transaction {index}: {error}")]
    Transaction {
        /// Its position.
        index: usize,
        /// What is wrong.
        error: TransactionError,
    },
    /// The seal is too large.
    #[error("seal: {0}")]
    Seal(#[from] SealLimit),
    /// Transactions or seal are not those of the header: somebody put other ones there.
    #[error("the {part} is not the one of the header")]
    NotOfTheHeader {
        /// Which part of the block.
        part: &'static str,
    },
}

/// A transaction of a block that came from a peer.
#[derive(Clone, Debug)]
pub enum BlockTransaction {
    /// One that this node already had, with its sender.
    Known(Arc<Recovered>),
    /// One that it sees for the first time.
    New(Box<SignedTransaction>),
}

impl BlockTransaction {
    /// The transaction.
    pub fn signed(&self) -> &SignedTransaction {
        match self {
            Self::Known(known) => known.signed(),
            Self::New(signed) => signed,
        }
    }
}

/// A block as it came.
#[derive(Clone, Debug)]
pub struct Block {
    /// Ethereum's header.
    pub header: Header,
    /// The transactions in their order.
    pub transactions: Vec<BlockTransaction>,
    /// What consensus adds.
    pub seal: Seal,
    hash: B256,
    encoded: Bytes,
}

impl Block {
    /// Decodes a block. Its hash is the header's, so everything else must be what the header commits to: bytes with
    /// another body are not this block, whoever signed its hash. `known` looks up transactions that this node has, so that their senders
    /// need not be recovered and their bytes not be read again.
    pub fn decode(
        bytes: &Bytes,
        limits: BlockLimits,
        known: impl Fn(&B256) -> Option<Arc<Recovered>>,
    ) -> Result<Self, DecodeError> {
        if bytes.len() > limits.bytes {
            return Err(DecodeError::TooLarge { got: bytes.len(), limit: limits.bytes });
        }
        let mut rest = bytes.as_ref();
        let mut fields = list(&mut rest, "block")?;
        if !rest.is_empty() {
            return Err(DecodeError::Rlp { part: "block", error: alloy_rlp::Error::UnexpectedLength });
        }
        let (header, hash) = decode_header(&mut fields)?;
        let mut body = list(&mut fields, "transactions")?;
        let mut transactions = Vec::new();
        while !body.is_empty() {
            let (index, raw) = (transactions.len(), next_transaction(&mut body, transactions.len(), limits)?);
            transactions.push(match known(&keccak256(raw)) {
                Some(recovered) => BlockTransaction::Known(recovered),
                None => {
                    let signed = SignedTransaction::decode(bytes.slice_ref(raw))
                        .map_err(|error| DecodeError::Transaction { index, error })?;
                    BlockTransaction::New(Box::new(signed))
                }
            });
        }
        let seal = Seal::decode_exact(fields).map_err(|error| DecodeError::Rlp { part: "seal", error })?;
        seal.check_limits()?;
        if header.extra_data.as_ref() != seal.hash().as_slice() {
            return Err(DecodeError::NotOfTheHeader { part: "seal" });
        }
        if transactions_root(transactions.iter().map(BlockTransaction::signed)) != header.transactions_root {
            return Err(DecodeError::NotOfTheHeader { part: "list of transactions" });
        }
        Ok(Self { header, transactions, seal, hash, encoded: bytes.clone() })
    }

    /// keccak256 of the header.
    pub fn hash(&self) -> B256 {
        self.hash
    }

    /// The bytes that it was decoded from.
    pub fn encoded(&self) -> &Bytes {
        &self.encoded
    }

    /// Adds the senders, which must be in the order of the transactions.
    pub(crate) fn with_senders(self, transactions: Vec<Arc<Recovered>>) -> RecoveredBlock {
        let Self { header, seal, hash, encoded, .. } = self;
        RecoveredBlock { hash, header, transactions, seal, encoded: OnceLock::from(encoded) }
    }
}

fn list<'a>(buf: &mut &'a [u8], part: &'static str) -> Result<&'a [u8], DecodeError> {
    RlpHeader::decode_bytes(buf, true).map_err(|error| DecodeError::Rlp { part, error })
}

/// Reads a header and compares it with its own encoding, whatever the decoder was lenient about.
fn decode_header(buf: &mut &[u8]) -> Result<(Header, B256), DecodeError> {
    let start = *buf;
    let header = Header::decode(buf).map_err(|error| DecodeError::Rlp { part: "header", error })?;
    let raw = &start[..start.len() - buf.len()];
    if alloy_rlp::encode(&header) != raw {
        return Err(DecodeError::NotCanonical { part: "header" });
    }
    Ok((header, keccak256(raw)))
}

/// The EIP-2718 bytes of the transaction of a body that has this index, if there may be one more.
fn next_transaction<'a>(body: &mut &'a [u8], index: usize, limits: BlockLimits) -> Result<&'a [u8], DecodeError> {
    if index == limits.transactions {
        return Err(DecodeError::TooManyTransactions { limit: limits.transactions });
    }
    transaction_bytes(body).map_err(|error| DecodeError::Transaction { index, error })
}

/// The EIP-2718 bytes of the next transaction of a body.
fn transaction_bytes<'a>(buf: &mut &'a [u8]) -> Result<&'a [u8], TransactionError> {
    let start = *buf;
    let header = RlpHeader::decode(buf)?;
    // `RlpHeader::decode` has checked that the payload is there.
    let (payload, rest) = buf.split_at(header.payload_length);
    *buf = rest;
    match payload.first() {
        _ if header.list => Ok(&start[..start.len() - rest.len()]),
        // A legacy transaction is never wrapped in a string.
        Some(first @ 0x80..) => Err(TransactionError::NoEnvelope { first: *first }),
        _ => Ok(payload),
    }
}

/// A block with its hash and the senders of its transactions.
#[derive(Clone, Debug)]
pub struct RecoveredBlock {
    hash: B256,
    header: Header,
    transactions: Vec<Arc<Recovered>>,
    seal: Seal,
    encoded: OnceLock<Bytes>,
}

impl RecoveredBlock {
    /// Joins the parts; the hash must be the header's.
    pub(crate) fn from_parts(hash: B256, header: Header, transactions: Vec<Arc<Recovered>>, seal: Seal) -> Self {
        Self { hash, header, transactions, seal, encoded: OnceLock::new() }
    }

    /// Reads a block in Ethereum's RLP, as [`RecoveredBlock::ethereum_rlp`] writes it, and finds the senders. It comes
    /// without a seal, so that of the result is empty.
    pub fn decode_ethereum(bytes: &Bytes, limits: BlockLimits) -> Result<Self, DecodeError> {
        if bytes.len() > limits.bytes {
            return Err(DecodeError::TooLarge { got: bytes.len(), limit: limits.bytes });
        }
        let mut rest = bytes.as_ref();
        let mut fields = list(&mut rest, "block")?;
        let (header, hash) = decode_header(&mut fields)?;
        let mut body = list(&mut fields, "transactions")?;
        let mut signed = Vec::new();
        while !body.is_empty() {
            let (index, raw) = (signed.len(), next_transaction(&mut body, signed.len(), limits)?);
            let decoded = SignedTransaction::decode(bytes.slice_ref(raw));
            signed.push(decoded.map_err(|error| DecodeError::Transaction { index, error })?);
        }
        let ommers = list(&mut fields, "ommers")?;
        let withdrawals = if header.withdrawals_root.is_some() { list(&mut fields, "withdrawals")? } else { &[] };
        if [rest, fields, ommers, withdrawals].iter().any(|left| !left.is_empty()) {
            return Err(DecodeError::Rlp { part: "block", error: alloy_rlp::Error::UnexpectedLength });
        }
        if transactions_root(signed.iter()) != header.transactions_root {
            return Err(DecodeError::NotOfTheHeader { part: "list of transactions" });
        }
        let recovered = recover_batch(signed).into_iter().enumerate();
        let transactions = recovered
            .map(|(index, tx)| tx.map(Arc::new).map_err(|error| DecodeError::Transaction { index, error }))
            .collect::<Result<_, _>>()?;
        Ok(Self::from_parts(hash, header, transactions, Seal::default()))
    }

    /// keccak256 of the header.
    pub fn hash(&self) -> B256 {
        self.hash
    }

    /// Its number.
    pub fn number(&self) -> u64 {
        self.header.number
    }

    /// Ethereum's header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The transactions, with senders, in their order.
    pub fn transactions(&self) -> &[Arc<Recovered>] {
        &self.transactions
    }

    /// What consensus adds.
    pub fn seal(&self) -> &Seal {
        &self.seal
    }

    /// The encoding; made at most once.
    pub fn encoded(&self) -> &Bytes {
        self.encoded.get_or_init(|| {
            let seal = self.seal.length();
            let transactions: usize = self.transactions.iter().map(|tx| tx.signed().network_len()).sum();
            let body = RlpHeader { list: true, payload_length: transactions };
            let payload_length = self.header.length() + body.length_with_payload() + seal;
            let outer = RlpHeader { list: true, payload_length };
            let mut out = Vec::with_capacity(outer.length_with_payload());
            outer.encode(&mut out);
            self.header.encode(&mut out);
            body.encode(&mut out);
            for tx in &self.transactions {
                tx.signed().network_encode(&mut out);
            }
            self.seal.encode(&mut out);
            out.into()
        })
    }

    /// The size of the block as Ethereum counts it: the RLP list of header, transactions, ommers
    /// and, since Shanghai, withdrawals, without the seal.
    pub fn ethereum_size(&self) -> usize {
        let transactions: usize = self.transactions.iter().map(|tx| tx.signed().network_len()).sum();
        let body = RlpHeader { list: true, payload_length: transactions }.length_with_payload();
        let withdrawals = usize::from(self.header.withdrawals_root.is_some());
        let payload_length = self.header.length() + body + 1 + withdrawals;
        RlpHeader { list: true, payload_length }.length_with_payload()
    }

    /// The block as Ethereum encodes it, which has [`Self::ethereum_size`] bytes.
    pub fn ethereum_rlp(&self) -> Vec<u8> {
        let mut body = Vec::new();
        for tx in &self.transactions {
            // A legacy transaction is a list; all others are strings that begin with their type.
            match tx.raw().first() {
                Some(first) if *first >= 0xc0 => body.extend_from_slice(tx.raw()),
                _ => tx.raw().encode(&mut body),
            }
        }
        let mut payload = Vec::new();
        self.header.encode(&mut payload);
        RlpHeader { list: true, payload_length: body.len() }.encode(&mut payload);
        payload.extend_from_slice(&body);
        let empty_lists = 1 + usize::from(self.header.withdrawals_root.is_some());
        payload.extend(std::iter::repeat_n(EMPTY_LIST_CODE, empty_lists));
        let mut out = Vec::with_capacity(payload.len() + 9);
        RlpHeader { list: true, payload_length: payload.len() }.encode(&mut out);
        out.extend_from_slice(&payload);
        out
    }
}

/// The root of the trie of a block's transactions.
pub(crate) fn transactions_root<'a>(transactions: impl Iterator<Item = &'a SignedTransaction>) -> B256 {
    let raw: Vec<_> = transactions.map(|tx| tx.raw().as_ref()).collect();
    if raw.is_empty() {
        return EMPTY_ROOT_HASH;
    }
    ordered_trie_root_with_encoder(&raw, |bytes, out| out.extend_from_slice(bytes))
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used)]

    use alloy_primitives::{Address, b256, hex};

    use super::*;
    use crate::seal::tests::example as seal;

    /// The example of EIP-155 (legacy), and an EIP-1559 transaction with a made-up signature.
    const LEGACY: &str = "f86c098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a7640000802\
                          5a028ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276a067cbe9d8997f761a\
                          ecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83";
    const TYPED: &str = "02e6827a69018002825208943535353535353535353535353535353535353535038201ffc0010708";

    pub(crate) fn example() -> RecoveredBlock {
        let seal = seal();
        let transactions = [LEGACY, TYPED].map(|text| {
            let signed = SignedTransaction::decode(hex::decode(text).unwrap().into()).unwrap();
            Arc::new(Recovered::from_trusted(signed, Address::ZERO))
        });
        let header = Header {
            transactions_root: transactions_root(transactions.iter().map(|tx| tx.signed())),
            parent_hash: B256::repeat_byte(0x33),
            beneficiary: Address::repeat_byte(0x44),
            state_root: B256::repeat_byte(0x55),
            number: 7,
            gas_limit: 60_000_000,
            gas_used: 42_000,
            timestamp: seal.time_ms / 1000,
            extra_data: Bytes::copy_from_slice(seal.hash().as_slice()),
            mix_hash: seal.parent_certificate,
            base_fee_per_gas: Some(0),
            withdrawals_root: Some(EMPTY_ROOT_HASH),
            blob_gas_used: Some(0),
            excess_blob_gas: Some(0),
            parent_beacon_block_root: Some(B256::ZERO),
            requests_hash: Some(alloy_eips::eip7685::EMPTY_REQUESTS_HASH),
            ..Header::default()
        };
        RecoveredBlock::from_parts(header.hash_slow(), header, transactions.into(), seal)
    }

    /// The header up to the bloom filter, which is 256 zero bytes, and from there on.
    const BEFORE_BLOOM: &str = "f9027da03333333333333333333333333333333333333333333333333333333333333333a01dcc4de8dec75d7aab85b567b6\
        ccd41ad312451b948a7413f0a142fd40d49347944444444444444444444444444444444444444444a0555555555555555555\
        5555555555555555555555555555555555555555555555a0ccccdd498bfc5720c9167723e7fa8a7cc73f2a3c1448cf246647\
        bb79bb9da08ca056e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421b901";
    const AFTER_BLOOM: &str = "008007840393870082a410846553f100a01b4ec643d9f972902f97b48fd3a76f6a17a3b3d014384d0fb58466443fb732caa0\
        111111111111111111111111111111111111111111111111111111111111111188000000000000000080a056e81f171bcc55\
        a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b4218080a000000000000000000000000000000000000000000000\
        00000000000000000000a0e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn frozen_bytes() {
        let block = example();
        let header = format!("{BEFORE_BLOOM}{}{AFTER_BLOOM}", "00".repeat(256));
        assert_eq!(hex::encode(alloy_rlp::encode(block.header())), header);
        let seal = hex::encode(seal().encoded());
        let expected = format!("f9036e{header}f897{LEGACY}a8{TYPED}{seal}");
        assert_eq!(hex::encode(block.encoded()), expected);
        assert_eq!(block.hash(), b256!("93aed341381cfa2dbbb4c2c932113d9974fab3faa96f4291ed87dd0b4a1c7b23"));
        let root = transactions_root(block.transactions().iter().map(|tx| tx.signed()));
        assert_eq!(root, b256!("ccccdd498bfc5720c9167723e7fa8a7cc73f2a3c1448cf246647bb79bb9da08c"));

        let limits = BlockLimits { bytes: block.encoded().len(), transactions: 2 };
        let decoded = Block::decode(block.encoded(), limits, |_| None).unwrap();
        assert_eq!((decoded.hash(), &decoded.header, &decoded.seal), (block.hash(), block.header(), block.seal()));
        // A header, a body of two, two empty lists of one byte each, without the seal.
        assert_eq!(block.ethereum_size(), 3 + header.len() / 2 + 2 + 0x97 + 2);
        let rlp = block.ethereum_rlp();
        assert_eq!(rlp.len(), block.ethereum_size());
        let decoded = alloy_consensus::Block::<alloy_consensus::TxEnvelope>::decode(&mut rlp.as_slice()).unwrap();
        assert_eq!(&decoded.header, block.header());
        let hashes = decoded.body.transactions.iter().map(|tx| *tx.hash());
        assert!(hashes.eq(block.transactions().iter().map(|tx| *tx.hash())));
    }

    /// The leader signs the hash of the header: who puts another body or seal behind it has not made that block, and
    /// must not make its leader look guilty.
    #[test]
    fn another_body_or_seal_is_not_this_block() {
        let block = example();
        let limits = BlockLimits { bytes: 1 << 20, transactions: 10 };
        let forge = |transactions: &[usize], seal: Seal| {
            let transactions = transactions.iter().map(|i| block.transactions()[*i].clone()).collect();
            let forged = RecoveredBlock::from_parts(block.hash(), block.header().clone(), transactions, seal);
            Block::decode(forged.encoded(), limits, |_| None).map(|block| block.hash())
        };
        assert_eq!(forge(&[0, 1], seal()), Ok(block.hash()));
        for transactions in [&[][..], &[0], &[1, 0], &[0, 1, 1]] {
            let error = forge(transactions, seal()).unwrap_err();
            assert_eq!(error, DecodeError::NotOfTheHeader { part: "list of transactions" });
        }
        let error = forge(&[0, 1], Seal { view: 301, ..seal() }).unwrap_err();
        assert_eq!(error, DecodeError::NotOfTheHeader { part: "seal" });
    }
}
