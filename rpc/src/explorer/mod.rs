//! The explorer: pages about the chain for people, served by the node on a port of its own.
//!
//! Pages are made here, with all that they show, and work without scripts; `assets/live.js` keeps them up to date where
//! scripts run. Nothing is loaded from elsewhere, and `security` tells the browser so. Reads of the chain run on
//! blocking threads, a few at a time, since the node's first work is to make blocks.
//!
//! | file | what it is for |
//! |---|---|
//! | `server` | sockets, their limits, start and stop |
//! | `security` | headers of every answer, which hosts may be named, failures as pages |
//! | `page`, `format` | frame and pieces of pages; numbers and times as text |
//! | `recent` | the last blocks in memory, with who proposed and who signed them |
//! | `picture` | certificates, weights and throughput as SVG |
//! | `live` | tells pages of new blocks |
//! | all others | a page each, or a few that belong together |

mod assets;
pub(crate) mod format;
pub(crate) mod page;
pub(crate) mod security;
