//! What faults do to the world: they begin, they end, and at last all of them end.

use super::disk::Disk;
use super::faults::Fault;
use super::kinds::{Counts, FaultKind};
use super::network::{Nodes, Trouble};
use super::run::{Event, MS, World};
use super::trace::Moment;
use crate::View;
use crate::core::Input;

/// A node that crashed in order to start differently would start by itself after this time.
const LONG_AFTER_MS: u64 = 3_600_000;

/// Longest time that a node stays down which crashed at a step.
const DOWN_MS: u64 = 5_000;

/// What a clock shows when the run begins: far enough from zero to be put back.
const CLOCK_US: u64 = 3_600_000_000;

/// Most messages of the past that come again at once.
const REPLAYED: usize = 20;

/// The machine below one node: its clock, its process, its disk.
#[derive(Clone, Debug, Default)]
pub(super) struct Machine {
    /// Events wait until then.
    pub(super) paused_until: u64,
    /// When the node looks next.
    pub(super) looks_at: u64,
    /// How far its clock is ahead, in microseconds, and by how many millionths it goes wrong, since when.
    ahead_us: i64,
    drift: i64,
    drift_since: u64,
    slow_sync_us: u64,
    pub(super) slow_work_us: u64,
    pub(super) silent: bool,
    pub(super) cannot_build: bool,
    copy: Option<Disk>,
    /// As what the crash is counted that comes.
    crash_kind: Option<FaultKind>,
    /// Its height at the last look for blocks, and for how many looks it has been behind there.
    pub(super) behind: (u64, u32),
}

impl Machine {
    fn drifted(&self, now: u64) -> i64 {
        let passed = i64::try_from(now.saturating_sub(self.drift_since)).unwrap_or(0);
        passed / 1_000_000 * self.drift + passed % 1_000_000 * self.drift / 1_000_000
    }

    /// What its clock shows, in milliseconds.
    pub(super) fn clock_ms(&self, now: u64) -> u64 {
        (CLOCK_US + now).saturating_add_signed(self.ahead_us + self.drifted(now)) / MS
    }

    fn set_drift(&mut self, now: u64, millionths: i64) {
        self.ahead_us += self.drifted(now);
        (self.drift, self.drift_since) = (millionths, now);
    }

    /// How many microseconds pass while its clock counts so many milliseconds.
    pub(super) fn real_us(&self, ms: u64) -> u64 {
        let rate = 1_000_000u64.saturating_add_signed(self.drift).max(1);
        (ms * MS).saturating_mul(1_000_000) / rate
    }
}

