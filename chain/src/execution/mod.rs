//! Running transactions with revm over our own state.
//!
//! [`Executor`] runs the transactions of one block, one after the other; building and validating a
//! block use the same one, so they cannot differ. [`call`], [`estimate_gas`], [`create_access_list`] and simulations
//! ([`Simulation`]) run something that leaves no trace, for RPC.
//!
//! A block changes the state through its transactions and nothing else: there are no block
//! rewards, no withdrawals, and none of the calls that Ethereum's beacon chain makes into system
//! contracts at the beginning and the end of a block (EIP-4788, EIP-2935, EIP-7002, EIP-7251).
//! This chain has no beacon chain for them to speak of.
//!
//! Nothing that differs between nodes reaches execution: no clock (but for the deadline of a call,
//! whose result is then an error and nothing else), no order of a map, no thread.

mod access_list;
mod call;
mod deadline;
mod environment;
mod estimate;
mod evm;
mod executor;
mod fork;
mod handler;
mod inspected;
mod overrides;
mod precompiles;
mod receipt;
mod simulate;
mod touched;
mod transfers;
mod unsigned;

pub use access_list::{AccessListOutcome, create_access_list};
pub use call::{CallError, CallOptions, CallOutcome, CallRequest, call};
pub use environment::BlockContext;
pub use estimate::{EstimateError, estimate_gas};
pub use fork::{ForkError, Forks};
pub use overrides::Overrides;
pub use precompiles::precompiles;
pub use receipt::Receipt;
pub use simulate::{BlockCalls, CallFault, SimulateError, SimulatedCall, Simulation};
pub use touched::Touched;
pub use unsigned::unsigned;

pub(crate) use call::{call_cfg, call_tx};
pub(crate) use deadline::Deadline;
pub(crate) use environment::{effective_gas_price, tx_env};
pub(crate) use evm::{Evm, EvmContext, Outcome};
pub(crate) use executor::{Executed, Executor, TransactionFault};
pub(crate) use receipt::root_and_bloom;
pub(crate) use simulate::{Simulated, Terms, simulate_calls};
