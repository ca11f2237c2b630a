//! Sender recovery: libsecp256k1 on a thread pool of its own.
//!
//! Recovering the sender is the most expensive thing that a node does with a transfer, so it
//! happens once: at admission to the pool, or for a block's transactions that the pool does not
//! hold. Batches are spread over a rayon pool
//! that nothing else uses, so that neither execution nor the network's threads wait behind it.
//! All functions block the calling thread; none of them may run on an asynchronous executor's
//! thread with a large batch.

use std::sync::OnceLock;

use alloy_consensus::transaction::SignerRecoverable;
use alloy_primitives::Bytes;
use rayon::prelude::*;

use crate::transaction::{Recovered, SignedTransaction, TransactionError};

/// Batches below this size are recovered on the calling thread: handing them over costs more
/// than it saves.
const INLINE_BATCH: usize = 4;

/// Recovers the sender of one transaction on the calling thread (about 30 to 60 microseconds).
pub fn recover(signed: SignedTransaction) -> Result<Recovered, TransactionError> {
    // Refuses a high `s` as well; decoding has already done so.
    let sender = signed.tx().recover_signer().map_err(|_| TransactionError::InvalidSignature)?;
    Ok(Recovered::from_trusted(signed, sender))
}

/// Recovers the senders of many transactions, in order, on the recovery pool.
pub fn recover_batch(batch: Vec<SignedTransaction>) -> Vec<Result<Recovered, TransactionError>> {
    map_batch(batch, recover)
}

/// Decodes many encoded transactions and recovers their senders, in order, on the recovery pool.
pub fn decode_batch(batch: Vec<Bytes>) -> Vec<Result<Recovered, TransactionError>> {
    map_batch(batch, |raw| SignedTransaction::decode(raw).and_then(recover))
}

/// Applies `work` to each item, in order, on the recovery pool (small batches: here).
pub(crate) fn map_batch<T: Send, R: Send>(batch: Vec<T>, work: impl Fn(T) -> R + Send + Sync) -> Vec<R> {
    match pool() {
        Some(pool) if batch.len() >= INLINE_BATCH => pool.install(|| batch.into_par_iter().map(work).collect()),
        _ => batch.into_iter().map(work).collect(),
    }
}

/// The pool: as many threads as cores, made at first use. `None` when the system refuses
/// threads; recovery then goes on slowly on the calling thread.
fn pool() -> Option<&'static rayon::ThreadPool> {
    static POOL: OnceLock<Option<rayon::ThreadPool>> = OnceLock::new();
    POOL.get_or_init(|| {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        rayon::ThreadPoolBuilder::new()
            .num_threads(cores)
            .thread_name(|i| format!("recover-{i}"))
            .build()
            .inspect_err(|error| {
                tracing::error!(%error, cores, "no threads for sender recovery; it will be slow");
            })
            .ok()
    })
    .as_ref()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Instant;

    use alloy_consensus::{SignableTransaction, TxEip1559};
    use alloy_primitives::{Address, Signature, TxKind, U256};
    use alloy_signer::SignerSync;
    use alloy_signer_local::PrivateKeySigner;

    use super::*;
    use crate::transaction::Transaction;

    fn signed(nonce: u64, key: &PrivateKeySigner) -> SignedTransaction {
        let tx = TxEip1559 {
            chain_id: 31337,
            nonce,
            gas_limit: 21_000,
            to: TxKind::Call(Address::repeat_byte(1)),
            ..Default::default()
        };
        let signature = key.sign_hash_sync(&tx.signature_hash()).unwrap();
        SignedTransaction::encode(&tx.into_signed(signature).into()).unwrap()
    }

    #[test]
    fn batch_keeps_the_order_and_reports_each() {
        let keys: Vec<_> = (0..3).map(|_| PrivateKeySigner::random()).collect();
        let mut batch: Vec<_> = (0..20).map(|i| signed(i, &keys[i as usize % 3])).collect();
        let nobody =
            TxEip1559 { nonce: 20, ..Default::default() }.into_signed(Signature::new(U256::ZERO, U256::from(1), false));
        batch.insert(7, SignedTransaction::encode(&Transaction::from(nobody)).unwrap());
        let mut results = recover_batch(batch);
        assert_eq!(results.remove(7).unwrap_err(), TransactionError::InvalidSignature);
        for (i, result) in results.into_iter().enumerate() {
            let recovered = result.unwrap();
            assert_eq!(recovered.nonce(), i as u64);
            assert_eq!(recovered.sender(), keys[i % 3].address());
        }
    }

    #[test]
    fn decodes_and_recovers_bytes() {
        let key = PrivateKeySigner::random();
        let mut batch: Vec<_> = (0..5).map(|i| signed(i, &key).raw().clone()).collect();
        batch.push(Bytes::from_static(&[3, 1]));
        let results = decode_batch(batch);
        assert!(results[..5].iter().all(|r| r.as_ref().unwrap().sender() == key.address()));
        assert_eq!(results[5], Err(TransactionError::TypeNotSupported { ty: 3 }));
    }

    /// The build has both libraries; this measures that recovery really is libsecp256k1's, which
    /// is several times faster than the pure Rust one. Not a bound on time: a comparison.
    #[test]
    #[ignore = "a measurement; run it with --ignored --nocapture"]
    fn measure_recovery() {
        let key = PrivateKeySigner::random();
        let batch: Vec<_> = (0..2000).map(|i| signed(i, &key)).collect();
        let start = Instant::now();
        for signed in &batch {
            assert_eq!(recover(signed.clone()).unwrap().sender(), key.address());
        }
        println!("recover: {:?} each on one core", start.elapsed() / 2000);
        let start = Instant::now();
        for signed in &batch {
            let hash = signed.tx().signature_hash();
            let vk = signed.signature().recover_from_prehash(&hash).unwrap();
            assert_eq!(Address::from_public_key(&vk), key.address());
        }
        println!("k256: {:?} each on one core", start.elapsed() / 2000);
        let raws: Vec<_> = batch.iter().map(|signed| signed.raw().clone()).collect();
        let start = Instant::now();
        for raw in &raws {
            SignedTransaction::decode(raw.clone()).unwrap();
        }
        println!("decode: {:?} each", start.elapsed() / 2000);
        let start = Instant::now();
        assert!(decode_batch(raws).iter().all(Result::is_ok));
        println!("decode_batch: {:?} each", start.elapsed() / 2000);
    }
}
