//! The answers as a person reads them.

use std::time::Duration;

use alloy_consensus::{Transaction as _, Typed2718};
use alloy_primitives::{Address, B256, U256, keccak256};
use alloy_rpc_types_eth::{self as rpc, TransactionReceipt};

use super::answer::{Account, Certificate, Seal, Validators};
use crate::cli::{
    amount::ether,
    table::{Lines, bytes, count, moment, table},
};

/// Transactions and logs that are listed; `--json` has all.
const LISTED: usize = 50;

/// The first bytes of the code of an account that acts by another one's code (EIP-7702).
const DELEGATION: [u8; 3] = [0xef, 0x01, 0x00];

/// A block with its transactions.
pub(super) type Block = rpc::Block<rpc::Transaction>;

pub(super) fn block(block: &Block, seal: Option<&Seal>, certificate: Option<&Certificate>, now: Duration) -> String {
    let header = &block.header;
    let mut lines = Lines::default();
    lines.add("Block", header.number);
    lines.add("Hash", header.hash);
    lines.add("Parent", header.parent_hash);
    let time = match seal {
        Some(seal) => Duration::from_millis(seal.timestamp_ms),
        None => Duration::from_secs(header.timestamp),
    };
    lines.add("Time", moment(time, now));
    if let Some(seal) = seal {
        let proposer = name(seal.proposer_name.as_deref(), seal.proposer);
        lines.add("Proposer", format!("{proposer}, in view {} of epoch {}", seal.view, seal.epoch));
        if !seal.evidence.is_empty() {
            lines.add("Evidence", format!("{} against validators that contradicted themselves", seal.evidence.len()));
        }
    }
    lines.add("Fees to", header.beneficiary);
    if let Some(certificate) = certificate {
        lines.add("Votes", votes(certificate, header.number));
    }
    lines.add("Transactions", block.transactions.len());
    lines.add("Gas", gas(header.gas_used, header.gas_limit));
    lines.add("Base fee", ether(U256::from(header.base_fee_per_gas.unwrap_or_default())));
    if let Some(size) = header.size {
        lines.add("Size", bytes(size.saturating_to()));
    }
    lines.add("State root", header.state_root);
    let mut text = lines.text();
    let transactions = block.transactions.txns();
    let rows = transactions.take(LISTED).map(|tx| {
        let from = tx.inner.signer().to_string();
        [tx.inner.tx_hash().to_string(), from, recipient(tx.to()), short_ether(tx.value())]
    });
    let rows: Vec<_> = rows.collect();
    if !rows.is_empty() {
        text.push('\n');
        text.push_str(&table(["Transaction", "From", "To", "Ether"], rows));
    }
    text.push_str(&more(block.transactions.len(), "transactions"));
    text
}

fn votes(certificate: &Certificate, number: u64) -> String {
    let Certificate { phase, view, weight, total, .. } = certificate;
    let of = if certificate.number == number { String::new() } else { format!(" for block {}", certificate.number) };
    let names: Vec<String> =
        certificate.signers.iter().map(|signer| name(signer.name.as_deref(), signer.index)).collect();
    format!("weight {weight} of {total}: {phase}{of} in view {view} by {}", names.join(", "))
}

/// A validator's name in the genesis file, or else its index.
fn name(name: Option<&str>, index: u16) -> String {
    name.map_or_else(|| format!("validator {index}"), String::from)
}

fn recipient(to: Option<Address>) -> String {
    to.map_or_else(|| "creates a contract".to_string(), |to| to.to_string())
}

/// An amount in ether alone, for a table.
fn short_ether(wei: U256) -> String {
    let text = ether(wei);
    text.split(' ').next().unwrap_or_default().to_string()
}

fn gas(used: u64, limit: u64) -> String {
    let percent = used as f64 * 100.0 / limit.max(1) as f64;
    format!("{used} of {limit} ({percent:.1} %)")
}

fn more(all: usize, what: &str) -> String {
    match all.saturating_sub(LISTED) {
        0 => String::new(),
        rest => format!("... and {rest} more {what}: --json has all\n"),
    }
}

