//! `assent_explainTransaction`: what became of a transaction, or why it waits. In words for people; `status` and the
//! numbers are for programs.

use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, B256, U256};
use assent_chain::{
    mempool::{Gone, SenderContent},
    trace::types::geth::CallFrame,
    transaction::Recovered,
};
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
pub(crate) enum Explanation {
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
    Pending {
        explanation: String,
        sender: Address,
        nonce: u64,
        /// Transactions of the mempool that come before it.
        #[serde(skip_serializing_if = "Option::is_none")]
        ahead: Option<usize>,
    },
    /// It waits for something.
    Queued {
        explanation: String,
        sender: Address,
        nonce: u64,
        /// The nonce of its sender that has to come first.
        #[serde(skip_serializing_if = "Option::is_none")]
        missing_nonce: Option<u64>,
    },
    /// This node did not take it, or took it out of its mempool.
    Dropped { explanation: String },
    /// Another one took its place in the mempool.
    Replaced { explanation: String, by: B256 },
    /// Neither in a block nor in this node's mempool, nor was it there lately.
    Unknown { explanation: String },
}

impl Explanation {
    /// The part for people.
    pub(crate) fn words(&self) -> &str {
        match self {
            Self::Final { explanation, .. }
            | Self::Pending { explanation, .. }
            | Self::Queued { explanation, .. }
            | Self::Dropped { explanation }
            | Self::Replaced { explanation, .. }
            | Self::Unknown { explanation } => explanation,
        }
    }
}

/// `assent_explainTransaction`
pub(super) fn explain(api: &Api, args: &Args) -> Result<Explanation, CallError> {
    let hash = args.required(0, "hash", params::hash)?;
    // The mempool first: a transaction leaves it only after its block is stored.
    if let Some(tx) = api.backend.chain.pool().get(&hash) {
        return waiting(api, &tx);
    }
    if let Some(found) = final_one(api, &hash)? {
        return Ok(found);
    }
    match api.backend.chain.pool().gone(&hash) {
        Some(why) => Ok(gone(why)),
        None => Ok(Explanation::Unknown {
            explanation: "this node has no such transaction, neither in a block nor in its mempool, and does not remember \
                          one: it was never sent here, it was refused or dropped long ago, or another transaction with its \
                          nonce took its place; send it again, the answer says what is wrong with it"
                .into(),
        }),
    }
}

/// What became of one that this node does not hold.
pub(crate) fn gone(why: Gone) -> Explanation {
    let dropped = |explanation: String| Explanation::Dropped { explanation };
    match why {
        Gone::Refused(error) => {
            let detail = error.detail().map(|detail| format!(" ({detail})")).unwrap_or_default();
            dropped(format!("this node refused it: {error}{detail}"))
        }
        Gone::Replaced { by } => Explanation::Replaced {
            explanation: format!("{by}, from the same sender with the same nonce, took its place"),
            by,
        },
        Gone::Evicted => {
            dropped("the mempool was full and others pay more: send it again with a higher price, or later".into())
        }
        Gone::NonceUsed { next } => dropped(format!(
            "another transaction of its sender with its nonce is final: sign it again, with nonce {next} or above"
        )),
        Gone::Unaffordable { balance, cost } => dropped(format!(
            "its sender had {balance} wei left and it may cost {cost}: send money there, then send it again"
        )),
        Gone::TooMany => dropped(
            "its sender had more transactions waiting than one may have: send it again when the others are final"
                .into(),
        ),
        Gone::Impossible => dropped("it cannot be put into any block: sign it again with other values".into()),
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

/// Why it failed.
pub(crate) fn failure(frame: &CallFrame, gas_used: u64, tx: &Recovered) -> String {
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
        return Ok(Explanation::Pending { explanation, sender, nonce, ahead: None });
    };
    if content.executable.iter().any(|other| other.hash() == tx.hash()) {
        let ahead = api.backend.chain.pool().ahead_of(tx.hash());
        return Ok(Explanation::Pending { explanation: pending(api, tx, ahead)?, sender, nonce, ahead });
    }
    let account = api.backend.chain.latest_state().account(&sender)?.unwrap_or_default();
    let held = |wanted: u64| content.executable.iter().chain(&content.queued).any(|other| other.nonce() == wanted);
    let missing_nonce = (account.nonce..nonce).find(|wanted| !held(*wanted));
    let explanation = match missing_nonce {
        Some(missing) => format!(
            "it has nonce {nonce}, and a transaction of {sender} with nonce {missing} has to come first: send that one"
        ),
        None if affordable(tx, &content, account.balance) => format!(
            "{sender} has {} transactions before it, and no more of one sender are taken at a time: it follows when some of \
             them are final",
            content.executable.len()
        ),
        None => format!(
            "{sender} has {} wei, which does not pay for it and for those of its transactions before it; send money there, \
             or replace one of them",
            account.balance
        ),
    };
    Ok(Explanation::Queued { explanation, sender, nonce, missing_nonce })
}

/// Whether a balance pays for a queued transaction, and for all of its sender's before it.
fn affordable(tx: &Recovered, content: &SenderContent, balance: U256) -> bool {
    let before = content.queued.iter().filter(|other| other.nonce() <= tx.nonce());
    let costs = content.executable.iter().chain(before).map(|other| other.cost().unwrap_or(U256::MAX));
    costs.fold(U256::ZERO, U256::saturating_add) <= balance
}

/// What an executable transaction waits for.
fn pending(api: &Api, tx: &Recovered, ahead: Option<usize>) -> Result<String, CallError> {
    let status = api.backend.status.borrow().clone();
    let quorum = status.quorum;
    if quorum.missing > 0 {
        let silent: Vec<_> = status.silent.iter().map(|one| format!("{} ({})", one.name, one.weight)).collect();
        return Ok(format!(
            "it is ready, but no blocks are made: validators with weight {} of {} are heard, {} are needed; it will be in a \
             block when {} more are back. Silent are: {}",
            quorum.heard,
            quorum.total,
            quorum.needed,
            quorum.missing,
            silent.join(", ")
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
    Ok(match ahead {
        None | Some(0) => "it is ready and will be in one of the next blocks".into(),
        Some(before) => format!("it is ready and will be in one of the next blocks, after {before} others"),
    })
}
