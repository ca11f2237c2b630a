//! Timers, giving a view up, silent leaders, retransmission (SPEC rules W, X, R).

use super::{Core, MAX_OPEN_VIEWS, Output, Progress, Timer, Timing};
use crate::{Ballot, Hash, Message, Phase, ValidatorIndex, View};

/// A leader of whom nothing was heard in this many views is skipped without waiting.
pub(super) const SILENT_VIEWS: u64 = 8;

/// What is large, or said while nothing is to be done, goes out in rounds 1, 2, 4, 8, 16, and then every 16th.
const STATUS_ROUNDS: u64 = 16;

/// A prepared block that is not final in this round of retransmission is work. The round before gives Commits on
/// their way the time to arrive, so that finality alone makes no further blocks.
const UNFINISHED_ROUNDS: u64 = 2;

/// From this round on, verdicts that never came are asked for again.
const PATIENT_ROUNDS: u64 = 4;

/// As often as this many views have passed since the last final block, they are asked for again as well: with votes of
/// others, views may go by too quickly for so many rounds, while finality waits for the votes of this node.
const PATIENT_VIEWS: u64 = 8;

impl Timing {
    /// How long a view lasts after `failed` failed ones in a row: doubling, capped, monotone (SPEC rule W).
    #[must_use]
    pub fn view_timeout(&self, failed: u64) -> u64 {
        let factor = 1u64.checked_shl(u32::try_from(failed).unwrap_or(u32::MAX)).unwrap_or(u64::MAX);
        self.view_timeout_ms.saturating_mul(factor).min(self.view_timeout_max_ms)
    }
}

impl Core {
    /// Input::Start: stands again where the log ends, and says so.
    pub(super) fn start(&mut self) {
        self.out.clear();
        // SPEC rule X4: nobody is silent to one who has just come.
        self.heard.fill(self.view);
        self.form_restored();
        self.begin_view();
        self.settle_memory();
        self.try_finalize();
        self.retry_validations();
    }

    /// SPEC rule M4: voting begins, with what was prepared before, and in the current view.
    pub(super) fn resume(&mut self) {
        self.try_commit(self.last_success());
        self.begin_view();
    }

    /// SPEC rule N: what entering a view does.
    pub(super) fn begin_view(&mut self) {
        (self.armed, self.building, self.rounds) = (false, None, 0);
        self.asked.clear();
        self.answered.clear();
        self.ahead.clear();
        let (view, leader) = (self.view, self.config.set.leader(self.view));
        let parent = self.probable_parent();
        self.parent = parent;
        self.out.push(Output::EnteredView { view, leader, parent });
        self.out.push(Output::SetTimer(Timer::Retransmit(view), self.config.timing.retransmit_ms));
        let unfinished = view.0.saturating_sub(self.root.view.0);
        if unfinished > 0 && unfinished.is_multiple_of(PATIENT_VIEWS) {
            self.validate_again();
        }
        if self.listens() {
            // Views may pass too quickly for a round of retransmission to come.
            let status = self.status(true);
            self.out.push(Output::Broadcast(Message::Status(status)));
        }
        let state = self.state(view);
        let spoken = state.spoken();
        let gave_up: Vec<ValidatorIndex> = state.view_changes.keys().copied().collect();
        if spoken {
            self.arm();
        }
        self.try_validate(view, None);
        self.try_prepare(view);
        for voter in gave_up {
            self.follow_view_changes(view, voter);
        }
    }

    /// SPEC rule W: the timer runs while there is work; a silent leader is not waited for (rule X).
    pub(super) fn arm(&mut self) {
        if self.armed {
            return;
        }
        self.armed = true;
        let (view, leader) = (self.view, self.config.set.leader(self.view));
        if self.is_silent(leader) {
            self.give_up(view);
        }
        if self.view != view {
            return;
        }
        let failed = view.0.saturating_sub(self.last_success().0).saturating_sub(1);
        self.out.push(Output::SetTimer(Timer::View(view), self.config.timing.view_timeout(failed)));
    }

    /// The last view with a prepared block.
    fn last_success(&self) -> View {
        let prepared = self.views.iter().rev().find(|(_, state)| state.certified().is_some());
        prepared.map_or(self.root.view, |(view, _)| *view)
    }

    /// SPEC rule X: not heard in the last views, while certificates formed.
    pub(super) fn is_silent(&self, who: ValidatorIndex) -> bool {
        let heard = self.heard.get(who.position()).copied().unwrap_or_default();
        who != self.config.me && heard.plus(SILENT_VIEWS) <= self.view
    }

