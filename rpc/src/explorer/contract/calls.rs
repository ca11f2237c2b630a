//! Calls that a page makes: upon the state of the head, with a limit of gas each and of time together.

use std::time::{Duration, Instant};

use alloy_primitives::{Address, Bytes};
use assent_chain::{
    execution::{self, BlockContext, CallOptions, CallOutcome, CallRequest, Overrides},
    state::StateView,
};

use crate::explorer::{Explorer, page::Failure};

/// Gas of one call that somebody asked for.
pub(crate) const GAS_OF_A_FORM: u64 = 30_000_000;
/// Time of the same.
pub(crate) const TIME_OF_A_FORM: Duration = Duration::from_secs(2);
/// Gas of one call that a page makes by itself: asking a token takes some thousands.
pub(crate) const GAS_OF_A_PAGE: u64 = 500_000;
/// Time of all of these on one page.
pub(crate) const TIME_OF_A_PAGE: Duration = Duration::from_millis(150);

/// What came of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Called {
    /// What it returned.
    Returned(Bytes),
    /// What it reverted with.
    Reverted(Bytes),
    /// It could not be run to an end, in words.
    Failed(String),
}

/// Calls of one page.
pub(crate) struct Caller {
    view: StateView,
    context: BlockContext,
    deadline: Instant,
}

impl Caller {
    /// Calls that end within `time` from now, all together.
    pub(crate) fn new(explorer: &Explorer, time: Duration) -> Result<Self, Failure> {
        let chain = &explorer.chain;
        let view = chain.latest_state();
        let header = chain.header_by_number(view.number())?;
        let header = header.ok_or_else(|| Failure::Internal("the header of the head is missing".into()))?;
        let context = chain.spec().context(&header.header);
        Ok(Self { view, context, deadline: Instant::now() + time })
    }

    /// Whether there is time for another call.
    pub(crate) fn has_time(&self) -> bool {
        Instant::now() < self.deadline
    }

    /// The state that is called upon.
    pub(crate) fn view(&self) -> &StateView {
        &self.view
    }

    /// Calls a contract; nobody pays, and nothing stays of it.
    pub(crate) fn call(&self, from: Address, to: Address, input: Vec<u8>, gas: u64) -> Called {
        let request = CallRequest { from, to: Some(to), input: input.into(), ..CallRequest::default() };
        let options = CallOptions { gas_cap: gas, deadline: Some(self.deadline) };
        match execution::call(&self.view, &self.context, &request, &Overrides::default(), options) {
            Ok(CallOutcome::Success { output, .. }) => Called::Returned(output),
            Ok(CallOutcome::Revert { output, .. }) => Called::Reverted(output),
            Ok(CallOutcome::Halt { reason, .. }) => Called::Failed(reason),
            Err(error) => Called::Failed(error.to_string()),
        }
    }

    /// The same for a page of its own accord; `None`: it did not return.
    pub(crate) fn ask(&self, to: Address, input: Vec<u8>) -> Option<Bytes> {
        if !self.has_time() {
            return None;
        }
        match self.call(Address::ZERO, to, input, GAS_OF_A_PAGE) {
            Called::Returned(output) => Some(output),
            Called::Reverted(_) | Called::Failed(_) => None,
        }
    }
}
