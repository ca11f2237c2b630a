//! What happened in a run: a hash over all events, and the last of them for people.

use std::collections::VecDeque;
use std::fmt;

use sha2::{Digest, Sha256};

use crate::{Ballot, Hash, Height, ValidatorIndex, View};

/// Events that are kept for printing.
const KEPT: usize = 200;

/// Something worth a line.
#[derive(Clone, Copy, Debug)]
pub(super) enum Moment {
    Started,
    Wiped,
    RolledBack,
    Crashed,
    Split,
    Mended,
    Healed,
    Entered(View),
    Timeout(View),
    Signed(Ballot),
    Final(Height, Hash),
    Synced(u64),
    Accused(ValidatorIndex),
}

/// The first bytes of a hash are enough for people.
fn short(hash: &Hash) -> String {
    hash.to_string().chars().take(10).collect()
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started => write!(f, "starts"),
            Self::Wiped => write!(f, "starts with a wiped disk"),
            Self::RolledBack => write!(f, "starts with an earlier copy of its disk"),
            Self::Crashed => write!(f, "crashes"),
            Self::Split => write!(f, "-- the network is partitioned"),
            Self::Mended => write!(f, "-- the partition ends"),
            Self::Healed => write!(f, "-- all faults end"),
            Self::Entered(view) => write!(f, "is in view {view}"),
            Self::Timeout(view) => write!(f, "waited long enough in view {view}"),
            Self::Signed(b) => write!(f, "signs {:?} view {} block {}", b.phase, b.view, short(&b.block)),
            Self::Final(height, hash) => write!(f, "has final height {height}: {}", short(hash)),
            Self::Synced(blocks) => write!(f, "gets {blocks} blocks by sync"),
            Self::Accused(who) => write!(f, "has evidence against {who}"),
        }
    }
}

/// The trace of a run.
#[derive(Debug, Default)]
pub(super) struct Trace {
    hasher: Sha256,
    lines: VecDeque<(u64, usize, Moment)>,
}

impl Trace {
    /// Takes an event into the hash.
    pub(super) fn hash(&mut self, numbers: &[u64]) {
        for number in numbers {
            self.hasher.update(number.to_be_bytes());
        }
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
    }

    pub(super) fn line(&mut self, at: u64, node: usize, moment: Moment) {
        if self.lines.len() == KEPT {
            self.lines.pop_front();
        }
        self.lines.push_back((at, node, moment));
    }

    /// The last events, a line each.
    pub(super) fn timeline(&self) -> Vec<String> {
        let text = |(at, node, moment): &(u64, usize, Moment)| {
            format!("{:>6}.{:06} s  node {node:<2} {moment}", at / 1_000_000, at % 1_000_000)
        };
        self.lines.iter().map(text).collect()
    }

    pub(super) fn finish(self) -> Hash {
        Hash(self.hasher.finalize().into())
    }
}
