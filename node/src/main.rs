//! The binary. Everything it does is in the library.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// Most of what a node does allocates little and often, on many threads.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    assent::cli::main()
}
