//! Programs of others, which scripts bring and variables name.

use std::{env, path::PathBuf};

/// What the variable names; `None`, said loudly with what is left out then, where it is not set.
pub(crate) fn brought(variable: &str, left_out: &str) -> Option<PathBuf> {
    let path = env::var_os(variable).map(PathBuf::from);
    if path.is_none() {
        eprintln!("SKIPPED: {variable} is not set, {left_out} (`make test` sets it)");
    }
    path
}
