//! `assent db check`: is everything that is stored what it should be?
//!
//! Goes on after a fault, so that one run tells all that is wrong, up to a number that nobody reads any more.

use std::{collections::BTreeMap, fmt::Write};

use alloy_primitives::B256;
use anyhow::{Result, bail};
use assent_chain::{OpenError, storage::CheckedBlock};
use assent_consensus::{Certificate, Hash, Phase, ValidatorSet};
use indicatif::ProgressBar;
use rayon::prelude::*;

use super::{Data, logs::Logs};
use crate::cli::{print, table::count};

/// Faults that are told one by one.
const TOLD: usize = 20;

/// Blocks that are checked together.
const CHUNK: u64 = 256;

/// What was found, in the order in which it was looked at.
#[derive(Default)]
struct Report {
    text: String,
    faults: usize,
    /// Whether a fault is one of the database, which other nodes can give again.
    chain_damaged: bool,
}

impl Report {
    fn fine(&mut self, text: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "ok     {text}");
    }

    fn note(&mut self, text: &str) {
        let _ = writeln!(self.text, "note   {text}");
    }

    fn fault(&mut self, error: impl std::fmt::Display) {
        self.faults += 1;
        if self.faults <= TOLD {
            let _ = writeln!(self.text, "FAULT  {error}");
        }
    }

    fn chain_fault(&mut self, error: impl std::fmt::Display) {
        self.chain_damaged = true;
        self.fault(error);
    }
}

/// Checks the last `blocks` blocks; `None`: all of them, and the whole state.
pub(super) fn run(data: &Data, blocks: Option<u64>) -> Result<()> {
    let mut report = Report::default();
    let (number, hash) = data.chain.head();
    report.fine(&format!("database: format {}, genesis {}", data.chain.format(), data.genesis_hash));
    match data.chain.check_recent() {
        Ok(()) => report.fine(&format!("head: block {number}, {hash}, with its state root")),
        // The advice comes at the end, for all faults.
        Err(OpenError::Damaged { reason, .. }) => report.chain_fault(reason),
        Err(error) => report.chain_fault(error),
    }
    let first = blocks.map_or(0, |blocks| (number + 1).saturating_sub(blocks));
    check_blocks(data, first, number, &mut report)?;
    if blocks.is_none() {
        check_state(data, &mut report);
    }
    check_logs(data, &mut report);
    finish(data, report, first)
}

fn check_blocks(data: &Data, first: u64, last: u64, report: &mut Report) -> Result<()> {
    if first > last {
        return Ok(());
    }
    let progress = ProgressBar::new(last - first + 1);
    let (mut transactions, mut certificates, faults) = (0, 0, report.faults);
    let mut verifier = Verifier { data, sets: BTreeMap::new() };
    for start in (first..=last).step_by(CHUNK as usize) {
        let numbers: Vec<u64> = (start..=last.min(start + CHUNK - 1)).collect();
        let checked: Vec<_> = numbers.par_iter().map(|number| data.chain.check_block(*number)).collect();
        progress.inc(numbers.len() as u64);
        for (number, block) in numbers.into_iter().zip(checked) {
            match block {
                Err(error) => report.chain_fault(error),
                Ok(block) => {
                    transactions += block.transactions;
                    match verifier.check(number, &block)? {
                        Ok(Proof::NoneNeeded) => {}
                        Ok(Proof::Commit) => certificates += 1,
                        Ok(Proof::Prepare) => {
                            certificates += 1;
                            if number == last {
                                report.note("the head has only a prepare certificate: the blocks that prove it come with the next start");
                            }
                        }
                        Err(error) => report.chain_fault(error),
                    }
                }
            }
        }
    }
    progress.finish_and_clear();
    if report.faults == faults {
        let transactions = count(transactions as u64, "transaction");
        report.fine(&format!("blocks {first} to {last}: links, seals, {transactions} with senders and receipts"));
        report.fine(&format!("certificates: {certificates} verified, every signature"));
    }
    Ok(())
}

/// What a stored certificate proves.
enum Proof {
    /// The genesis block is final by itself.
    NoneNeeded,
    /// The block is final.
    Commit,
    /// The block is final if a later one is.
    Prepare,
}

/// Why a certificate proves nothing.
#[derive(Debug, thiserror::Error)]
enum ProofError {
    #[error("block {0}: it has no certificate: nothing proves that it is final, and no node can fetch it from here")]
    Missing(u64),
    #[error("block {number}: its seal names the validator set {got}, expected {expected}")]
    OtherSet { number: u64, expected: B256, got: B256 },
    #[error("block {0}: its certificate cannot be read: {1}")]
    Malformed(u64, assent_consensus::DecodeError),
    #[error("block {0}: its certificate is of block {1}, view {2}")]
    OtherBlock(u64, Hash, u64),
    #[error("block {0}: its certificate is of {1:?} votes, expected Commit or Prepare")]
    Phase(u64, Phase),
    #[error("block {0}: its certificate does not hold: {1}")]
    Invalid(u64, assent_consensus::CertificateError),
}

