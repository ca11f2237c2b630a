//! Where the program under test is.

use std::{env, path::PathBuf};

use anyhow::{Context, Result, ensure};

/// Names the binary under test when it is not the one beside the tests.
pub const BINARY_VARIABLE: &str = "ASSENT_BINARY";

/// Path of the `assent` binary: the one that [`BINARY_VARIABLE`] names, or the one that was built into
/// the same folder as this test.
pub fn assent() -> Result<PathBuf> {
    if let Some(path) = env::var_os(BINARY_VARIABLE) {
        let path = PathBuf::from(path);
        ensure!(path.is_file(), "{BINARY_VARIABLE} names {}, which is no file", path.display());
        return Ok(path);
    }
    let mut folder = env::current_exe().context("the path of the running test is unknown")?;
    folder.pop();
    if folder.ends_with("deps") {
        folder.pop();
    }
    let path = folder.join("assent");
    ensure!(
        path.is_file(),
        "{} is not there: tests of real processes need the binary. Run `make test`, or \
         `cargo build --workspace --bins` first, or set {BINARY_VARIABLE}.",
        path.display()
    );
    Ok(path)
}
