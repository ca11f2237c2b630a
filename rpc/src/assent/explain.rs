//! `assent_explainTransaction`: what became of a transaction, or why it waits. In words for people; `status` and the
//! numbers are for programs.

use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, B256, U256};
use assent_chain::{mempool::SenderContent, trace::types::geth::CallFrame, transaction::Recovered};
use serde::Serialize;

use crate::{
    errors::CallError,
    eth::reader::Reader,
    methods::Api,
    params::{self, Args},
    traces,
};

/// What is known of a transaction.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "status", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(super) enum Explanation {
    /// In a block.
    Final {
        explanation: String,
        block: u64,
        index: u32,
        success: bool,
        gas_used: u64,
        /// What it paid, in wei.
        fee: U256,
    },
    /// It could be in the next block.
    Pending { explanation: String, sender: Address, nonce: u64 },
    /// It waits for something.
    Queued {
        explanation: String,
        sender: Address,
        nonce: u64,
        /// The nonce of its sender that has to come first.
        #[serde(skip_serializing_if = "Option::is_none")]
        missing_nonce: Option<u64>,
    },
    /// Neither in a block nor in this node's mempool.
    Unknown { explanation: String },
}

/// `assent_explainTransaction`
pub(super) fn explain(api: &Api, args: &Args) -> Result<Explanation, CallError> {
    let hash = args.required(0, "hash", params::hash)?;
    // The mempool first: a transaction leaves it only after its block is stored.
    if let Some(tx) = api.backend.chain.pool().get(&hash) {
        return waiting(api, &tx);
    }
    match final_one(api, &hash)? {
        Some(found) => Ok(found),
        None => Ok(Explanation::Unknown {
            explanation: "this node has no such transaction, neither in a block nor in its mempool: it was never sent here, \
                          it was refused when it was sent, or another transaction with its nonce took its place; send it \
                          again, the answer says what is wrong with it"
                .into(),
        }),
    }
}

fn final_one(api: &Api, hash: &B256) -> Result<Option<Explanation>, CallError> {
    let Some(found) = Reader::new(api).receipt(hash)? else { return Ok(None) };
    let (block, index) = (found.transaction.block_number, found.transaction.index);
    let (success, gas_used) = (found.receipt.success, found.receipt.gas_used);
    let fee = U256::from(gas_used).saturating_mul(U256::from(found.effective_gas_price));
    let explanation = match success {
        true => format!("it is final in block {block} and succeeded"),
        // Why is found by running it again; where that cannot be, the rest is still true.
        false => match api.backend.chain.call_frames(hash, traces::limits(api)) {
            Ok(frame) => format!(
                "it is final in block {block} and failed: {}",
                failure(&frame, gas_used, &found.transaction.transaction)
            ),
            Err(error) => format!("it is final in block {block} and failed; why cannot be found out here: {error}"),
        },
    };
    Ok(Some(Explanation::Final { explanation, block, index, success, gas_used, fee }))
}

fn failure(frame: &CallFrame, gas_used: u64, tx: &Recovered) -> String {
    let limit = tx.tx().gas_limit();
    if gas_used == limit && frame.revert_reason.is_none() {
        return format!("it used up its gas limit of {limit}; send it with more");
    }
    let error = frame.error.clone().unwrap_or_else(|| "execution reverted".into());
    match &frame.revert_reason {
        Some(reason) => format!("{error}: {reason}"),
        None => error,
    }
}

fn waiting(api: &Api, tx: &Recovered) -> Result<Explanation, CallError> {
    let (sender, nonce) = (tx.sender(), tx.nonce());
    let Some(content) = api.backend.chain.pool().content_from(sender) else {
        let explanation = "it is on its way from the mempool into a block".into();
        return Ok(Explanation::Pending { explanation, sender, nonce });
    };
    if content.executable.iter().any(|other| other.hash() == tx.hash()) {
        return Ok(Explanation::Pending { explanation: pending(api, tx, &content)?, sender, nonce });
    }
    let account = api.backend.chain.latest_state().account(&sender)?.unwrap_or_default();
    let held = |wanted: u64| content.executable.iter().chain(&content.queued).any(|other| other.nonce() == wanted);
    let missing_nonce = (account.nonce..nonce).find(|wanted| !held(*wanted));
    let explanation = match missing_nonce {
        Some(missing) => format!(
            "it has nonce {nonce}, and a transaction of {sender} with nonce {missing} has to come first: send that one"
        ),
        None => format!(
            "{sender} has {} wei, which does not pay for it and for those of its transactions before it; send money there, \
             or replace one of them",
            account.balance
        ),
    };
    Ok(Explanation::Queued { explanation, sender, nonce, missing_nonce })
}

/// What an executable transaction waits for.
fn pending(api: &Api, tx: &Recovered, content: &SenderContent) -> Result<String, CallError> {
    let quorum = api.backend.status.borrow().quorum;
    if quorum.missing > 0 {
        return Ok(format!(
            "it is ready, but no blocks are made: validators with weight {} of {} are heard, {} are needed; it will be in a \
             block when {} more are back (assent_status names who is silent)",
            quorum.heard, quorum.total, quorum.needed, quorum.missing
        ));
    }
    let head = Reader::new(api).known_header(Reader::new(api).head_number())?.header;
    let base_fee = u128::from(head.base_fee_per_gas.unwrap_or_default());
    if tx.tx().max_fee_per_gas() < base_fee {
        return Ok(format!(
            "it pays at most {} wei per gas, and blocks ask for {base_fee}: replace it with one that pays more, or wait",
            tx.tx().max_fee_per_gas()
        ));
    }
    let before = content.executable.iter().filter(|other| other.nonce() < tx.nonce()).count();
    Ok(match before {
        0 => "it is ready and will be in one of the next blocks".into(),
        _ => format!("it is ready and will be in one of the next blocks, after {before} others of its sender"),
    })
}
