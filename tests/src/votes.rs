//! What a validator has signed, as the write-ahead logs of all nodes kept it.
//!
//! A node's log holds its own votes, the proposals that it took seriously and the certificates on which it
//! acted, which carry the votes of others. Read over all nodes and over all lives of one validator, they
//! show whether it ever signed two things that contradict each other.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use alloy::{consensus::Header, primitives::keccak256};
use alloy_rlp::Decodable;
use anyhow::{Context, Result, anyhow, bail, ensure};
use assent::wal::Wal;
use assent_chain::seal::Seal;
use assent_consensus::{
    BlockInfo, Certificate, Epoch, Hash, Height, Phase, Record, ValidatorIndex, ValidatorSet, View,
};
use assent_genesis::Genesis;
use tempfile::TempDir;

/// Who votes, and on which chain.
#[derive(Debug)]
pub struct Electorate {
    set: ValidatorSet,
    genesis: Hash,
}

/// Everything that one validator is known to have signed.
#[derive(Debug)]
pub struct Ballots {
    of: ValidatorIndex,
    signed: BTreeMap<(Epoch, View), BTreeSet<(Phase, Hash)>>,
}

impl Electorate {
    /// The validators of a genesis file.
    pub fn of(genesis: &Path) -> Result<Self> {
        let (genesis, _) = Genesis::load(genesis)?;
        let set = genesis.validator_set(Epoch(0), genesis.header().timestamp)?;
        Ok(Self { set, genesis: Hash(genesis.hash().0) })
    }

    /// Reads a certificate and checks it whole: a quorum of this electorate signed it.
    pub fn verify(&self, certificate: &[u8]) -> Result<Certificate> {
        let certificate = Certificate::decode(certificate, self.set.len())?;
        certificate.verify(&self.set, &self.genesis)?;
        Ok(certificate)
    }

    /// The validator with this key.
    pub fn index_of(&self, key: &str) -> Result<ValidatorIndex> {
        let mut all = (0..=u16::MAX).map(ValidatorIndex).take(self.set.len());
        all.find(|index| self.set.get(*index).is_some_and(|validator| validator.key.to_string() == key))
            .ok_or_else(|| anyhow!("{key} is no validator"))
    }
}

impl Ballots {
    /// Nothing yet.
    pub fn of(validator: ValidatorIndex) -> Self {
        Self { of: validator, signed: BTreeMap::new() }
    }

    /// How many different ballots are known.
    pub fn count(&self) -> usize {
        self.signed.values().map(BTreeSet::len).sum()
    }

    /// Adds what the log in `folder` holds.
    pub fn add(&mut self, folder: &Path, electorate: &Electorate) -> Result<()> {
        let set = &electorate.set;
        let contents = Wal::read(folder, electorate.genesis)?;
        for bytes in contents.iter().flat_map(|contents| &contents.replay.records) {
            let record = Record::decode(bytes, set.len(), &read_block)
                .with_context(|| format!("a record of {}", folder.display()))?;
            self.add_record(record, electorate)?;
        }
        Ok(())
    }

    fn add_record(&mut self, record: Record, electorate: &Electorate) -> Result<()> {
        let (set, genesis) = (&electorate.set, &electorate.genesis);
        match record {
            Record::Vote(vote) if vote.voter == self.of => {
                ensure!(vote.verify(set, genesis), "a log holds a vote whose signature is wrong: {vote:?}");
                let ballot = vote.ballot;
                self.note(ballot.epoch, ballot.view, ballot.phase, ballot.block);
            }
            Record::Proposal(proposal) if set.leader(proposal.block.view) == self.of => {
                ensure!(proposal.verify(set, genesis), "a log holds a proposal whose signature is wrong");
                let block = proposal.block;
                self.note(block.epoch, block.view, Phase::Propose, block.hash);
            }
            Record::Certificate(certificate) if certificate.signers().any(|signer| signer == self.of) => {
                certificate.verify(set, genesis)?;
                self.note(certificate.epoch, certificate.view, certificate.phase, certificate.block);
            }
            Record::Vote(_) | Record::Proposal(_) | Record::Certificate(_) => {}
        }
        Ok(())
    }

    fn note(&mut self, epoch: Epoch, view: View, phase: Phase, block: Hash) {
        // View changes of one view never contradict each other, whatever block they name.
        let block = if phase == Phase::ViewChange { Hash::ZERO } else { block };
        self.signed.entry((epoch, view)).or_default().insert((phase, block));
    }

    /// Fails when two of the ballots contradict each other: two blocks in one phase of a view, or both
    /// Commit and ViewChange (SPEC rule E).
    pub fn are_consistent(&self) -> Result<()> {
        for ((epoch, view), signed) in &self.signed {
            let mut phases: Vec<Phase> = signed.iter().map(|(phase, _)| *phase).collect();
            let all = phases.len();
            phases.dedup();
            let both = phases.contains(&Phase::Commit) && phases.contains(&Phase::ViewChange);
            if phases.len() < all || both {
                bail!("validator {:?} contradicted itself in epoch {epoch}, view {view}: {signed:?}", self.of);
            }
        }
        Ok(())
    }
}

