//! Who is not on the node list, follows another genesis or speaks another language gets nowhere, is told
//! why, and does no harm.

use std::{
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, TcpStream},
    time::Duration,
};

use alloy::primitives::U256;
use anyhow::{Context, Result, ensure};
use assent_tests::{
    accounts::Account,
    checks,
    cluster::{Cluster, Plan, read_json, run_assent},
    wait,
};
use serde_json::json;

const STAKES: [u64; 4] = [40, 30, 20, 10];
/// A further node that the plan puts on the node list.
const GUEST: usize = 4;
const LIMIT: Duration = Duration::from_secs(60);

/// Waits until a node logs a line, after the first `from` bytes of its log, that holds all of `words`.
async fn logs(cluster: &Cluster, number: usize, from: usize, words: &[&str]) -> Result<()> {
    let what = format!("{} logs a line with {words:?}", cluster.name(number));
    wait::until_true(what, LIMIT, async || {
        let log = cluster.log(number);
        let new = log.get(from..).unwrap_or_default();
        let found = new.lines().any(|line| {
            let line = line.to_lowercase();
            words.iter().all(|word| line.contains(&word.to_lowercase()))
        });
        Ok::<_, anyhow::Error>(found)
    })
    .await
}

/// The network goes on without the guest: a transfer is final, and nobody is connected to it.
async fn nobody_minds(cluster: &Cluster) -> Result<()> {
    let nodes = cluster.rpcs();
    let mut account = Account::test(0)?;
    account.nonce = nodes[0].nonce(account.address()).await?;
    let transfer = account.transfer(Account::test(1)?.address(), U256::from(1))?;
    transfer.submit(nodes[0]).await?;
    for node in &nodes {
        wait::until_true("a transfer is final", LIMIT, async || {
            Ok::<_, anyhow::Error>(node.receipt(transfer.hash).await?.is_some())
        })
        .await?;
        let status = node.status().await?;
        let connected = status.peers.iter().filter(|peer| peer.connected).count();
        ensure!(connected == STAKES.len() - 1, "{}: {:?}", node.url(), status.peers);
    }
    checks::same_chain(&nodes).await?;
    Ok(())
}

/// The guest stands at block 0, knows of nobody, and makes no block.
async fn guest_got_nowhere(cluster: &Cluster) -> Result<()> {
    let status = cluster.rpc(GUEST).status().await?;
    ensure!(status.head.number == 0, "{status:?}");
    ensure!(status.peers.iter().all(|peer| !peer.connected), "{status:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_not_on_the_list_is_refused() -> Result<()> {
    let mut cluster = Cluster::launch(Plan::validators(&STAKES).followers(1)).await?;
    let path = cluster.home(GUEST).join("keys/node.json");
    fs::remove_file(&path)?;
    let name = run_assent(&["keys", "generate", "--output", &path.to_string_lossy()])?.trim().to_string();
    // Its own copy of the genesis lists it, so that it goes and calls the others.
    let path = cluster.home(GUEST).join("genesis.json");
    let mut genesis = read_json(&path)?;
    let nodes = genesis["assent"]["nodes"].as_array_mut().context("no node list")?;
    let own = nodes.get_mut(GUEST).context("the guest is not on the list")?;
    own["key"] = json!(name);
    fs::write(&path, genesis.to_string())?;

    let before: Vec<usize> = (0..STAKES.len()).map(|number| cluster.log(number).len()).collect();
    cluster.start(GUEST)?;
    // Whoever is called by the stranger says so, by its key; the stranger is told as well.
    let called = wait::until("a validator logs the stranger's key", LIMIT, async || {
        let mut numbers = 0..STAKES.len();
        let met = numbers.find(|number| {
            let log = cluster.log(*number);
            let new = log.get(before[*number]..).unwrap_or_default();
            new.lines().any(|line| line.contains(&name))
        });
        Ok::<_, anyhow::Error>(met)
    })
    .await?;
    logs(&cluster, called, before[called], &[&name, "node list"]).await?;
    logs(&cluster, GUEST, 0, &["node list"]).await?;
    nobody_minds(&cluster).await?;
    if cluster.process_id(GUEST).is_some_and(assent_tests::process::is_alive) {
        guest_got_nowhere(&cluster).await?;
    }
    cluster.kill(GUEST)?;
    cluster.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn another_genesis_is_refused_on_both_sides() -> Result<()> {
    let mut cluster = Cluster::launch(Plan::validators(&STAKES).followers(1)).await?;
    let path = cluster.home(GUEST).join("genesis.json");
    let mut genesis = read_json(&path)?;
    genesis["alloc"][format!("0x{}", "22".repeat(20))] = json!({"balance": "0x1"});
    fs::write(&path, genesis.to_string())?;

    let before = cluster.log(0).len();
    cluster.start_and_wait(GUEST).await?;
    let ours = cluster.rpc(0).status().await?.genesis_hash.to_string();
    let theirs = cluster.rpc(GUEST).status().await?.genesis_hash.to_string();
    ensure!(ours != theirs);
    // Both sides name both hashes.
    logs(&cluster, 0, before, &["genesis", &ours, &theirs]).await?;
    logs(&cluster, GUEST, 0, &["genesis", &ours, &theirs]).await?;
    nobody_minds(&cluster).await?;
    guest_got_nowhere(&cluster).await?;

    // It is seen in the status, too.
    let guest = cluster.name(GUEST).to_string();
    wait::until("the status says why", LIMIT, async || {
        let status = cluster.rpc(0).status().await?;
        let peer = status.peers.iter().find(|peer| peer.name == guest).context("not on the list")?;
        let reason = peer.refused_reason.as_deref().unwrap_or_default();
        ensure!(reason.contains("genesis"), "{peer:?}");
        Ok::<_, anyhow::Error>(Some(()))
    })
    .await?;
    cluster.finish().await
}

/// Bytes that are no protocol: an HTTP request, noise, a huge length, and silence.
fn garbage() -> Vec<Vec<u8>> {
    let mut noise = Vec::with_capacity(1 << 16);
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    while noise.len() < 1 << 16 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        noise.extend_from_slice(&seed.to_be_bytes());
    }
    vec![
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
        noise,
        vec![0xff; 1 << 16],
        vec![0; 1 << 16],
        // A right beginning of the negotiation, then nonsense.
        b"\x13/multistream/1.0.0\n\x07/noise\n\xff\xff\xff\xff\xff\xff".to_vec(),
        Vec::new(),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_on_the_port_for_nodes_does_no_harm() -> Result<()> {
    let cluster = Cluster::launch(Plan::validators(&STAKES)).await?;
    let before = cluster.log(0).len();
    let address = (Ipv4Addr::LOCALHOST, cluster.p2p_port(0));
    // Several times over: connections of strangers must not be collected.
    let mut open = Vec::new();
    for bytes in garbage().iter().cycle().take(120) {
        let mut stream = TcpStream::connect(address).context("the node does not listen any more")?;
        stream.set_read_timeout(Some(Duration::from_millis(20)))?;
        stream.set_write_timeout(Some(LIMIT))?;
        // The node may hang up at any moment; that is what it should do.
        let _ = stream.write_all(bytes);
        let _ = stream.read(&mut [0; 64]);
        open.push(stream);
    }
    nobody_minds(&cluster).await?;
    logs(&cluster, 0, before, &["127.0.0.1"]).await?;
    drop(open);
    nobody_minds(&cluster).await?;
    let lines = cluster.log(0)[before..].lines().count();
    ensure!(lines < 400, "120 strangers made {lines} lines of log");
    cluster.finish().await
}
