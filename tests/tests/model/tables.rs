//! What was met so far, by number. A global state is a few numbers; what a validator does on an input depends on its own
//! state and the input alone, so it is computed once and looked up wherever it comes again.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use assent_consensus::{Message, ValidatorIndex};

use crate::seat::{Rules, Seat, empty_status};

/// Most different states of single validators that are kept (each takes about 25 KiB). Beyond, a search is cut.
const MAX_SEATS: usize = 60_000;

/// Different things, each with the number of its first appearance.
pub(crate) struct Numbered<T> {
    list: Vec<Arc<T>>,
    numbers: HashMap<Arc<T>, u32>,
}

impl<T: Eq + Hash> Numbered<T> {
    fn new() -> Self {
        Self { list: Vec::new(), numbers: HashMap::new() }
    }

    /// The number of a thing.
    pub(crate) fn number(&mut self, thing: T) -> u32 {
        if let Some(number) = self.numbers.get(&thing) {
            return *number;
        }
        let number = u32::try_from(self.list.len()).expect("fewer than four thousand million");
        let shared = Arc::new(thing);
        self.list.push(shared.clone());
        self.numbers.insert(shared, number);
        number
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.list.len()
    }

    /// The thing of a number.
    pub(crate) fn get(&self, number: u32) -> &T {
        &self.list[number as usize]
    }
}

/// An input of one validator.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Step {
    /// A message.
    Message(u32),
    /// The end of the view's timer.
    Timer,
    /// A crash and a restart.
    Crash,
    /// The status of another validator as it is now, by the number of its state; of the Byzantine one: none.
    Status(Option<u32>),
}

/// What came of it.
#[derive(Clone, Debug)]
pub(crate) struct Taken {
    /// The validator's new state.
    pub(crate) seat: u32,
    /// The messages that left it.
    pub(crate) leaving: Vec<u32>,
}

/// All that was met.
pub(crate) struct Tables {
    /// States of honest validators.
    pub(crate) seats: Numbered<Seat>,
    /// Messages.
    pub(crate) messages: Numbered<Message>,
    steps: HashMap<(u32, Step), Option<Taken>>,
    /// Whether something was left out because [`MAX_SEATS`] was reached.
    pub(crate) cut: bool,
}

impl Tables {
    /// Nothing yet.
    pub(crate) fn new() -> Self {
        Self { seats: Numbered::new(), messages: Numbered::new(), steps: HashMap::new(), cut: false }
    }

    /// Lets a validator take a step; none when nothing comes of it.
    pub(crate) fn take(&mut self, number: u32, step: Step, rules: &Rules) -> Option<Taken> {
        if let Some(known) = self.steps.get(&(number, step)) {
            return known.clone();
        }
        let mut seat = self.seats.get(number).clone();
        let leaving = self.carry_out(&mut seat, step, rules);
        let taken = if leaving.is_empty() && seat == *self.seats.get(number) {
            None
        } else if self.seats.count() >= MAX_SEATS {
            self.cut = true;
            return None;
        } else {
            let seat = self.seats.number(seat);
            let leaving = leaving.into_iter().map(|message| self.messages.number(message)).collect();
            Some(Taken { seat, leaving })
        };
        self.steps.insert((number, step), taken.clone());
        taken
    }

    fn carry_out(&self, seat: &mut Seat, step: Step, rules: &Rules) -> Vec<Message> {
        match step {
            Step::Message(number) => {
                let message = self.messages.get(number);
                seat.receive(sender(message, rules), message.clone(), rules)
            }
            Step::Timer => seat.time_out(rules),
            Step::Crash => seat.restart(rules),
            Step::Status(None) => seat.receive(rules.byzantine, empty_status(), rules),
            Step::Status(Some(other)) => {
                let other = self.seats.get(other);
                let status = other.status_for(seat.me);
                status.map_or_else(Vec::new, |status| seat.receive(other.me, status, rules))
            }
        }
    }
}

/// Over whose connection a message comes: its signer's. Certificates are nobody's; the Byzantine validator hands them on.
pub(crate) fn sender(message: &Message, rules: &Rules) -> ValidatorIndex {
    match message {
        Message::Propose(proposal) => rules.set.leader(proposal.block.view),
        Message::Vote(vote) => vote.voter,
        _ => rules.byzantine,
    }
}
