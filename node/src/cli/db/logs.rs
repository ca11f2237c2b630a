//! What a validator must not forget: its consensus log and its signer's mark, read and compared.

use assent_consensus::recovery::RecoveryError;
use assent_consensus::{Phase, Record, View};

use super::Data;
use crate::cli::table::{bytes, count};
use crate::signer::{Mark, SignerError, SignerMark, load_mark};
use crate::wal::{Wal, WalContents, WalError};

/// Why log and mark are not what a validator can start with.
#[derive(Debug, thiserror::Error)]
pub(super) enum LogError {
    #[error("consensus log: {0}")]
    Wal(#[from] WalError),
    #[error("signer: {0}")]
    Signer(#[from] SignerError),
    #[error("consensus log: a vote in it cannot be read ({0}): another version of the program wrote it")]
    Record(#[from] assent_consensus::DecodeError),
    #[error(transparent)]
    Recovery(#[from] RecoveryError),
}

/// What a node that votes keeps. All absent: a follower, or a validator that lost its memory.
pub(super) struct Logs {
    pub(super) wal: Option<WalContents>,
    /// The last vote in the log.
    pub(super) tip: Option<Mark>,
    pub(super) mark: Option<SignerMark>,
}

impl Logs {
    /// Reads both.
    pub(super) fn read(data: &Data) -> Result<Self, LogError> {
        let wal = Wal::read(&data.home.wal(), data.genesis_hash)?;
        let mark = load_mark(&data.home.data(), data.genesis_hash)?;
        let validators = data.genesis.assent.validators.len();
        let tip = wal.as_ref().map(|wal| tip(wal, validators)).transpose()?.flatten();
        Ok(Self { wal, tip, mark })
    }

    /// Whether the log has everything that the signer's file says it has.
    pub(super) fn compare(&self) -> Result<(), LogError> {
        let tip = self.tip.unwrap_or((View(0), 0));
        match self.mark.as_ref().map(|mark| mark.floor) {
            Some(floor) if tip < floor => Err(RecoveryError::LogBehindSigner { tip, floor }.into()),
            _ => Ok(()),
        }
    }

    /// The log in words; `None`: there is none.
    pub(super) fn describe_wal(&self) -> Option<String> {
        let wal = self.wal.as_ref()?;
        let torn = match wal.replay.torn_bytes {
            0 => String::new(),
            torn => format!(", {} torn by a crash (no harm: the next start cuts them off)", bytes(torn)),
        };
        let end = self.tip.map_or_else(|| "no votes".to_string(), |tip| format!("ends at {}", position(tip)));
        Some(format!(
            "{}, {}, {}, {end}{torn}",
            count(wal.segments as u64, "segment"),
            count(wal.replay.records.len() as u64, "record"),
            bytes(wal.bytes)
        ))
    }

    /// The mark in words; `None`: there is none.
    pub(super) fn describe_mark(&self) -> Option<String> {
        let mark = self.mark.as_ref()?;
        if mark.lost {
            return Some(
                "lost: others showed votes that it does not know; the node abstains until that is safe".to_string(),
            );
        }
        if mark.mark == (View(0), 0) {
            return Some("has signed nothing yet".to_string());
        }
        let last = mark.kept.last().filter(|(ballot, _)| ballot.mark() == mark.mark);
        let what = last.map_or_else(String::new, |(ballot, _)| match ballot.phase {
            Phase::ViewChange => ", a view change".to_string(),
            phase => format!(", {} {}", phase_name(phase), ballot.block),
        });
        Some(format!("last signed {}{what}; log durable up to {}", position(mark.mark), position(mark.floor)))
    }
}

fn tip(wal: &WalContents, validators: usize) -> Result<Option<Mark>, assent_consensus::DecodeError> {
    let mut tip = wal.replay.tip;
    for bytes in wal.replay.records.iter().filter(|bytes| Record::is_vote(bytes)) {
        // A vote has no block in it.
        if let Record::Vote(vote) = Record::decode(bytes, validators, &|_| None)? {
            tip = tip.max(Some(vote.ballot.mark()));
        }
    }
    Ok(tip)
}

fn position((view, step): Mark) -> String {
    format!("view {view} step {step}")
}

const fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Propose => "the proposal of",
        Phase::Prepare => "a Prepare for",
        Phase::Commit => "a Commit for",
        Phase::ViewChange => "a ViewChange after",
    }
}