struct Verifier<'a> {
    data: &'a Data,
    /// By epoch.
    sets: BTreeMap<u64, ValidatorSet>,
}

impl Verifier<'_> {
    /// Verifies the certificate of a block. The outer error: there is no such validator set.
    fn check(&mut self, number: u64, block: &CheckedBlock) -> Result<Result<Proof, ProofError>> {
        if !self.sets.contains_key(&block.epoch) {
            self.sets.insert(block.epoch, self.data.validators(block.epoch)?);
        }
        Ok(verify(number, block, &self.sets[&block.epoch], &self.data.genesis_hash))
    }
}

fn verify(number: u64, block: &CheckedBlock, set: &ValidatorSet, genesis: &Hash) -> Result<Proof, ProofError> {
    if number == 0 {
        return Ok(Proof::NoneNeeded);
    }
    let (expected, got) = (B256::from(set.hash().0), block.validator_set);
    if expected != got {
        return Err(ProofError::OtherSet { number, expected, got });
    }
    let bytes = block.certificate.as_ref().ok_or(ProofError::Missing(number))?;
    let certificate = Certificate::decode(bytes, set.len()).map_err(|error| ProofError::Malformed(number, error))?;
    if certificate.block.0 != block.hash.0 || certificate.view.0 != block.view {
        return Err(ProofError::OtherBlock(number, certificate.block, certificate.view.0));
    }
    certificate.verify(set, genesis).map_err(|error| ProofError::Invalid(number, error))?;
    match certificate.phase {
        Phase::Commit => Ok(Proof::Commit),
        Phase::Prepare => Ok(Proof::Prepare),
        phase => Err(ProofError::Phase(number, phase)),
    }
}

fn check_state(data: &Data, report: &mut Report) {
    match data.chain.check_state() {
        Ok(state) => report.fine(&format!(
            "state: {}, {}, {}, up to the state root",
            count(state.accounts, "account"),
            count(state.slots, "storage slot"),
            count(state.nodes, "trie node")
        )),
        Err(error) => report.chain_fault(error),
    }
}

fn check_logs(data: &Data, report: &mut Report) {
    let logs = match Logs::read(data) {
        Ok(logs) => logs,
        Err(error) => return report.fault(error),
    };
    if let Err(error) = logs.compare() {
        return report.fault(error);
    }
    if let Some(text) = logs.describe_wal() {
        report.fine(&format!("consensus log: {text}"));
    }
    match logs.describe_mark() {
        Some(text) => report.fine(&format!("signer: {text}")),
        None if data.home.validator_key().exists() => report.note(
            "signer: no mark, so this validator does not know what it signed; it abstains until that is safe, by itself",
        ),
        None => report.fine("signer: none, as on every follower"),
    }
}

fn finish(data: &Data, mut report: Report, first: u64) -> Result<()> {
    let untold = report.faults.saturating_sub(TOLD);
    if untold > 0 {
        let _ = writeln!(report.text, "... and {}", count(untold as u64, "further fault"));
    }
    if report.faults == 0 && first > 0 {
        let _ = writeln!(report.text, "\nBlocks before {first} and most of the state were not looked at: --full does");
    }
    print(&report.text)?;
    if report.faults == 0 {
        return Ok(());
    }
    let mut advice = String::new();
    if report.chain_damaged {
        let _ = write!(
            advice,
            "\nData that was written does not change by itself: look after the disk and the memory of this machine \
             first.\nThen move {} away and start the node: it fetches all blocks again from the others and executes \
             them.\nLeave {}, {} and the keys where they are: they say what this validator signed.",
            data.home.chain().display(),
            data.home.wal().display(),
            data.home.data().join("signer.mark").display()
        );
    }
    bail!("{} in {}{advice}", count(report.faults as u64, "fault"), data.home)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_told_up_to_a_number_and_counted_beyond() {
        let mut report = Report::default();
        report.fine("head");
        (0..TOLD + 3).for_each(|number| report.chain_fault(format!("block {number}")));
        assert!(report.text.starts_with("ok     head\nFAULT  block 0\n"), "{}", report.text);
        assert_eq!((report.text.lines().count(), report.faults), (TOLD + 1, TOLD + 3));
        assert!(report.chain_damaged);
    }
}
