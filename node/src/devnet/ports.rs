//! The ports of a devnet, and whether they are free.

use std::net::{Ipv4Addr, TcpListener};

use crate::cli::{Ports, UsageError};

/// The first node's ports without an offset.
const RPC: u16 = 8545;
const P2P: u16 = 30303;
const METRICS: u16 = 9545;
const EXPLORER: u16 = 8080;

/// Offsets that are tried for a suggestion.
const SUGGESTIONS: u16 = 50;

/// Distance between two suggested offsets.
const STEP: u16 = 100;

/// The ports of each of `nodes` nodes: 8545 + i + offset, and so on. The first one serves the explorer.
pub(super) fn assign(nodes: usize, offset: u16) -> Result<Vec<Ports>, UsageError> {
    let number = u16::try_from(nodes).ok();
    // The highest of the first ports decides.
    let room = number.and_then(|nodes| nodes.checked_add(offset)).and_then(|beyond| P2P.checked_add(beyond));
    if room.is_none() {
        return Err(UsageError(format!(
            "--port-offset {offset} leaves too few ports for {nodes} nodes: the highest is {P2P} + \
             {nodes} + offset and must stay below 65536"
        )));
    }
    let ports = (0..number.unwrap_or(0)).map(|index| Ports {
        p2p: P2P + index + offset,
        rpc: RPC + index + offset,
        metrics: METRICS + index + offset,
        explorer: (index == 0).then_some(EXPLORER + offset),
        loopback: true,
        all_namespaces: true,
    });
    Ok(ports.collect())
}

/// Fails with the names of all ports that somebody else uses.
pub(super) fn check_free(ports: &[Ports], offset: u16) -> anyhow::Result<()> {
    let mut used = Vec::new();
    for (index, ports) in ports.iter().enumerate() {
        for (port, what) in used_by(ports) {
            if let Err(error) = bind(port) {
                used.push(format!("  port {port} ({what} of node{index}): {error}"));
            }
        }
    }
    if used.is_empty() {
        return Ok(());
    }
    let advice = match suggest(ports.len(), offset) {
        Some(offset) => {
            format!("--port-offset {offset} has all its ports free; or stop what uses these (another devnet?)")
        }
        None => "choose others with --port-offset, or stop what uses these".to_string(),
    };
    anyhow::bail!("ports that the devnet needs are not free:\n{}\n{advice}", used.join("\n"))
}

/// The ports of a node, and what each is for.
fn used_by(ports: &Ports) -> impl Iterator<Item = (u16, &'static str)> {
    let always = [(ports.rpc, "JSON-RPC"), (ports.p2p, "p2p"), (ports.metrics, "metrics")];
    always.into_iter().chain(ports.explorer.map(|port| (port, "explorer")))
}

fn bind(port: u16) -> std::io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port))
}

fn suggest(nodes: usize, besides: u16) -> Option<u16> {
    (0..SUGGESTIONS).map(|number| number * STEP).filter(|offset| *offset != besides).find(|offset| {
        assign(nodes, *offset).is_ok_and(|ports| ports.iter().flat_map(used_by).all(|(port, _)| bind(port).is_ok()))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn ports_follow_the_offset() {
        let ports = assign(4, 10).unwrap();
        assert_eq!(ports.len(), 4);
        assert_eq!((ports[3].rpc, ports[3].p2p, ports[3].metrics), (8558, 30316, 9558));
        let explorers: Vec<_> = ports.iter().map(|ports| ports.explorer).collect();
        assert_eq!(explorers, [Some(8090), None, None, None]);
        assert!(assign(4, 35_228).is_ok());
        let error = assign(4, 35_229).unwrap_err().to_string();
        assert!(error.contains("--port-offset 35229"), "{error}");
        assert!(assign(100_000, 0).is_err());
    }

    #[test]
    fn a_used_port_is_named_with_the_setting() {
        let listener = bind(0).unwrap();
        let used = listener.local_addr().unwrap().port();
        let ports = Ports { p2p: 0, rpc: used, metrics: 0, explorer: None, loopback: true, all_namespaces: true };
        let error = check_free(std::slice::from_ref(&ports), 0).unwrap_err().to_string();
        assert!(error.contains(&format!("port {used} (JSON-RPC of node0)")), "{error}");
        assert!(error.contains("--port-offset"), "{error}");
        drop(listener);
        check_free(&[ports], 0).unwrap();
    }
}
