//! What happened in a run: a hash over all events, and the last of them (or all) for people.

use std::collections::VecDeque;
use std::fmt;

use sha2::{Digest, Sha256};

use super::kinds::FaultKind;
use crate::{Ballot, Hash, Height, ValidatorIndex, View};

/// Events that are kept for printing, unless all are.
const KEPT: usize = 200;

/// Something worth a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Moment {
    Started,
    StartedWiped,
    StartedRolledBack,
    Refused,
    Crashed,
    Fault(FaultKind),
    Ended(FaultKind),
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

/// A line of the timeline.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    /// When, in microseconds of the run.
    pub at_us: u64,
    /// Which node; none for what concerns the whole network.
    pub node: Option<usize>,
    /// Its name.
    pub name: String,
    /// What happened.
    pub text: String,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, rest) = (self.at_us / 1_000_000, self.at_us % 1_000_000);
        write!(f, "{seconds:>6}.{rest:06} s  {:<8} {}", self.name, self.text)
    }
}

/// The trace of a run.
#[derive(Debug, Default)]
pub(super) struct Trace {
    hasher: Sha256,
    whole: bool,
    names: Vec<String>,
    lines: VecDeque<(u64, Option<usize>, Moment)>,
}

impl Trace {
    pub(super) fn new(whole: bool, names: Vec<String>) -> Self {
        Self { whole, names, ..Self::default() }
    }

    /// Takes an event into the hash.
    pub(super) fn hash(&mut self, numbers: [u64; 4]) {
        let mut bytes = [0; 32];
        bytes.chunks_mut(8).zip(numbers).for_each(|(chunk, number)| chunk.copy_from_slice(&number.to_be_bytes()));
        self.hasher.update(bytes);
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
    }

    pub(super) fn line(&mut self, at: u64, node: usize, moment: Moment) {
        self.add(at, Some(node), moment);
    }

    pub(super) fn all(&mut self, at: u64, moment: Moment) {
        self.add(at, None, moment);
    }

    fn add(&mut self, at: u64, node: Option<usize>, moment: Moment) {
        if !self.whole && self.lines.len() == KEPT {
            self.lines.pop_front();
        }
        self.lines.push_back((at, node, moment));
    }

    fn name(&self, node: usize) -> String {
        self.names.get(node).cloned().unwrap_or_else(|| format!("node {node}"))
    }

    fn text(&self, moment: &Moment) -> String {
        match moment {
            Moment::Started => "starts".to_owned(),
            Moment::StartedWiped => "starts with a wiped disk".to_owned(),
            Moment::StartedRolledBack => "starts with an earlier copy of its disk".to_owned(),
            Moment::Refused => "does not start: its disk is damaged; it is wiped".to_owned(),
            Moment::Crashed => "crashes".to_owned(),
            Moment::Fault(kind) => format!("-- {kind}"),
            Moment::Ended(kind) => format!("-- end of: {kind}"),
            Moment::Healed => "-- all faults end".to_owned(),
            Moment::Entered(view) => format!("is in view {view}"),
            Moment::Timeout(view) => format!("waited long enough in view {view}"),
            Moment::Signed(b) => format!("signs {:?} view {} block {}", b.phase, b.view, short(&b.block)),
            Moment::Final(height, hash) => format!("has final height {height}: {}", short(hash)),
            Moment::Synced(blocks) => format!("gets {blocks} blocks by sync"),
            Moment::Accused(who) => format!("has evidence against {}", self.name(who.position())),
        }
    }

    /// The last events, a line each.
    pub(super) fn timeline(&self) -> Vec<Line> {
        let line = |(at, node, moment): &(u64, Option<usize>, Moment)| Line {
            at_us: *at,
            node: *node,
            name: node.map(|node| self.name(node)).unwrap_or_default(),
            text: self.text(moment),
        };
        self.lines.iter().map(line).collect()
    }

    pub(super) fn finish(self) -> Hash {
        Hash(self.hasher.finalize().into())
    }
}
