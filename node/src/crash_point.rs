//! Named places at which a test has this process end as `kill -9` ends it: nothing is flushed, nothing is closed.
//!
//! Every durable step of a node passes a [`Point`]. In a build with debug assertions, which `make run` and the tests
//! use, `ASSENT_CRASH_AT=POINT[:leader|:voter][@PASSAGE]` names the place: `both-synced:leader@3` ends the process when
//! it is there for the third time after it signed in a view that it leads. `ASSENT_WAL_SEGMENT_BYTES` has the consensus
//! log begin a new segment earlier than the product does, so that tests reach that step at all.
//!
//! A build without debug assertions (`cargo install`) has nothing of this: the functions are empty, and the
//! variables are unknown to it.

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

/// The variable that names where the process is to end.
pub const CRASH_AT: &str = "ASSENT_CRASH_AT";

/// The variable that says after how many bytes the consensus log begins a new segment.
pub const SEGMENT_BYTES: &str = "ASSENT_WAL_SEGMENT_BYTES";

/// The variables that this build knows.
pub const VARIABLES: &[&str] = if cfg!(debug_assertions) { &[CRASH_AT, SEGMENT_BYTES] } else { &[] };

macro_rules! points {
    ($($point:ident = $name:literal, $place:literal;)*) => {
        /// A place at which the process may be told to end.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Point {
            $(#[doc = $place] $point,)*
        }

        impl Point {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$point),*];

            /// Its name in the variable.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$point => $name,)*
                }
            }
        }
    };
}

points! {
    BallotSigned = "ballot-signed", "A ballot is signed; neither log nor mark has it.";
    RecordAppended = "record-appended", "The log has a record that is not synced.";
    LogSyncedFirst = "log-synced-first", "The log is synced because it must be before the mark is written; the signer's file is there.";
    MarkWrittenLast = "mark-written-last", "The log is synced; the signer's mark is written and not synced.";
    BeforeMarkWrite = "before-mark-write", "Log and mark are about to be synced together; the mark is the one before.";
    MarkWritten = "mark-written", "The signer's mark is written; neither it nor the log is synced.";
    LogSynced = "log-synced-alone", "The log is synced, the mark is not.";
    MarkSynced = "mark-synced-alone", "The mark is synced, the log is not.";
    BothSynced = "both-synced", "Log and mark are synced; nothing has left the node.";
    BeforePropose = "before-propose", "A proposal is about to leave.";
    ProposeSentToOne = "propose-sent-to-one", "One peer has the proposal.";
    BeforePrepare = "before-prepare", "A Prepare is about to leave.";
    PrepareSentToOne = "prepare-sent-to-one", "One peer has the Prepare.";
    BeforeCommit = "before-commit", "A Commit is about to leave.";
    CommitSentToOne = "commit-sent-to-one", "One peer has the Commit.";
    BeforeViewChange = "before-view-change", "A ViewChange is about to leave.";
    ViewChangeSentToOne = "view-change-sent-to-one", "One peer has the ViewChange.";
    FinalDecided = "final-decided", "Blocks are final; their writer does not know yet.";
    BeforeFinalWrite = "before-final-write", "The writer has final blocks; the database has not.";
    FinalWritten = "final-written", "The database has the final blocks; nobody was told.";
    BeforeSegment = "before-segment", "The log is full; the database is synced.";
    SegmentBegun = "segment-begun", "A new segment has its snapshot and is not marked complete.";
    SegmentComplete = "segment-complete", "The new segment is complete and synced; the old one is there.";
    SegmentReplaced = "segment-replaced", "The old segment is removed.";
    BeforeImport = "before-import", "The writer has a block from block sync; the database has not.";
    ImportWritten = "import-written", "The database has the synced block; sync was not told.";
    ImportUntold = "import-untold", "Sync knows that its block is written; consensus does not.";
}

impl Point {
    /// The point with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|point| point.name() == name)
    }
}

/// What the node was in the view of the last ballot that it signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It led the view.
    Leader,
    /// Another validator did, or nothing was signed yet.
    Voter,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Leader => "leader",
            Self::Voter => "voter",
        })
    }
}

/// Where the process is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    /// The place.
    pub point: Point,
    /// Only when it is there as this; otherwise as either.
    pub role: Option<Role>,
    /// The how manieth time it is there; the first is 1.
    pub passage: u64,
}

impl fmt::Display for Wish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.point.name())?;
        if let Some(role) = self.role {
            write!(f, ":{role}")?;
        }
        write!(f, "@{}", self.passage)
    }
}

/// Why a variable is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArmError {
    /// No place of this name, or no such role or passage.
    #[error("{variable}={text}: expected POINT[:leader|:voter][@PASSAGE], PASSAGE from 1 on, POINT one of {names}",
        variable = CRASH_AT, names = names())]
    Wish {
        /// What the variable says.
        text: String,
    },
    /// Not a number.
    #[error("{variable}={text}: expected a number of bytes ({source})", variable = SEGMENT_BYTES)]
    Bytes {
        /// What the variable says.
        text: String,
        /// What is wrong with it.
        source: ParseIntError,
    },
}

fn names() -> String {
    let names: Vec<&str> = Point::ALL.iter().map(|point| point.name()).collect();
    names.join(", ")
}

impl FromStr for Wish {
    type Err = ArmError;

    fn from_str(text: &str) -> Result<Self, ArmError> {
        let refused = || ArmError::Wish { text: text.to_owned() };
        let (place, passage) = text.split_once('@').unwrap_or((text, "1"));
        let passage = passage.parse::<u64>().ok().filter(|passage| *passage > 0).ok_or_else(refused)?;
        let (point, role) = match place.split_once(':') {
            None => (place, None),
            Some((point, "leader")) => (point, Some(Role::Leader)),
            Some((point, "voter")) => (point, Some(Role::Voter)),
            Some(_) => return Err(refused()),
        };
        let point = Point::named(point).ok_or_else(refused)?;
        Ok(Self { point, role, passage })
    }
}

