//! Receipts.

use alloy_consensus::{Eip658Value, ReceiptEnvelope, ReceiptWithBloom, TxType};
use alloy_primitives::{B256, Bloom, Log};
use alloy_rlp::{BufMut, Encodable, Header, RlpDecodable, RlpEncodable};
use alloy_trie::root::ordered_trie_root_with_encoder;

/// What came of a transaction.
///
/// The derived RLP list of the fields is the stored form; the form in the trie of receipts is
/// Ethereum's.
#[derive(Clone, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct Receipt {
    /// The transaction's EIP-2718 type.
    pub tx_type: u8,
    /// Whether it ran to its end. If not, all it did was pay and use up its nonce.
    pub success: bool,
    /// Gas that it used.
    pub gas_used: u64,
    /// Gas that it and all before it in the block used.
    pub cumulative_gas_used: u64,
    /// What it logged.
    pub logs: Vec<Log>,
}

impl Receipt {
    /// The bloom filter of the logs.
    pub fn bloom(&self) -> Bloom {
        self.logs.iter().collect()
    }

    /// The same as alloy's type.
    pub fn envelope(&self) -> ReceiptEnvelope {
        let receipt = alloy_consensus::Receipt {
            status: Eip658Value::Eip658(self.success),
            cumulative_gas_used: self.cumulative_gas_used,
            logs: self.logs.clone(),
        };
        let receipt = ReceiptWithBloom { receipt, logs_bloom: self.bloom() };
        match TxType::try_from(self.tx_type) {
            Ok(TxType::Eip2930) => ReceiptEnvelope::Eip2930(receipt),
            Ok(TxType::Eip1559) => ReceiptEnvelope::Eip1559(receipt),
            Ok(TxType::Eip4844) => ReceiptEnvelope::Eip4844(receipt),
            Ok(TxType::Eip7702) => ReceiptEnvelope::Eip7702(receipt),
            _ => ReceiptEnvelope::Legacy(receipt),
        }
    }

    /// Appends the EIP-2718 form: type byte (none for legacy), then the list of status, cumulative
    /// gas, bloom and logs.
    fn encode_2718(&self, bloom: &Bloom, out: &mut Vec<u8>) {
        if self.tx_type != 0 {
            out.put_u8(self.tx_type);
        }
        let payload_length =
            self.success.length() + self.cumulative_gas_used.length() + bloom.length() + self.logs.length();
        Header { list: true, payload_length }.encode(out);
        self.success.encode(out);
        self.cumulative_gas_used.encode(out);
        bloom.encode(out);
        self.logs.encode(out);
    }
}

/// The root of the trie of a block's receipts, and the bloom filter of all their logs.
pub(crate) fn root_and_bloom(receipts: &[Receipt]) -> (B256, Bloom) {
    #[cfg(test)]
    let disordered = crate::planted::in_map_order(receipts);
    #[cfg(test)]
    let receipts = &*disordered;
    let mut all = Bloom::ZERO;
    let root = ordered_trie_root_with_encoder(receipts, |receipt, out| {
        let bloom = receipt.bloom();
        all.accrue_bloom(&bloom);
        receipt.encode_2718(&bloom, out);
    });
    (root, all)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use alloy_consensus::proofs::calculate_receipt_root;
    use alloy_primitives::{Address, Bytes};

    use super::*;

    #[test]
    fn root_is_ethereums() {
        let log =
            |n: u8| Log::new_unchecked(Address::repeat_byte(n), vec![B256::repeat_byte(n)], Bytes::from(vec![n; 40]));
        let receipts: Vec<_> = (0..200u8)
            .map(|i| Receipt {
                tx_type: [0, 1, 2, 4][usize::from(i % 4)],
                success: i % 3 != 0,
                gas_used: 21_000,
                cumulative_gas_used: u64::from(i) * 21_000,
                logs: (0..i % 3).map(log).collect(),
            })
            .collect();
        for count in [0, 1, 2, 127, 128, 200] {
            let envelopes: Vec<_> = receipts[..count].iter().map(Receipt::envelope).collect();
            let (root, bloom) = root_and_bloom(&receipts[..count]);
            assert_eq!(root, calculate_receipt_root(&envelopes));
            let expected = receipts[..count].iter().fold(Bloom::ZERO, |all, receipt| all | receipt.bloom());
            assert_eq!(bloom, expected);
        }
        let encoded = alloy_rlp::encode(&receipts[5]);
        assert_eq!(alloy_rlp::decode_exact::<Receipt>(&encoded).unwrap(), receipts[5]);
    }
}
