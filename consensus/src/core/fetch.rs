//! Asking for what decided past views, and answering (SPEC rule A); helping who is behind (rule K).

use super::{Core, MAX_OPEN_VIEWS, Output, Progress};
use crate::{Certificate, Fetch, MAX_FETCHED_VIEWS, MAX_PAYLOAD_BYTES, Message, ValidatorIndex, View};

/// Answers to one peer between two rounds of retransmission, or in one view.
const ANSWERS_PER_ROUND: u32 = 8;

impl Core {
    /// SPEC rule A1: asks one validator for a view and those after it up to ours; once a round for the same views.
    pub(super) fn fetch(&mut self, view: View, from: Option<ValidatorIndex>) {
        let Some(from) = from else { return };
        let asked = self.asked.get(&from).is_some_and(|(first, last)| *first <= view && view <= *last);
        let nobody = from == self.config.me || self.config.set.get(from).is_none();
        if asked || nobody || view <= self.root.view {
            return;
        }
        let to = view.plus(MAX_FETCHED_VIEWS - 1).min(self.view.max(view));
        self.asked.insert(from, (view, to));
        let fetch = Fetch { epoch: self.config.set.epoch(), from: view, to };
        self.out.push(Output::Send(from, Message::Fetch(fetch)));
    }

    /// SPEC rule A2: asks the signers of the certificate that led here in turn, another one in each round and view; then
    /// everybody else, for a signer that is a quorum alone may be ourselves.
    pub(super) fn fetch_from_anyone(&mut self, view: View) {
        let others = |who: &ValidatorIndex| *who != self.config.me;
        let mut peers: Vec<ValidatorIndex> = match &self.entry {
            Some(certificate) => certificate.signers().filter(others).collect(),
            None => Vec::new(),
        };
        let rest = self.config.set.iter().map(|(who, _)| who).filter(others);
        let rest: Vec<ValidatorIndex> = rest.filter(|who| !peers.contains(who)).collect();
        peers.extend(rest);
        let turn = self.rounds % (peers.len() as u64).max(1);
        let peer = usize::try_from(turn).ok().and_then(|turn| peers.get(turn)).copied();
        self.fetch(view, peer);
    }

    /// SPEC rule A2: while a view lasts, asks for prepared blocks and outcomes that are missing below it.
    pub(super) fn fetch_missing(&mut self) {
        let last = self.view.previous().min(self.root.view.plus(MAX_OPEN_VIEWS));
        let missing = (self.root.view.next().0..=last.0).map(View).find(|view| {
            self.views.get(view).is_none_or(|state| {
                let Some(certificate) = state.certified() else { return state.skipped.is_none() };
                !matches!(&state.proposal, Some((proposal, Progress::Valid | Progress::Validating))
                    if proposal.block.hash == certificate.block)
            })
        });
        if let Some(view) = missing {
            self.fetch_from_anyone(view);
        }
    }

    /// SPEC rule A3: a peer is answered a few times in a round, so that small questions cannot cost us large answers
    /// without end.
    pub(super) fn may_answer(&mut self, peer: ValidatorIndex) -> bool {
        let count = self.answered.entry(peer).or_default();
        *count = count.saturating_add(1);
        *count <= ANSWERS_PER_ROUND
    }

    /// SPEC rule A2: the last view of those that were asked for is known: on to the next ones.
    pub(super) fn fetch_on(&mut self, view: View) {
        if view < self.view && self.asked.values().any(|(_, last)| *last == view) {
            self.fetch_missing();
        }
    }

    /// SPEC rule A3: answers with what we have of these views, within the limits of views and bytes.
    pub(super) fn on_fetch(&mut self, from: ValidatorIndex, fetch: Fetch) {
        if fetch.epoch != self.config.set.epoch() || self.config.set.get(from).is_none() || fetch.from > fetch.to {
            return;
        }
        if !self.may_answer(from) {
            return;
        }
        let last = fetch.to.min(fetch.from.plus(MAX_FETCHED_VIEWS - 1));
        let (mut answers, mut bytes) = (Vec::new(), 0);
        for state in self.views.range(fetch.from..=last).map(|(_, state)| state) {
            let certificates = [&state.skipped, &state.prepared, &state.committed];
            answers.extend(certificates.into_iter().flatten().cloned().map(Message::Certificate));
            if let Some((proposal, Progress::Valid)) = &state.proposal {
                bytes += proposal.payload.len();
                // At least one block, whatever its size.
                if bytes <= MAX_PAYLOAD_BYTES.max(proposal.payload.len()) {
                    answers.push(Message::Propose(proposal.clone()));
                }
            }
        }
        self.out.extend(answers.into_iter().map(|message| Output::Send(from, message)));
    }

    /// SPEC rule K2: tells one who is behind what leads to where we are.
    pub(super) fn help(&mut self, peer: ValidatorIndex) {
        if !self.may_answer(peer) {
            return;
        }
        let root = self.root_commit.as_ref().or(self.root_certificate.as_ref());
        let certificates: [Option<&Certificate>; 2] = [root, self.entry.as_ref()];
        let messages: Vec<Message> = certificates.into_iter().flatten().cloned().map(Message::Certificate).collect();
        self.out.extend(messages.into_iter().map(|message| Output::Send(peer, message)));
    }
}