pub(super) fn transaction(tx: &rpc::Transaction, now: Duration) -> String {
    let mut lines = Lines::default();
    lines.add("Transaction", tx.inner.tx_hash());
    lines.add(
        "Status",
        match (tx.block_number, tx.transaction_index) {
            (Some(number), Some(index)) => format!("final in block {number}, at position {index}"),
            _ => "not final: waits in the mempool".to_string(),
        },
    );
    if let Some(hash) = tx.block_hash {
        lines.add("Block hash", hash);
    }
    if let Some(timestamp) = tx.block_timestamp {
        lines.add("Time", moment(Duration::from_secs(timestamp), now));
    }
    lines.add("From", tx.inner.signer());
    lines.add("To", recipient(tx.to()));
    if tx.to().is_none() {
        lines.add("Contract", tx.inner.signer().create(tx.nonce()));
    }
    lines.add("Value", ether(tx.value()));
    lines.add("Nonce", tx.nonce());
    lines.add("Type", type_name(tx.ty()));
    lines.add("Gas limit", tx.gas_limit());
    match tx.max_priority_fee_per_gas() {
        None => lines.add("Gas price", ether(U256::from(tx.max_fee_per_gas()))),
        Some(tip) => {
            lines.add("Highest price", ether(U256::from(tx.max_fee_per_gas())));
            lines.add("Highest tip", ether(U256::from(tip)));
        }
    }
    let input = tx.input();
    lines.add(
        "Data",
        match input.first_chunk::<4>() {
            None if input.is_empty() => "none".to_string(),
            Some(selector) if tx.to().is_some() => {
                format!("{}, begins with 0x{}", count(input.len() as u64, "byte"), hex::encode(selector))
            }
            _ => count(input.len() as u64, "byte"),
        },
    );
    lines.text()
}

fn type_name(ty: u8) -> String {
    match ty {
        0 => "legacy".to_string(),
        1 => "1, access list (EIP-2930)".to_string(),
        2 => "2, fee market (EIP-1559)".to_string(),
        4 => "4, set code (EIP-7702)".to_string(),
        other => other.to_string(),
    }
}

pub(super) fn receipt(receipt: &TransactionReceipt) -> String {
    let mut lines = Lines::default();
    lines.add("Transaction", receipt.transaction_hash);
    lines.add("Status", status(receipt));
    let number = receipt.block_number.unwrap_or_default();
    lines.add("Block", format!("{number}, at position {}", receipt.transaction_index.unwrap_or_default()));
    lines.add("Block hash", receipt.block_hash.unwrap_or_default());
    lines.add("From", receipt.from);
    lines.add("To", recipient(receipt.to));
    if let Some(contract) = receipt.contract_address {
        lines.add("Contract", contract);
    }
    lines.add("Gas used", receipt.gas_used);
    lines.add("Price of gas", ether(U256::from(receipt.effective_gas_price)));
    lines.add("Fee", ether(U256::from(receipt.effective_gas_price) * U256::from(receipt.gas_used)));
    let logs = receipt.logs();
    lines.add("Logs", logs.len());
    let mut text = lines.text();
    if !logs.is_empty() {
        text.push('\n');
        let rows = logs.iter().take(LISTED).map(|log| {
            let topics = log.topics();
            [
                log.log_index.map_or_else(String::new, |index| index.to_string()),
                log.address().to_string(),
                topics.first().map_or_else(|| "-".to_string(), B256::to_string),
                topics.len().to_string(),
                bytes(log.data().data.len() as u64),
            ]
        });
        text.push_str(&table(["Log", "Address", "First topic", "Topics", "Data"], rows));
    }
    text.push_str(&more(logs.len(), "logs"));
    text
}

/// What came of a transaction, in words.
pub(in crate::cli) fn status(receipt: &TransactionReceipt) -> &'static str {
    if receipt.status() { "success" } else { "failed: what it did is undone; the gas is paid and the nonce used" }
}

pub(super) fn account(account: &Account) -> String {
    let Account { address, block, balance, nonce, pending_nonce, code } = account;
    let mut lines = Lines::default();
    lines.add("Account", address);
    lines.add("Balance", ether(*balance));
    let waiting = pending_nonce.saturating_sub(*nonce);
    let waits = if waiting == 0 { String::new() } else { format!(" ({pending_nonce} with what waits in the mempool)") };
    lines.add("Nonce", format!("{nonce}{waits}"));
    lines.add(
        "Code",
        match code.strip_prefix(&DELEGATION) {
            _ if code.is_empty() => "none".to_string(),
            Some(to) if to.len() == Address::len_bytes() => {
                format!("that of {} (EIP-7702)", Address::from_slice(to))
            }
            _ => format!("{}, keccak256 {}", count(code.len() as u64, "byte"), keccak256(code)),
        },
    );
    lines.add("At block", block);
    let mut text = lines.text();
    if balance.is_zero() && *pending_nonce == 0 && code.is_empty() {
        text.push_str("Nobody has used this account: it has sent nothing, owns nothing and has no code.\n");
    }
    text
}

