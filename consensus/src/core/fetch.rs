//! Asking for what decided past views, and answering (SPEC rule F).

use super::{Core, Output, Progress};
use crate::{Certificate, Fetch, MAX_FETCHED_VIEWS, Message, ValidatorIndex, View};

impl Core {
    /// Asks one validator for a view and those after it up to ours.
    pub(super) fn fetch(&mut self, view: View, from: Option<ValidatorIndex>) {
        let Some(from) = from else { return };
        if from != self.config.me && view > self.root.view {
            let to = view.plus(MAX_FETCHED_VIEWS - 1).min(self.view);
            let fetch = Fetch { epoch: self.config.set.epoch(), from: view, to };
            self.out.push(Output::Send(from, Message::Fetch(fetch)));
        }
    }

    /// Asks the validators in turn, another one in each round.
    pub(super) fn fetch_from_anyone(&mut self, view: View) {
        let count = self.config.set.len() as u64;
        let signers: Vec<ValidatorIndex> = match &self.entry {
            Some(certificate) => certificate.signers().filter(|who| *who != self.config.me).collect(),
            None => Vec::new(),
        };
        let turn = usize::try_from(self.rounds % count.max(1)).unwrap_or(0);
        let peer = signers.get(turn % signers.len().max(1)).copied();
        self.fetch(view, peer);
    }

    /// SPEC rule F: while a view lasts, asks for prepared blocks and outcomes that are missing below it.
    pub(super) fn fetch_missing(&mut self) {
        let missing = (self.root.view.0 + 1..self.view.0).map(View).take(MAX_FETCHED_VIEWS as usize * 8).find(|view| {
            self.views.get(view).is_none_or(|state| {
                let decided = state.prepared.as_ref().or(state.committed.as_ref());
                let lacks_block =
                    decided.is_some() && !matches!(state.proposal, Some((_, Progress::Valid | Progress::Validating)));
                lacks_block || (decided.is_none() && state.skipped.is_none())
            })
        });
        if let Some(view) = missing {
            self.fetch_from_anyone(view);
        }
    }

    /// SPEC rule F: answers with what we have of these views, within the limit.
    pub(super) fn on_fetch(&mut self, from: ValidatorIndex, fetch: Fetch) {
        if fetch.epoch != self.config.set.epoch() || self.config.set.get(from).is_none() || fetch.from > fetch.to {
            return;
        }
        let last = fetch.to.min(fetch.from.plus(MAX_FETCHED_VIEWS - 1));
        let mut answers = Vec::new();
        for state in self.views.range(fetch.from..=last).map(|(_, state)| state) {
            answers.extend(
                [&state.skipped, &state.prepared, &state.committed]
                    .into_iter()
                    .flatten()
                    .cloned()
                    .map(Message::Certificate),
            );
            if let Some((proposal, Progress::Valid)) = &state.proposal {
                answers.push(Message::Propose(proposal.clone()));
            }
        }
        self.out.extend(answers.into_iter().map(|message| Output::Send(from, message)));
    }

    /// SPEC rule K: tells one who is behind what leads to where we are.
    pub(super) fn help(&mut self, peer: ValidatorIndex) {
        let certificates: [Option<&Certificate>; 2] = [self.root_certificate.as_ref(), self.entry.as_ref()];
        let messages: Vec<Message> = certificates.into_iter().flatten().cloned().map(Message::Certificate).collect();
        self.out.extend(messages.into_iter().map(|message| Output::Send(peer, message)));
    }
}
