//! In which order log and signer's mark become durable (SPEC rule D1).
//!
//! Both are synced at the same time where that does no harm, because the disk is most of a vote's latency. A loss of
//! power may then leave the mark without the log. So a mark is written only when its owner could go on from it without
//! anything that the sync still has to bring: it must be able to stand in the mark's view, and to say again what it may
//! not sign anew.

use crate::{Ballot, Phase, Record, View};

/// Whether the log has to be durable before the mark is written. Told of everything between two syncs.
#[derive(Clone, Debug)]
pub struct SyncOrder {
    /// This validator is a quorum alone: a vote of its own is a certificate, and nobody else holds the block.
    alone: bool,
    /// The highest view of a certificate in the log: the current view is the one after it.
    certified: View,
    log_first: bool,
}

impl SyncOrder {
    /// For a validator that starts: nothing is taken for granted of what it found until its first sync.
    #[must_use]
    pub const fn new(alone: bool) -> Self {
        Self { alone, certified: View(0), log_first: true }
    }

    /// A record was appended. A certificate that leads into a view must not be lost under a mark of that view: its owner
    /// would stand in an earlier one, in which it may sign nothing.
    pub fn appended(&mut self, record: &Record) {
        if let Record::Certificate(certificate) = record
            && certificate.view > self.certified
        {
            self.certified = certificate.view;
            self.log_first = true;
        }
    }

    /// A ballot was signed. After a Commit or a ViewChange nothing else may be signed in the view, so it must be there to
    /// be said again, with its block and its certificate.
    pub fn signed(&mut self, ballot: &Ballot) {
        self.log_first |= ballot.phase.step() == Phase::Commit.step();
    }

    /// Whether the next sync must have the log on the disk before it writes the mark.
    #[must_use]
    pub const fn log_first(&self) -> bool {
        self.log_first
    }

    /// Both are durable.
    pub const fn synced(&mut self) {
        self.log_first = self.alone;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Network;

    #[test]
    fn rule_d1_the_log_goes_first_under_a_last_ballot_and_into_a_view() {
        let net = Network::new(&[1, 1, 1, 1]);
        let certificate = |phase, view| Record::Certificate(net.certificate(phase, view, 1, &[0, 1, 2]));
        let mut order = SyncOrder::new(false);
        assert!(order.log_first(), "the first after a start");
        order.synced();
        assert!(!order.log_first());
        let signed = |phase, view| (Some(Network::ballot(phase, view, 1)), None);
        let appended = |phase, view| (None, Some(certificate(phase, view)));
        // (what happens, as a ballot or a record, whether the log goes first)
        let table = [
            ("Propose", signed(Phase::Propose, 1), false),
            ("Prepare", signed(Phase::Prepare, 1), false),
            ("the certificate of view 1", appended(Phase::Prepare, 1), true),
            ("Commit", signed(Phase::Commit, 1), true),
            ("another certificate of view 1", appended(Phase::Commit, 1), false),
            ("Prepare in view 2", signed(Phase::Prepare, 2), false),
            ("ViewChange", signed(Phase::ViewChange, 2), true),
            ("an older certificate", appended(Phase::Commit, 1), false),
            ("a certificate far ahead", appended(Phase::Prepare, 40), true),
        ];
        for (what, (ballot, record), first) in table {
            ballot.iter().for_each(|ballot| order.signed(ballot));
            record.iter().for_each(|record| order.appended(record));
            assert_eq!(order.log_first(), first, "{what}");
            order.synced();
        }
        let mut alone = SyncOrder::new(true);
        alone.synced();
        assert!(alone.log_first(), "a quorum alone");
    }

    #[test]
    fn rule_d1_a_certificate_that_nothing_was_signed_after_is_remembered_until_the_next_sync() {
        let net = Network::new(&[1, 1, 1, 1]);
        let mut order = SyncOrder::new(false);
        order.synced();
        order.appended(&Record::Certificate(net.certificate(Phase::Prepare, 3, 1, &[0, 1, 2])));
        order.appended(&Record::Vote(net.vote(0, Phase::Prepare, 4, 1)));
        order.signed(&Network::ballot(Phase::Prepare, 4, 1));
        assert!(order.log_first());
    }
}