pub use armed::{arm, is_armed, reached, reached_once_sent, segment_bytes, signs_as_leader};

#[cfg(debug_assertions)]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
    use std::time::Duration;

    use rustix::process::{Signal, getpid, kill_process};

    use super::{ArmError, CRASH_AT, Point, Role, SEGMENT_BYTES, Wish};

    /// How long the network's task has for sending what was handed to it.
    const SENDING: Duration = Duration::from_millis(50);

    static WISH: OnceLock<Wish> = OnceLock::new();
    static SEGMENT: OnceLock<u64> = OnceLock::new();
    static PASSED: AtomicU64 = AtomicU64::new(0);
    static LEADS: AtomicBool = AtomicBool::new(false);

    /// Takes the process's wish from its environment; once, before anything is started.
    ///
    /// # Errors
    /// When a variable cannot be understood.
    pub fn arm(environment: impl IntoIterator<Item = (String, String)>) -> Result<(), ArmError> {
        for (name, text) in environment {
            if name == CRASH_AT {
                let wish = text.parse::<Wish>()?;
                WISH.get_or_init(|| wish);
            } else if name == SEGMENT_BYTES {
                let bytes = text.parse::<u64>().map_err(|source| ArmError::Bytes { text, source })?;
                SEGMENT.get_or_init(|| bytes);
            }
        }
        Ok(())
    }

    /// After how many bytes the log begins a new segment, if a test says so.
    #[must_use]
    pub fn segment_bytes() -> Option<u64> {
        SEGMENT.get().copied()
    }

    /// Whether the process is to end at this place, now or later.
    #[must_use]
    pub fn is_armed(point: Point) -> bool {
        WISH.get().is_some_and(|wish| wish.point == point)
    }

    /// The next ballot is of a view that this node leads, or of one that it does not lead.
    pub fn signs_as_leader(leads: bool) {
        LEADS.store(leads, Ordering::Relaxed);
    }

    /// The process is at a place, and ends if it was told to.
    pub fn reached(point: Point) {
        if is_due(point) {
            end(point);
        }
    }

    /// As [`reached`], once what was handed to the network before has left.
    pub async fn reached_once_sent(point: Point) {
        if is_due(point) {
            tokio::time::sleep(SENDING).await;
            end(point);
        }
    }

    fn role() -> Role {
        if LEADS.load(Ordering::Relaxed) { Role::Leader } else { Role::Voter }
    }

    fn is_due(point: Point) -> bool {
        let Some(wish) = WISH.get().filter(|wish| wish.point == point) else { return false };
        let here = wish.role.is_none_or(|wanted| wanted == role());
        here && PASSED.fetch_add(1, Ordering::Relaxed) + 1 == wish.passage
    }

    fn end(point: Point) -> ! {
        eprintln!("crash point {} reached as {}", point.name(), role());
        // The signal ends the process before the call returns; should the system refuse, the next line does.
        let _ = kill_process(getpid(), Signal::KILL);
        std::process::abort()
    }
}

#[cfg(not(debug_assertions))]
mod armed {
    use super::{ArmError, Point};

    /// Nothing can be wished for in this build.
    ///
    /// # Errors
    /// Never.
    pub fn arm(_: impl IntoIterator<Item = (String, String)>) -> Result<(), ArmError> {
        Ok(())
    }

    /// The log's segments are as long as the product has them.
    #[must_use]
    pub const fn segment_bytes() -> Option<u64> {
        None
    }

    /// Never in this build.
    #[must_use]
    pub const fn is_armed(_: Point) -> bool {
        false
    }

    /// Nothing in this build.
    pub const fn signs_as_leader(_: bool) {}

    /// Nothing in this build.
    pub const fn reached(_: Point) {}

    /// Nothing in this build.
    pub async fn reached_once_sent(_: Point) {}
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn a_wish_is_read_as_it_is_shown() {
        for point in Point::ALL {
            for role in [None, Some(Role::Leader), Some(Role::Voter)] {
                let wish = Wish { point: *point, role, passage: 7 };
                assert_eq!(wish.to_string().parse::<Wish>(), Ok(wish));
            }
            let first = Wish { point: *point, role: None, passage: 1 };
            assert_eq!(point.name().parse::<Wish>(), Ok(first));
        }
    }

    #[test]
    fn what_is_no_wish_is_refused_with_the_names_of_all_points() {
        for text in ["", "nowhere", "both-synced@0", "both-synced@x", "both-synced:king", "both-synced:leader:voter"] {
            let error = text.parse::<Wish>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("{CRASH_AT}={text}: ")), "{error}");
            assert!(Point::ALL.iter().all(|point| error.contains(point.name())), "{error}");
        }
    }

    #[test]
    fn names_are_distinct() {
        let names: BTreeSet<&str> = Point::ALL.iter().map(|point| point.name()).collect();
        assert_eq!(names.len(), Point::ALL.len());
    }

    /// The text of all sources in a folder but this file's.
    fn sources(folder: &Path, text: &mut String) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, text);
            } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("crash_point.rs") {
                text.push_str(&fs::read_to_string(&path).unwrap());
            }
        }
    }

    #[test]
    fn each_point_is_one_place_in_the_node() {
        let mut text = String::new();
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut text);
        for point in Point::ALL {
            let name = format!("Point::{point:?}");
            let behind = text.split(name.as_str()).skip(1);
            let places = behind.filter(|rest| !rest.starts_with(|next: char| next.is_ascii_alphanumeric())).count();
            assert_eq!(places, 1, "{name}");
        }
    }
}