impl World<'_> {
    pub(super) fn begin_fault(&mut self, number: usize) {
        let planned = self.plan[number].clone();
        let (id, for_ms, kind) = (number as u64, planned.for_ms, planned.kind);
        self.trace.all(self.now, Moment::Fault(kind));
        match planned.fault {
            Fault::Down(nodes) => {
                let crashed: Vec<bool> = nodes.into_iter().map(|node| self.crash(node, for_ms)).collect();
                if crashed.contains(&true) {
                    self.counts.did(kind);
                }
                return;
            }
            Fault::CrashIn(node, steps) => return self.arm(node, steps, kind),
            Fault::SyncFails(node) => {
                self.nodes[node].sync_fails = true;
                return;
            }
            Fault::CopyDisk(node) => {
                let mut copy = self.nodes[node].disk.clone();
                copy.crash(&mut self.rng, &mut Counts::default());
                self.machines[node].copy = Some(copy);
                return;
            }
            Fault::Wipe(node) => return self.restart(node, for_ms, kind, (true, false)),
            Fault::PutBack(node) => return self.restart(node, for_ms, kind, (false, true)),
            Fault::FlipBit(node) => return self.damage(node, for_ms),
            Fault::Reset(a, b) => self.reset(a, b),
            Fault::Replay(node) => self.replay(node),
            Fault::CutLeader => self.cut_leader(id),
            fault => self.impair(id, for_ms, fault),
        }
        self.counts.did(kind);
        self.push(for_ms * MS, 0, Event::End(number));
    }

    fn impair(&mut self, id: u64, for_ms: u64, fault: Fault) {
        match fault {
            Fault::Cut(from, to) => self.network.impair(id, Nodes::of(&from), Nodes::of(&to), Trouble::Cut),
            Fault::Slow(one, other, ms) => self.both_ways(id, &one, &other, Trouble::Slow(ms * MS)),
            Fault::Lossy(one, other, chance) => self.both_ways(id, &one, &other, Trouble::Lossy(chance)),
            Fault::Garbled(from, chance) => {
                self.network.impair(id, Nodes::of(&from), Nodes::ALL, Trouble::Garbled(chance));
            }
            Fault::SlowDisk(node, ms) => self.machines[node].slow_sync_us = ms * MS,
            Fault::Pause(node) => {
                let machine = &mut self.machines[node];
                machine.paused_until = machine.paused_until.max(self.now + for_ms * MS);
            }
            Fault::Clock(node, ms) => self.machines[node].ahead_us = ms * 1000,
            Fault::Drift(node, millionths) => self.machines[node].set_drift(self.now, millionths),
            Fault::SlowApplication(node, ms) => self.machines[node].slow_work_us = ms * MS,
            Fault::Unanswered(node) => self.machines[node].silent = true,
            Fault::NotBuilt(node) => self.machines[node].cannot_build = true,
            _ => {}
        }
    }

    fn both_ways(&mut self, id: u64, one: &[usize], other: &[usize], trouble: Trouble) {
        let (one, other) = (Nodes::of(one), Nodes::of(other));
        self.network.impair(id, one, other, trouble);
        self.network.impair(id, other, one, trouble);
    }

    fn cut_leader(&mut self, id: u64) {
        let view = self.nodes.iter().map(super::node::Node::view).max().unwrap_or_default();
        let leader = Nodes::of(&[self.shared.set.leader(view).position()]);
        self.network.impair(id, leader, leader.others(), Trouble::Cut);
        self.network.impair(id, leader.others(), leader, Trouble::Cut);
    }

    pub(super) fn end_fault(&mut self, number: usize) {
        let planned = self.plan[number].clone();
        self.trace.all(self.now, Moment::Ended(planned.kind));
        self.network.mend(number as u64);
        match planned.fault {
            Fault::SlowDisk(node, _) => self.machines[node].slow_sync_us = 0,
            Fault::Clock(node, _) => self.machines[node].ahead_us = 0,
            Fault::Drift(node, _) => self.machines[node].set_drift(self.now, 0),
            Fault::SlowApplication(node, _) => self.machines[node].slow_work_us = 0,
            Fault::Unanswered(node) => self.machines[node].silent = false,
            Fault::NotBuilt(node) => self.machines[node].cannot_build = false,
            _ => {}
        }
    }

    fn arm(&mut self, node: usize, steps: u64, kind: FaultKind) {
        let here = &mut self.nodes[node];
        match kind {
            FaultKind::CrashInSync => here.crash_in_sync = true,
            FaultKind::CrashInRotation => here.crash_in_rotation = true,
            _ => here.crash_in = Some(steps),
        }
        self.machines[node].crash_kind = Some(kind).filter(|kind| *kind == FaultKind::DiskFull);
    }

    /// A node lost power between two steps, or its disk refused.
    pub(super) fn crashed(&mut self, node: usize) {
        let here = &self.nodes[node];
        let kind = if here.sync_fails { Some(FaultKind::SyncFails) } else { self.machines[node].crash_kind.take() };
        self.counts.did(kind.unwrap_or(FaultKind::CrashAtStep));
        let down = self.rng.below(DOWN_MS);
        self.crash(node, down);
    }

    fn crash(&mut self, node: usize, down_ms: u64) -> bool {
        if self.nodes[node].core.is_none() {
            return false;
        }
        self.crashes += 1;
        self.trace.line(self.now, node, Moment::Crashed);
        self.nodes[node].crash(&mut self.rng, &mut self.counts);
        self.machines[node].paused_until = 0;
        self.push(down_ms * MS, node, Event::Start { wiped: false, rolled_back: false });
        true
    }

    fn restart(&mut self, node: usize, for_ms: u64, kind: FaultKind, (wiped, rolled_back): (bool, bool)) {
        if rolled_back && self.plan.iter().any(|planned| planned.kind != FaultKind::RolledBack) {
            self.checks.pardon(self.nodes[node].index, View(self.recovery.highest));
        }
        if self.crash(node, LONG_AFTER_MS) {
            self.counts.did(kind);
        }
        self.push(for_ms * MS, node, Event::Start { wiped, rolled_back });
    }

    fn damage(&mut self, node: usize, for_ms: u64) {
        if self.crash(node, for_ms) {
            self.counts.did(FaultKind::BitFlip);
            self.nodes[node].disk.flip(&mut self.rng);
        }
    }

    fn reset(&mut self, a: usize, b: usize) {
        self.network.reset(a, b);
        if self.nodes[a].index != self.nodes[b].index {
            self.greet(a, b);
        }
    }

    fn replay(&mut self, node: usize) {
        let old: Vec<_> = self.old.iter().filter(|(_, to, _)| *to == node).take(REPLAYED).cloned().collect();
        for (sender, _, message) in old {
            let (from, connection) = (self.nodes[sender].index, self.network.connection(sender, node));
            let after = self.network.delay(&mut self.rng);
            self.push(after, node, Event::Deliver { from, sender, connection, message });
        }
    }

    /// A sync that takes long holds up everything that comes after it.
    pub(super) fn slow_sync(&mut self, node: usize) {
        let us = self.machines[node].slow_sync_us;
        if us > 0 {
            self.machines[node].paused_until = self.machines[node].paused_until.max(self.now + us);
        }
    }

    pub(super) fn start(&mut self, node: usize, wiped: bool, rolled_back: bool) {
        if self.nodes[node].core.is_some() {
            return;
        }
        let moment = match (wiped, rolled_back) {
            (true, _) => Moment::StartedWiped,
            (_, true) => Moment::StartedRolledBack,
            _ => Moment::Started,
        };
        self.trace.line(self.now, node, moment);
        self.machines[node].looks_at = 0;
        if wiped {
            self.nodes[node].disk = Disk::wiped(self.shared.genesis);
        }
        if rolled_back && let Some(copy) = self.machines[node].copy.take() {
            self.nodes[node].disk = copy;
        }
        let damaged = self.nodes[node].disk.damaged;
        if let Err(error) = self.nodes[node].start(&self.shared) {
            if !damaged {
                return self.checks.fail(format!("node {node} does not start: {error}"));
            }
            // What the message tells the operator to do.
            self.trace.line(self.now, node, Moment::Refused);
            return self.start(node, true, false);
        }
        let (now, mut effects) = (self.machines[node].clock_ms(self.now), Vec::new());
        self.nodes[node].process(Input::Start, &self.shared, now, &mut effects);
        self.apply(node, effects);
        self.connect(node);
        self.schedule_sync(node);
        self.wind_up(node);
        self.push(MS, node, Event::Transactions(self.submitted));
    }

    /// Connections come up one by one.
    fn connect(&mut self, node: usize) {
        let index = self.nodes[node].index;
        for peer in 0..self.nodes.len() {
            if self.nodes[peer].index != index && self.nodes[peer].core.is_some() && self.network.reaches(node, peer) {
                self.greet(node, peer);
            }
        }
    }

    fn greet(&mut self, node: usize, peer: usize) {
        let (index, other) = (self.nodes[node].index, self.nodes[peer].index);
        let after = self.rng.below(50 * MS);
        self.push(after, node, Event::Connected(other));
        self.push(after, peer, Event::Connected(index));
    }

    /// All faults end: clocks go right, processes go on, and nothing crashes any more. Who is down for a while starts in
    /// its time.
    pub(super) fn heal(&mut self) {
        self.trace.all(self.now, Moment::Healed);
        self.network.heal();
        self.queue.retain(|entry| !matches!(entry.event, Event::Begin(_) | Event::End(_)));
        for (node, machine) in self.nodes.iter_mut().zip(&mut self.machines) {
            node.calm_down();
            let Machine { behind, looks_at, .. } = *machine;
            *machine = Machine { behind, looks_at, copy: machine.copy.take(), ..Machine::default() };
        }
        self.healed();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_jump_drift_and_go_right_again() {
        let mut machine = Machine::default();
        let start = machine.clock_ms(0);
        assert_eq!(machine.clock_ms(5_000_000), start + 5_000);
        machine.set_drift(5_000_000, 100_000);
        assert_eq!(machine.clock_ms(15_000_000), start + 16_000);
        assert_eq!(machine.real_us(1_100), 1_000_000);
        machine.set_drift(15_000_000, 0);
        assert_eq!(machine.clock_ms(16_000_000), start + 17_000);
        machine.ahead_us = -600_000_000;
        assert_eq!(machine.clock_ms(0), start - 600_000);
    }
}
