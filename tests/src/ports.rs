//! Ports that nothing else uses.
//!
//! A node's ports are the usual ones plus an offset. All offsets used here keep every port below 32768,
//! where Linux begins to hand out ports for outgoing connections by itself, so that a port found free
//! stays free until the node takes it.

use std::{
    net::{Ipv4Addr, TcpListener},
    process,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Result, bail, ensure};

/// JSON-RPC of node 0 at offset 0.
pub const RPC: u16 = 8545;
/// Peer-to-peer port of node 0 at offset 0.
pub const P2P: u16 = 30303;
/// Metrics of node 0 at offset 0.
pub const METRICS: u16 = 9545;
/// Block explorer of node 0 at offset 0.
pub const EXPLORER: u16 = 8080;

/// Offsets in use: above those that a person types, below the system's own ports.
const OFFSETS: std::ops::Range<u16> = 200..2200;

/// Room for the nodes of one network above the highest offset.
const NODES: u16 = 64;
const _: () = assert!(P2P + OFFSETS.end + NODES < 32768);

/// An offset at which `nodes` nodes find all their ports free. Each call begins its search elsewhere.
pub fn free_offset(nodes: u16) -> Result<u16> {
    let span = OFFSETS.end - OFFSETS.start;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.subsec_nanos();
    let first = (now ^ process::id().wrapping_mul(2_654_435_761)) % u32::from(span);
    ensure!(nodes <= NODES, "a network of {nodes} nodes: the harness has room for {NODES}");
    let step = nodes.max(1);
    let mut candidate = u16::try_from(first)?;
    for _ in 0..span / step {
        let offset = OFFSETS.start + candidate;
        if (offset..offset + step).all(all_free) {
            return Ok(offset);
        }
        candidate = (candidate + step) % span;
    }
    bail!("no room for {nodes} nodes between port offsets {OFFSETS:?}: end what listens there")
}

fn all_free(offset: u16) -> bool {
    [RPC, P2P, METRICS, EXPLORER].iter().all(|base| TcpListener::bind((Ipv4Addr::LOCALHOST, base + offset)).is_ok())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::wait;

    #[tokio::test]
    async fn a_taken_port_is_avoided() -> Result<()> {
        let offset = free_offset(1)?;
        // A process that another test starts at this moment may hold our sockets until it has become
        // another program.
        wait::until_true("the ports are free", Duration::from_secs(10), async || {
            Ok::<_, anyhow::Error>(all_free(offset))
        })
        .await?;
        let _taken = TcpListener::bind((Ipv4Addr::LOCALHOST, METRICS + offset))?;
        ensure!(!all_free(offset));
        Ok(())
    }
}
