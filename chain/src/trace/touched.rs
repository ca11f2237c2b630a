//! The accounts that the transactions of a final block touched.

use std::sync::Arc;

use super::replay::Replay;
use super::{TraceError, TraceLimits};
use crate::block::RecoveredBlock;
use crate::chain::Chain;
use crate::execution::Touched;

impl Chain {
    /// A final block, and what each of its transactions touched. The block runs again; there is no deadline, since
    /// it ran within the limits of a block before.
    pub(crate) fn touched(&self, number: u64) -> Result<(Arc<RecoveredBlock>, Vec<Touched>), TraceError> {
        let limits = TraceLimits { deadline: None, max_bytes: usize::MAX, gas_cap: u64::MAX };
        let mut replay = Replay::new(self, number, limits)?;
        replay.skip_to(replay.block.transactions().len())?;
        Ok((replay.block.clone(), replay.into_touched()))
    }
}