    /// The validators that rule X takes for silent.
    pub fn silent(&self) -> impl Iterator<Item = ValidatorIndex> + '_ {
        self.config.set.iter().map(|(index, _)| index).filter(|index| self.is_silent(*index))
    }

    pub(super) fn on_work(&mut self, view: View) {
        if view == self.view {
            self.arm();
            self.try_build(false);
        }
    }

    /// SPEC rules X, R: a stale timer does nothing.
    pub(super) fn on_timer(&mut self, timer: Timer) {
        #[cfg(test)]
        let timer = self.taken_for_current(timer);
        match timer {
            Timer::View(view) if view == self.view => self.give_up(view),
            Timer::Retransmit(view) if view == self.view => self.retransmit(),
            Timer::View(_) | Timer::Retransmit(_) => {}
        }
    }

    /// SPEC rule X: ViewChange, unless Commit was sent, naming the block that we prepared.
    pub(super) fn give_up(&mut self, view: View) {
        let open = self.view.0.saturating_sub(self.root.view.0);
        if view != self.view || !self.may_sign(Phase::ViewChange, view) || open > MAX_OPEN_VIEWS {
            return;
        }
        let me = self.config.me;
        let prepared = self.views.get(&view).and_then(|state| state.prepares.get(&me)).map(|vote| vote.ballot.block);
        let block = prepared.filter(|block| self.named(view, *block).is_some()).unwrap_or(Hash::ZERO);
        self.sign(Ballot { epoch: self.config.set.epoch(), view, phase: Phase::ViewChange, block });
    }

    /// SPEC rule X: the leader gave up, or so many did that no quorum can commit.
    pub(super) fn follow_view_changes(&mut self, view: View, voter: ValidatorIndex) {
        let Some(state) = self.views.get(&view) else { return };
        let weight = self.config.set.weigh(state.view_changes.keys().copied());
        if voter == self.config.set.leader(view) || self.config.set.blocks_quorum(weight) {
            self.give_up(view);
        }
    }

    /// SPEC rule W3: the view builds on another block than was thought when it began. Work that was seen then, while
    /// nobody spoke in this view, is looked for again: it may be in that very block.
    pub(super) fn look_again(&mut self) {
        let spoken = self.views.get(&self.view).is_some_and(super::ViewState::spoken);
        if self.armed && !spoken && self.probable_parent() != self.parent {
            self.begin_view();
        }
    }

    /// SPEC rule R: says again what others may have missed.
    fn retransmit(&mut self) {
        let view = self.view;
        self.rounds = self.rounds.saturating_add(1);
        self.asked.clear();
        self.answered.clear();
        self.ahead.clear();
        self.out.push(Output::SetTimer(Timer::Retransmit(view), self.config.timing.retransmit_ms));
        let unfinished = self.last_success() > self.root.view;
        let seldom = self.rounds.is_power_of_two() || self.rounds.is_multiple_of(STATUS_ROUNDS);
        if self.armed || unfinished {
            self.rebroadcast(seldom);
            self.fetch_missing();
        }
        if seldom && self.rounds >= PATIENT_ROUNDS {
            self.validate_again();
        }
        let listening = self.listens();
        if self.armed || unfinished || seldom || listening {
            let status = self.status(listening);
            self.out.push(Output::Broadcast(Message::Status(status)));
        }
        // SPEC rule W2: a prepared block that does not become final is work, for everybody.
        if unfinished && self.rounds >= UNFINISHED_ROUNDS {
            self.arm();
            self.try_build(true);
        } else if self.armed {
            self.try_build(false);
        }
    }

    /// SPEC rule R1: own votes in each round, a block (which may be large) seldom.
    fn rebroadcast(&mut self, seldom: bool) {
        let me = self.config.me;
        let mut messages = Vec::new();
        if let Some(state) = self.views.get(&self.view) {
            if let Some((proposal, Progress::Valid)) = &state.proposal
                && self.leads(self.view)
                && seldom
            {
                messages.push(Message::Propose(proposal.clone()));
            }
            let own = [state.prepares.get(&me), state.view_changes.get(&me)];
            messages.extend(own.into_iter().flatten().cloned().map(Message::Vote));
        }
        let commits = self.views.values().rev().filter_map(|state| state.commits.get(&me)).take(2);
        messages.extend(commits.cloned().map(Message::Vote));
        self.out.extend(messages.into_iter().map(Output::Broadcast));
    }
}
