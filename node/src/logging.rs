//! The log: levels and targets by filter, text or JSON, to standard error or a file.
//!
//! Nothing secret is ever given to the log: keys hide themselves in `Debug`, and no configuration
//! holds one. Rotation is the system's affair (`logrotate` with `copytruncate`: lines are appended).

use std::{
    fs::{File, OpenOptions},
    io::{self, IsTerminal},
    path::PathBuf,
    sync::Arc,
};

use thiserror::Error;
use tracing_subscriber::{EnvFilter, fmt::writer::BoxMakeWriter};

use crate::config::{LogFormat, LogSettings};

/// Why the log could not be set up.
#[derive(Debug, Error)]
pub enum LoggingError {
    /// The filter is none. (The configuration's check tells earlier and better.)
    #[error("log.filter: expected levels such as \"info\", got \"{filter}\" ({reason})")]
    Filter {
        /// The filter as given.
        filter: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The file cannot be opened.
    #[error("log.file: cannot append to {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Something else has set up a log in this process.
    #[error("the log is set up already")]
    Twice,
}

/// Starts the log of this process.
pub fn start(settings: &LogSettings) -> Result<(), LoggingError> {
    let filter = EnvFilter::builder()
        .parse(&settings.filter)
        .map_err(|error| LoggingError::Filter { filter: settings.filter.clone(), reason: error.to_string() })?;
    let (writer, ansi) = match &settings.file {
        Some(path) => (BoxMakeWriter::new(Arc::new(open(path)?)), false),
        None => (BoxMakeWriter::new(io::stderr), io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()),
    };
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_ansi(ansi);
    let started = match settings.format {
        LogFormat::Text => log.try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    };
    started.map_err(|_| LoggingError::Twice)
}

fn open(path: &PathBuf) -> Result<File, LoggingError> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .map_err(|source| LoggingError::File { path: path.clone(), source })
}