pub(super) fn validators(set: &Validators) -> String {
    let mut lines = Lines::default();
    lines.add("Epoch", set.epoch);
    lines.add("Validators", set.validators.len());
    lines.add("Weight", format!("{} in all; a quorum has at least {}", set.total, set.needed));
    lines.add("Set's hash", set.hash);
    let rows = set.validators.iter().map(|validator| {
        let share = validator.weight as f64 * 100.0 / set.total.max(1) as f64;
        [
            validator.index.to_string(),
            validator.name.clone().unwrap_or_else(|| "-".into()),
            validator.weight.to_string(),
            format!("{share:.1} %"),
            validator.key.to_string(),
            validator.fee_recipient.filter(|to| !to.is_zero()).map_or_else(|| "-".into(), |to| to.to_string()),
            validator.org.clone().unwrap_or_else(|| "-".into()),
            validator.region.clone().unwrap_or_else(|| "-".into()),
        ]
    });
    let headings = ["Index", "Name", "Weight", "Share", "Key", "Fees to", "Org", "Region"];
    format!("{}\n{}", lines.text(), table(headings, rows))
}

pub(super) fn certificate(certificate: &Certificate, set: Option<&Validators>) -> String {
    let mut lines = Lines::default();
    lines.add("Block", certificate.number);
    lines.add("Hash", certificate.block);
    lines.add("Votes", format!("{} in view {} of epoch {}", certificate.phase, certificate.view, certificate.epoch));
    let needed = set.map_or_else(String::new, |set| format!("; a quorum has at least {}", set.needed));
    lines.add("Weight", format!("{} of {}{needed}", certificate.weight, certificate.total));
    let signed = |index: u16| certificate.signers.iter().any(|signer| signer.index == index);
    let others = set.iter().flat_map(|set| &set.validators).filter(|validator| !signed(validator.index));
    let others: Vec<String> = others
        .map(|validator| format!("{} ({})", name(validator.name.as_deref(), validator.index), validator.weight))
        .collect();
    if !others.is_empty() {
        lines.add("Without", others.join(", "));
    }
    let rows = certificate.signers.iter().map(|signer| {
        let signature = hex::encode(&signer.signature);
        [
            signer.index.to_string(),
            signer.name.clone().unwrap_or_else(|| "-".into()),
            signer.weight.to_string(),
            signer.key.to_string(),
            format!("0x{}...", &signature[..signature.len().min(16)]),
        ]
    });
    format!("{}\n{}", lines.text(), table(["Index", "Name", "Weight", "Key", "Signature"], rows))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use alloy_primitives::Bytes;
    use serde_json::json;

    use super::*;

    const NOW: Duration = Duration::from_secs(1_700_000_003);

    fn some_certificate() -> Certificate {
        serde_json::from_value(json!({
            "phase": "commit", "epoch": 0, "view": 13, "block": B256::repeat_byte(1), "number": 12,
            "signers": [
                {"index": 0, "name": "node0", "key": B256::repeat_byte(2), "weight": 40, "signature": "0xaabbccddeeff00112233"},
                {"index": 1, "name": null, "key": B256::repeat_byte(3), "weight": 30, "signature": "0x"},
            ],
            "weight": 70, "total": 100, "raw": "0x",
        }))
        .unwrap()
    }

    fn some_validators() -> Validators {
        serde_json::from_value(json!({
            "epoch": 0, "hash": B256::repeat_byte(9), "total": 100, "needed": 67,
            "validators": [
                {"index": 0, "name": "node0", "key": B256::repeat_byte(2), "weight": 40, "feeRecipient": Address::ZERO, "org": "Bank", "region": null},
                {"index": 1, "name": "node1", "key": B256::repeat_byte(3), "weight": 30, "feeRecipient": null, "org": null, "region": null},
                {"index": 2, "name": "node2", "key": B256::repeat_byte(4), "weight": 30, "feeRecipient": null, "org": null, "region": null},
            ],
        }))
        .unwrap()
    }

    fn contains(text: &str, words: &[&str]) {
        for words in words {
            assert!(text.contains(words), "{words} is missing in\n{text}");
        }
    }

    #[test]
    fn a_block_tells_who_proposed_and_who_voted() {
        let mut shown: Block = Block::default();
        shown.header.number = 12;
        shown.header.timestamp = 1_700_000_000;
        shown.header.gas_used = 42_000;
        shown.header.gas_limit = 30_000_000;
        let seal = json!({
            "epoch": 0, "view": 13, "proposer": 1, "proposerName": "node1", "timestampMs": 1_700_000_000_500_u64,
            "parentCertificate": B256::ZERO, "validatorSet": B256::ZERO, "evidence": [],
        });
        let seal: Seal = serde_json::from_value(seal).unwrap();
        let text = block(&shown, Some(&seal), Some(&some_certificate()), NOW);
        contains(
            &text,
            &[
                "Block         12\n",
                "Time          2023-11-14 22:13:20 UTC, 2.5 s ago",
                "Proposer      node1, in view 13 of epoch 0",
                "Votes         weight 70 of 100: commit in view 13 by node0, validator 1\n",
                "Gas           42000 of 30000000 (0.1 %)",
            ],
        );
        assert!(!text.contains("From"), "{text}");
        // Another kind of node knows less.
        let text = block(&shown, None, None, NOW);
        contains(&text, &["22:13:20 UTC, 3.0 s ago"]);
        assert!(!text.contains("Proposer"), "{text}");
        shown.header.number = 10;
        contains(&block(&shown, None, Some(&some_certificate()), NOW), &["commit for block 12 in view 13"]);
    }

    #[test]
    fn a_receipt_tells_what_was_paid() {
        let json = json!({
            "type": "0x2", "status": "0x0", "cumulativeGasUsed": "0x5208", "logsBloom": format!("0x{}", "00".repeat(256)),
            "logs": [{
                "address": Address::repeat_byte(7), "topics": [B256::repeat_byte(8)], "data": "0x0102",
                "blockHash": B256::repeat_byte(1), "blockNumber": "0xc", "transactionHash": B256::repeat_byte(5),
                "transactionIndex": "0x0", "logIndex": "0x3", "removed": false,
            }],
            "transactionHash": B256::repeat_byte(5), "transactionIndex": "0x0", "blockHash": B256::repeat_byte(1),
            "blockNumber": "0xc", "gasUsed": "0x5208", "effectiveGasPrice": "0x3b9aca00", "from": Address::repeat_byte(6),
            "to": null, "contractAddress": Address::repeat_byte(9),
        });
        let text = receipt(&serde_json::from_value(json).unwrap());
        contains(
            &text,
            &[
                "Status        failed",
                "Block         12, at position 0",
                "To            creates a contract",
                "Contract      0x0909",
                "Fee           0.000021 ether (21000000000000 wei)",
                "3    0x0707",
                "2 B",
            ],
        );
    }

    #[test]
    fn an_account_tells_what_it_is() {
        let mut shown = Account {
            address: Address::repeat_byte(1),
            block: 12,
            balance: U256::ZERO,
            nonce: 0,
            pending_nonce: 0,
            code: Bytes::new(),
        };
        contains(&account(&shown), &["Balance   0\n", "Code      none", "Nobody has used this account"]);
        shown.pending_nonce = 2;
        contains(&account(&shown), &["Nonce     0 (2 with what waits in the mempool)"]);
        shown.code = [&DELEGATION[..], &[5; 20]].concat().into();
        contains(&account(&shown), &["Code      that of 0x0505", "EIP-7702"]);
        shown.code = Bytes::from_static(&[0x60]);
        contains(&account(&shown), &["Code      1 byte, keccak256 0x"]);
    }

    #[test]
    fn a_certificate_names_those_without_a_vote_in_it() {
        let text = certificate(&some_certificate(), Some(&some_validators()));
        contains(
            &text,
            &[
                "Votes    commit in view 13 of epoch 0",
                "Weight   70 of 100; a quorum has at least 67",
                "Without  node2 (30)",
                "0      node0  40      0x0202",
                "0xaabbccddeeff0011...",
            ],
        );
        let text = validators(&some_validators());
        contains(&text, &["100 in all; a quorum has at least 67", "0      node0  40      40.0 %", "Bank"]);
    }
}