/// Checks that everything that a validator signed, as these logs kept it, fits together; how many ballots were found.
/// `key` is the validator's in the genesis file.
pub fn never_contradicted(genesis: &Path, key: &str, logs: &[PathBuf]) -> Result<usize> {
    let electorate = Electorate::of(genesis)?;
    consistent_ballots(electorate.index_of(key)?, &electorate, logs)
}

/// Checks that none of the validators contradicted itself in anything that these folders of logs hold, and tells how
/// many ballots there are.
pub fn nobody_contradicted_itself(electorate: &Electorate, logs: &[PathBuf]) -> Result<usize> {
    let all = (0..=u16::MAX).map(ValidatorIndex).take(electorate.set.len());
    all.map(|index| consistent_ballots(index, electorate, logs)).sum()
}

/// How many ballots of a validator these logs hold; none may contradict another.
fn consistent_ballots(of: ValidatorIndex, electorate: &Electorate, logs: &[PathBuf]) -> Result<usize> {
    let mut ballots = Ballots::of(of);
    for log in logs {
        ballots.add(log, electorate).with_context(|| log.display().to_string())?;
    }
    ballots.are_consistent()?;
    Ok(ballots.count())
}

/// Copies of the logs of nodes that died, because a node goes on in its log and drops the old part of it.
#[derive(Debug)]
pub struct Lives {
    folder: TempDir,
    logs: Vec<PathBuf>,
}

impl Lives {
    /// No copy yet.
    pub fn none() -> Result<Self> {
        Ok(Self { folder: tempfile::tempdir()?, logs: Vec::new() })
    }

    /// Copies the log of a node in this home that does not run.
    pub fn keep(&mut self, home: &Path) -> Result<()> {
        let copy = self.folder.path().join(format!("life-{}", self.logs.len()));
        copy_files(&home.join("data/wal"), &copy)?;
        self.logs.push(copy);
        Ok(())
    }

    /// The folders of the copies.
    pub fn logs(&self) -> &[PathBuf] {
        &self.logs
    }
}

/// What consensus needs to know of a block, and its encoded header.
fn read_block(payload: &[u8]) -> Option<(BlockInfo, Arc<[u8]>)> {
    let mut items = payload;
    alloy_rlp::Header::decode(&mut items).ok().filter(|outer| outer.list)?;
    let header_bytes = first_item(items)?;
    let header = Header::decode(&mut items).ok()?;
    let transactions = first_item(items)?;
    let mut seal = items.get(transactions.len()..)?;
    let seal = Seal::decode(&mut seal).ok()?;
    let info = BlockInfo {
        hash: Hash(keccak256(header_bytes).0),
        parent: Hash(header.parent_hash.0),
        height: Height(header.number),
        epoch: Epoch(seal.epoch),
        view: View(seal.view),
        parent_certificate: Hash(seal.parent_certificate.0),
    };
    Some((info, header_bytes.into()))
}

/// The bytes of the first item of an RLP payload.
fn first_item(payload: &[u8]) -> Option<&[u8]> {
    let mut rest = payload;
    let header = alloy_rlp::Header::decode(&mut rest).ok()?;
    payload.get(..payload.len() - rest.len() + header.payload_length)
}

/// Copies the files of a folder, not its folders.
pub fn copy_files(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let path = entry?.path();
        if let (true, Some(name)) = (path.is_file(), path.file_name()) {
            fs::copy(&path, to.join(name))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contradictions_are_found() {
        let (a, b) = (Hash([1; 32]), Hash([2; 32]));
        let consistent = |ballots: &[(u64, Phase, Hash)]| {
            let mut all = Ballots::of(ValidatorIndex(0));
            for (view, phase, block) in ballots {
                all.note(Epoch(0), View(*view), *phase, *block);
            }
            all.are_consistent().is_ok()
        };
        assert!(consistent(&[(1, Phase::Prepare, a), (1, Phase::Prepare, a), (1, Phase::Commit, a)]));
        assert!(consistent(&[(1, Phase::Prepare, a), (2, Phase::Prepare, b)]));
        assert!(consistent(&[(1, Phase::Prepare, a), (1, Phase::ViewChange, a), (1, Phase::ViewChange, b)]));
        assert!(!consistent(&[(1, Phase::Prepare, a), (1, Phase::Prepare, b)]));
        assert!(!consistent(&[(1, Phase::Propose, a), (1, Phase::Propose, b)]));
        assert!(!consistent(&[(1, Phase::Commit, a), (1, Phase::ViewChange, Hash::ZERO)]));
    }
}
