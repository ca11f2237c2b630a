//! Carrying out outputs, in order: first everything that stays inside, then the sync, then what leaves.

use std::collections::VecDeque;
use std::time::Duration;

use alloy_primitives::B256;
use assent_consensus::core::{Input, Output, Standing};
use assent_consensus::{BlockInfo, Certificate, Evidence, Message, Phase, PublicKey};
use tokio::time::Instant;

use super::timers::Alarm;
use super::{Driver, DriverError};
use crate::crash_point::{self, Point};
use crate::network::Channel;

impl Driver {
    /// Steps through inputs and whatever follows from them, with one sync at the end.
    pub(super) async fn process(&mut self, mut inputs: VecDeque<Input>) -> Result<(), DriverError> {
        let before = self.core.standing();
        while let Some(input) = inputs.pop_front() {
            self.failed.begin_step(&input);
            self.phases.begin_step(&input);
            let mut signed = Vec::new();
            for output in self.core.step(input) {
                self.carry_out(output, &mut inputs, &mut signed)?;
            }
            // Before anything else that waits, and in their order: the votes belong to this very step.
            signed.into_iter().rev().for_each(|input| inputs.push_front(input));
        }
        if let Err(error) = self.durable.sync().await {
            // After a failed sync nobody knows what is on the disk: pages may be marked clean.
            tracing::error!(target: "assent::consensus", %error, "the disk refused a sync: aborting");
            std::process::abort();
        }
        for output in std::mem::take(&mut self.held) {
            self.release(output).await?;
        }
        self.log_changes(before);
        Ok(())
    }

    /// What stays inside the node.
    fn carry_out(
        &mut self,
        output: Output,
        inputs: &mut VecDeque<Input>,
        signed: &mut Vec<Input>,
    ) -> Result<(), DriverError> {
        self.observe(&output);
        match output {
            Output::Persist(record) => self.durable.append(&record)?,
            Output::Sign(ballot) => {
                crash_point::signs_as_leader(self.set.leader(ballot.view) == self.me);
                let signature = self.durable.sign(&ballot)?;
                signed.push(Input::Signed(ballot, signature));
            }
            Output::SetTimer(timer, after) => {
                self.timers.set(Alarm::Core(timer), Instant::now() + Duration::from_millis(after));
            }
            Output::EnteredView { view, leader, parent } => {
                self.timers.clear_core();
                let (leader, view_number) = (self.directory.name(leader), view.0);
                tracing::debug!(target: "assent::consensus", view = view_number, leader, "view");
                self.enter_view(view, B256::from(parent.0), inputs);
            }
            Output::Build(build) => self.plan_construction(build),
            Output::Validate(proposal, certified) => self.validate(proposal, certified),
            Output::Forgotten => self.durable.forget(),
            Output::Diverged(divergence) => return Err(divergence.into()),
            leaving => self.held.push(leaving),
        }
        Ok(())
    }

    /// What leaves the node, or is told to its users.
    async fn release(&mut self, output: Output) -> Result<(), DriverError> {
        match output {
            Output::Broadcast(message) => self.broadcast(&message).await,
            Output::Send(to, message) => {
                if let Some(peer) = self.directory.node(to) {
                    super::measures::sent(&message, 1);
                    // Not connected or full: the protocol says again what matters.
                    let _ = self.around.network.send(peer, Channel::Consensus, message.encode());
                }
            }
            Output::Final(blocks) => self.make_final(blocks).await?,
            Output::Evidence(evidence) => self.report(evidence),
            _ => {}
        }
        Ok(())
    }

    /// Exclusive, because the driver may move to another thread while it waits, and cannot be shared between threads.
    async fn broadcast(&mut self, message: &Message) {
        let points = crash_points(message);
        if let Some((before, _)) = points {
            crash_point::reached(before);
        }
        let bytes = alloy_primitives::bytes::Bytes::from(message.encode());
        let others = self.set.iter().map(|(index, _)| index).filter(|index| *index != self.me);
        let peers: Vec<PublicKey> = others.filter_map(|index| self.directory.node(index).copied()).collect();
        super::measures::sent(message, peers.len());
        for (position, peer) in peers.iter().enumerate() {
            // Not connected or full: the protocol says again what matters.
            let _ = self.around.network.send(peer, Channel::Consensus, bytes.clone());
            if let (0, Some((_, sent_to_one))) = (position, points) {
                crash_point::reached_once_sent(sent_to_one).await;
            }
        }
    }

    async fn make_final(&mut self, blocks: Vec<(BlockInfo, Certificate)>) -> Result<(), DriverError> {
        let Some((last, _)) = blocks.last() else { return Ok(()) };
        let hash = B256::from(last.hash.0);
        let certificates = blocks.iter().map(|(block, c)| (B256::from(block.hash.0), c.encode())).collect();
        for (block, _) in &blocks {
            if let Some(block) = self.around.chain.get_unfinal(B256::from(block.hash.0)) {
                super::measures::finality(block.time_ms(), super::blocks::now_ms());
                self.evidence.remove(&block.block().seal().evidence);
            }
        }
        crash_point::reached(Point::FinalDecided);
        self.around.committer.finalize(hash, certificates).await?;
        Ok(())
    }

    fn report(&mut self, evidence: Evidence) {
        let (who, view) = (self.directory.name(evidence.validator()).to_owned(), evidence.view().0);
        super::measures::evidence();
        tracing::error!(target: "assent::consensus", validator = who, view, evidence = ?evidence.ballots().map(|s| s.phase),
            "a validator contradicted itself: two processes with one key, a restored backup, or an attack");
        self.evidence.add(evidence);
    }

    /// When the log has grown: what is final is made durable, then a new segment replaces the old.
    pub(super) async fn rotate_log(&mut self) -> Result<(), DriverError> {
        if !self.durable.wal.is_full() {
            return Ok(());
        }
        self.around.committer.flush().await?;
        let chain = self.around.chain.clone();
        tokio::task::spawn_blocking(move || chain.sync())
            .await
            .map_err(std::io::Error::other)?
            .map_err(std::io::Error::other)?;
        let snapshot: Vec<Vec<u8>> = self.core.snapshot().iter().map(|record| record.encode()).collect();
        self.durable.wal.rotate(self.durable.signer.mark(), &snapshot)?;
        Ok(())
    }

    fn log_changes(&self, standing: Standing) {
        let now = self.core.standing();
        if now != standing {
            match now {
                Standing::Active => tracing::info!(target: "assent::consensus", view = self.core.view().0, "voting"),
                Standing::Listening => tracing::info!(target: "assent::consensus", "listening to the other validators"),
                Standing::Abstaining(until) => tracing::warn!(target: "assent::consensus", until = until.0,
                    "this validator may have forgotten what it signed: it abstains until that view has a certificate"),
            }
        }
    }
}

/// The places before such a message leaves, and when one peer has it: of all that says something new of our own.
const fn crash_points(message: &Message) -> Option<(Point, Point)> {
    match message {
        Message::Propose(_) => Some((Point::BeforePropose, Point::ProposeSentToOne)),
        Message::Vote(vote) => match vote.ballot.phase {
            Phase::Prepare => Some((Point::BeforePrepare, Point::PrepareSentToOne)),
            Phase::Commit => Some((Point::BeforeCommit, Point::CommitSentToOne)),
            Phase::ViewChange => Some((Point::BeforeViewChange, Point::ViewChangeSentToOne)),
            Phase::Propose => None,
        },
        Message::Certificate(_) | Message::Status(_) | Message::Fetch(_) | Message::Evidence(_) => None,
    }
}
