//! The observer's part of the world: block sync, progress, the end of the run.

use super::application::FinalBlock;
use super::node::Node;
use super::report::{BlockMoment, Report};
use super::run::{Event, MS, World};
use super::scenario::Goal;
use super::trace::Moment;
use crate::core::Standing;

/// How often a node looks whether it is behind.
const SYNC_TICK_MS: u64 = 250;

/// Ticks that a node waits for consensus to close a gap of one block.
const SYNC_GRACE: u32 = 3;

/// Most blocks in one answer.
const SYNC_BLOCKS: usize = 64;

/// Final blocks after which everybody must vote.
const LAST_TO_VOTE: u64 = 200;

/// Progress after the faults.
#[derive(Debug, Default)]
pub(super) struct Recovery {
    /// When the faults ended, the highest final block then, and the highest view.
    pub(super) healed: Option<(u64, u64, u64)>,
    /// How long it took until everybody was beyond.
    took: Option<u64>,
    /// How many views it took until the first new block was final.
    views: Option<u64>,
    /// The lowest height of the working validators, and since when.
    lowest: u64,
    since: u64,
    /// The highest view that anybody was in.
    pub(super) highest: u64,
    /// The goal is reached.
    pub(super) over: bool,
}

impl World<'_> {
    pub(super) fn schedule_sync(&mut self, node: usize) {
        let first_tick = self.rng.below(SYNC_TICK_MS * MS);
        self.push(first_tick, node, Event::SyncTick);
    }

    /// A node that is behind asks one that is not.
    pub(super) fn sync_tick(&mut self, node: usize) {
        self.push(SYNC_TICK_MS * MS, node, Event::SyncTick);
        self.watch();
        let height = self.nodes[node].disk.height();
        let ahead: Vec<usize> = (0..self.nodes.len())
            .filter(|peer| self.nodes[*peer].core.is_some() && self.nodes[*peer].disk.height() > height)
            .filter(|peer| self.network.reaches(node, *peer) && self.network.reaches(*peer, node))
            .collect();
        if ahead.is_empty() {
            self.machines[node].behind = (height, 0);
            return;
        }
        let (before, ticks) = self.machines[node].behind;
        let ticks = if before == height { ticks + 1 } else { 0 };
        self.machines[node].behind = (height, ticks);
        let peer = ahead[self.rng.index(ahead.len())];
        let gap = self.nodes[peer].disk.height() - height;
        if gap > 16 || ticks >= SYNC_GRACE {
            let honest = self.nodes[peer].disk.blocks_above(height, SYNC_BLOCKS);
            let served = self.as_byzantine(peer, |behaviour, puppet| behaviour.serves(puppet, honest.clone()));
            let after = self.network.delay(&mut self.rng) * 2;
            self.push(after, node, Event::Blocks(served.unwrap_or(honest)));
        }
    }

    pub(super) fn made_final(&mut self, node: usize, block: &FinalBlock) {
        let info = block.info;
        self.trace.bytes(&info.hash.0);
        self.trace.line(self.now, node, Moment::Final(info.height, info.hash));
        if info.height.0 > self.checks.height() {
            let proposer = self.shared.set.leader(info.view);
            if let Some((_, _, view)) = self.recovery.healed {
                self.recovery.views.get_or_insert(info.view.0.saturating_sub(view));
            }
            self.blocks.push(BlockMoment { at_us: self.now, height: info.height.0, view: info.view.0, proposer });
        }
        self.checks.finalised(block, &self.shared.set, &self.shared.genesis);
        self.watch();
    }

    pub(super) fn healed(&mut self) {
        self.recovery.healed = Some((self.now, self.checks.height(), self.recovery.highest));
        self.recovery.since = self.now;
    }

    /// The nodes that must make progress.
    fn working(&self) -> impl Iterator<Item = &Node> {
        let counts = |node: &&Node| !self.cast.dead.contains(&node.index) && !self.checks.is_byzantine(node.index);
        self.nodes.iter().filter(counts)
    }

    pub(super) fn watch_time(&mut self) {
        if let Goal::Time(ms) = self.scenario.goal {
            self.recovery.over |= self.now >= ms * MS;
        }
    }

    /// Progress after the faults.
    fn watch(&mut self) {
        let Some((healed, reached, _)) = self.recovery.healed else { return };
        let lowest = self.working().map(|node| node.disk.height()).min().unwrap_or(0);
        if lowest > self.recovery.lowest {
            (self.recovery.lowest, self.recovery.since) = (lowest, self.now);
        }
        if lowest > reached && self.recovery.took.is_none() {
            self.recovery.took = Some(self.now - healed);
        }
        let Goal::Heights(heights) = self.scenario.goal else { return };
        self.must_progress(healed, heights.max(reached));
        self.recovery.over |= self.recovery.took.is_some()
            && self.recovery.lowest >= heights
            && self.working().all(|node| node.standing() == Some(Standing::Active));
    }

    fn must_progress(&mut self, healed: u64, heights: u64) {
        let waited = self.now.saturating_sub(self.recovery.since.max(healed));
        let views = self.recovery.views.unwrap_or(0);
        let what = if self.recovery.lowest > heights + LAST_TO_VOTE {
            format!("somebody does not vote: {} blocks later", LAST_TO_VOTE)
        } else if waited > self.scenario.recovery_ms * MS {
            format!("no progress for {} ms", waited / MS)
        } else if views > self.scenario.recovery_views {
            format!("it took {views} views after the faults, {} at most", self.scenario.recovery_views)
        } else {
            return;
        };
        let nodes: Vec<String> = self.working().map(describe).collect();
        self.checks.fail(format!("{what}: {}", nodes.join("; ")));
    }

    /// What must hold of the state of every node.
    pub(super) fn audit(&mut self) {
        let audit = |node: &Node| node.application.audit().map_err(|error| format!("{}: {error}", describe(node)));
        let failed = self.working().map(audit).find_map(Result::err);
        if let Some(text) = failed {
            self.checks.fail(text);
        }
    }

    pub(super) fn report(self, seed: u64) -> Report {
        Report {
            scenario: self.scenario.name,
            seed,
            stakes: self.shared.set.iter().map(|(_, validator)| validator.weight.0).collect(),
            heights: self.checks.height(),
            node_heights: self.nodes.iter().map(|node| node.disk.height()).collect(),
            blocks: self.blocks,
            view_changes: self.checks.skipped.len() as u64,
            virtual_ms: self.now / MS,
            recovery_ms: self.recovery.took.map(|us| us / MS),
            recovery_views: self.recovery.views,
            events: self.events,
            messages: self.messages,
            crashes: self.crashes,
            accused: self.checks.accused.len() as u64,
            faults: self.counts,
            timeline: self.trace.timeline(),
            failure: self.checks.failure,
            trace: self.trace.finish(),
        }
    }
}

/// How a node stands, for a failure's text.
fn describe(node: &Node) -> String {
    let height = node.disk.height();
    match &node.core {
        None => format!("{} is down at height {height}", node.index),
        Some(core) => format!(
            "{} at height {height} view {} {:?}{}",
            node.index,
            core.view(),
            core.standing(),
            if core.is_armed() { "" } else { " without work" }
        ),
    }
}
