//! What a tracer keeps, and about how many bytes that takes.
//!
//! The weights are those of the moment when most is in memory: what was kept of a step, the answer made of it, or the
//! answer and its JSON. A byte is two digits there, and memory is told in words of 66 digits each.

use revm::database_interface::DatabaseRef;
use revm::state::EvmState;

use crate::state::{BlockState, StateError};

/// A step without stack and memory.
pub(super) const STEP_BYTES: usize = 512;
/// A word of a stack.
pub(super) const WORD_BYTES: usize = 96;
/// A byte of a memory that is told whole.
pub(super) const MEMORY_WEIGHT: usize = 6;
/// A call or a log without its data.
pub(super) const CALL_BYTES: usize = 1_536;
/// A level of the path to a call.
pub(super) const LEVEL_BYTES: usize = 16;
/// A byte of a call's input or output, of a log, of code.
pub(super) const DATA_WEIGHT: usize = 3;
/// A storage slot and its value.
pub(super) const SLOT_BYTES: usize = 256;
/// An account without code and storage.
const ACCOUNT_BYTES: usize = 512;

/// Most words that one operation leaves on the stack (SWAP16).
pub(super) const PUSHED_WORDS: usize = 17;

/// What a tracer keeps of the memory at each step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Memory {
    /// Nothing.
    #[default]
    Nothing,
    /// What the step wrote.
    Writes,
    /// All of it.
    Whole,
}

/// What a tracer tells of the accounts that a transaction came across.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Accounts {
    /// Nothing.
    #[default]
    Nothing,
    /// What changed.
    Changes,
    /// Everything, with their code.
    Whole,
}

/// What a tracer keeps. Calls and logs are counted for every tracer.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Recorded {
    pub(super) steps: bool,
    /// Steps that are kept at most.
    pub(super) step_limit: Option<u64>,
    /// Words of the stack that are kept of a step at most.
    pub(super) stack_words: usize,
    pub(super) memory: Memory,
    /// Whether each access to the storage is told with all slots that were accessed before.
    pub(super) storage: bool,
    /// Whether each step is told with the data that the last call returned.
    pub(super) return_data: bool,
    /// Whether each call is told with the code that it ran.
    pub(super) code: bool,
    pub(super) accounts: Accounts,
}

/// About how many bytes it takes to tell of these accounts. It stops counting beyond `most`.
pub(super) fn accounts_bytes(
    told: Accounts,
    after: &EvmState,
    before: &BlockState,
    most: usize,
) -> Result<usize, StateError> {
    let mut bytes = 0usize;
    if told == Accounts::Nothing {
        return Ok(bytes);
    }
    for (address, account) in after {
        if bytes > most {
            break;
        }
        bytes += ACCOUNT_BYTES + account.storage.len() * SLOT_BYTES;
        let info = if told == Accounts::Whole { before.basic_ref(*address)? } else { None };
        if let Some(info) = info.filter(|info| !info.is_empty_code_hash()) {
            bytes += before.code_by_hash_ref(info.code_hash)?.len() * DATA_WEIGHT;
        }
    }
    Ok(bytes)
}
