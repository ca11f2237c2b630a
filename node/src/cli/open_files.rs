//! How many files and sockets a node may have open. A database that can open no further file stops the node, and who may
//! open connections must not be able to bring that about.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::{debug, warn};

/// Files of the database, connections to other nodes, and whatever else is not a client's.
const OWN: u64 = 1_024;

/// Has the system let this process open as many files as it may, when it has fewer than all its clients can take.
pub(super) fn allow(clients: u64) {
    let needed = clients.saturating_add(OWN);
    let limit = getrlimit(Resource::Nofile);
    if let Some(raised) = raised(&limit, needed) {
        match setrlimit(Resource::Nofile, raised) {
            Ok(()) => debug!(needed, "the limit of open files is raised"),
            Err(error) => warn!(%error, needed, "the limit of open files stays as it is"),
        }
    }
    if let Some(current) = getrlimit(Resource::Nofile).current.filter(|current| *current < needed) {
        warn!(
            current,
            needed,
            "clients may open more sockets than the system gives this process, and then the database can open no files: \
             raise the limit (ulimit -n, LimitNOFILE), or lower rpc.max_connections"
        );
    }
}

/// The limit to set; `None`: there is enough, or no more to be had.
fn raised(limit: &Rlimit, needed: u64) -> Option<Rlimit> {
    let current = limit.current?;
    let most = limit.maximum.unwrap_or(u64::MAX);
    let wanted = needed.min(most);
    (current < wanted).then_some(Rlimit { current: Some(wanted), maximum: limit.maximum })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(current: Option<u64>, maximum: Option<u64>) -> Rlimit {
        Rlimit { current, maximum }
    }

    #[test]
    fn the_limit_is_raised_as_far_as_needed_and_allowed() {
        let after = |current, maximum| raised(&limit(current, maximum), 3_000).and_then(|limit| limit.current);
        assert_eq!(after(Some(1_024), Some(524_288)), Some(3_000));
        assert_eq!(after(Some(1_024), Some(2_000)), Some(2_000));
        assert_eq!(after(Some(1_024), None), Some(3_000));
        assert_eq!(after(Some(4_096), Some(4_096)), None, "it is never lowered");
        assert_eq!(after(Some(1_024), Some(1_024)), None);
        assert_eq!(after(None, None), None);
    }
}
