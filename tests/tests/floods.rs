//! A validator that floods the others with everything that it can sign and much that it cannot: votes for views near
//! and far, huge proposals, small ones with certificates that do not hold, transactions, questions, garbage; and that reads nothing of what they answer. It holds the
//! keys of the least of four validators and speaks the nodes' own protocol. The others' memory stays below a limit,
//! their blocks keep their pace, and none of their own views fails for want of votes.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use alloy::{
    consensus::{Header, TxEnvelope, proofs::calculate_transaction_root},
    eips::eip2718::Decodable2718,
    primitives::{Address, B256, Bytes, TxKind, U256, bytes::Bytes as Frame},
};
use anyhow::{Context, Result, bail, ensure};
use assent::network::{
    self, CONSENSUS_MAX, CONSENSUS_SMALL_MAX, Channel, Hello, Multiaddr, NetworkConfig, NetworkEvents, NetworkHandle,
    PeerEvent, PeerSpec, Timing,
};
use assent_chain::Seal;
use assent_consensus::{
    Ballot, BlockInfo, Certificate, Epoch, Fetch, Hash, Height, MAX_CARRIED, Message, Phase, Proposal, PublicKey,
    Status, ValidatorIndex, ValidatorSet, View, Vote, sha256,
};
use assent_genesis::{Genesis, SecretKey};
use assent_tests::{
    accounts::Account,
    checks,
    cluster::{Cluster, Plan},
    load::Load,
    rpc::Rpc,
    usage::usage,
    votes::Electorate,
    wait,
};
use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval, timeout};

const STAKES: [u64; 4] = [40, 30, 20, 10];
/// Its place is taken by the test.
const FLOODER: u16 = 3;
/// The others.
const HONEST: usize = 3;
const LIMIT: Duration = Duration::from_secs(60);

/// No node may ever have had more memory than this.
const MEMORY: u64 = 400 << 20;
/// The 99th percentile of the time between blocks may grow by this factor,
const SLOWER: u64 = 10;
/// or up to the time after which a view is given up.
const VIEW_TIMEOUT_MS: u64 = 1_000;
/// One view in so many of the honest ones may fail, because all processes share a small machine.
const FAILED_VIEWS: u64 = 50;

/// How long the flood lasts.
const FLOOD: Duration = Duration::from_secs(12);
/// Each tick it sends again what it has.
const TICK: Duration = Duration::from_millis(40);
/// Blocks that are made before it, to know the usual pace.
const QUIET: u64 = 60;
/// Votes for views far away, each tick.
const FAR_VOTES: usize = 100;
/// Questions and statuses, each tick.
const QUESTIONS: usize = 10;
/// Small proposals of a view far ahead, each tick: a thousand a second, in the lane of the votes.
const SMALL_PROPOSALS: usize = 40;
/// A view of the future that the flooder leads is among so many from this one on.
const FAR_AHEAD: std::ops::Range<u64> = 1_000_000..1_000_100;
/// A huge proposal is sent each fifth tick: ten megabytes a second to each node.
const HUGE_EVERY: usize = 5;
/// Bytes of input of the transactions in a huge proposal, and how many there are: two megabytes, as many as genesis
/// allows.
const HUGE_INPUT: usize = 125 * 1024;
const HUGE_COUNT: usize = 16;

/// The validator that floods.
struct Flooder {
    set: ValidatorSet,
    genesis: Hash,
    key: SecretKey,
    network: NetworkHandle,
    /// Nothing is taken from these but the end of connections.
    events: NetworkEvents,
    /// The others' node keys, in their order in genesis.
    peers: Vec<PublicKey>,
    far: Vec<Frame>,
    transactions: Frame,
    huge: Vec<Bytes>,
    /// Its proposals, one a view: it does not contradict itself.
    proposals: BTreeMap<u64, Frame>,
    /// A proposal of a view far ahead, upon a final block, with certificates that it invented.
    small: Option<Frame>,
}

impl Flooder {
    /// Connects to the running nodes with the keys of the fourth.
    async fn connect(cluster: &Cluster) -> Result<Self> {
        let keys = cluster.home(usize::from(FLOODER)).join("keys");
        let (genesis, _) = Genesis::load(&cluster.home(0).join("genesis.json"))?;
        let set = genesis.validator_set(Epoch(0), genesis.header().timestamp)?;
        let own = SecretKey::load(&keys.join("node.json"))?;
        let mut peers = Vec::new();
        for node in genesis.assent.nodes.iter().filter(|node| node.key != own.public()) {
            let addresses = node.addresses.iter().map(|text| text.parse::<Multiaddr>());
            let addresses = addresses.collect::<Result<Vec<_>, _>>()?;
            peers.push(PeerSpec { key: node.key, name: node.name.clone(), addresses });
        }
        let honest = peers.iter().map(|peer| peer.key).collect();
        let config = NetworkConfig {
            key: own,
            listen: vec!["/ip4/127.0.0.1/tcp/0".parse::<Multiaddr>()?],
            peers,
            hello: Hello::new(genesis.hash(), genesis.chain_id(), "flooder", 0),
            timing: Timing::default(),
        };
        let (network, mut events) = network::start(config).await?;
        for _ in 0..HONEST {
            connected(&mut events).await?;
        }
        let key = SecretKey::load(&keys.join("validator.json"))?;
        let genesis = Hash(genesis.hash().0);
        let far = far_votes(&set, &genesis, &key);
        let (transactions, huge) = (poor_transfers()?, huge_transactions()?);
        let (proposals, small) = (BTreeMap::new(), None);
        Ok(Self { set, genesis, key, network, events, peers: honest, far, transactions, huge, proposals, small })
    }

    fn send(&self, channel: Channel, frame: &Frame) {
        for peer in &self.peers {
            // A full queue refuses, or drops what is older: the flooder does not mind.
            let _ = self.network.send(peer, channel, frame.clone());
        }
    }

    /// What it sends in one tick, while the last final block is of `view`.
    fn tick(&self, number: usize, view: u64) {
        for near in view..view + 12 {
            votes_for(&self.set, &self.genesis, &self.key, near)
                .iter()
                .for_each(|vote| self.send(Channel::Consensus, vote));
        }
        for at in 0..FAR_VOTES {
            self.send(Channel::Consensus, &self.far[(number * FAR_VOTES + at) % self.far.len()]);
        }
        for frame in self.small.iter().cycle().take(SMALL_PROPOSALS) {
            self.send(Channel::Consensus, frame);
        }
        for question in 0..QUESTIONS as u64 {
            let fetch = Fetch { epoch: Epoch(0), from: View(view.saturating_sub(question)), to: View(u64::MAX) };
            let status = Status { epoch: Epoch(0), height: Height(0), entry: None, yours: None, reply: true };
            for message in [Message::Fetch(fetch), Message::Status(status)] {
                self.send(Channel::Consensus, &message.encode().into());
            }
            // A question of block sync: the tag, then identity and first height.
            let request = [vec![2], alloy_rlp::encode(vec![question, 1])].concat();
            self.send(Channel::Sync, &request.into());
        }
        self.send(Channel::Transactions, &self.transactions);
        if number.is_multiple_of(HUGE_EVERY) {
            self.proposals.range(view..).for_each(|(_, proposal)| self.send(Channel::Consensus, proposal));
        }
    }

    /// Proposes a huge block for each of its next views, upon the last final one.
    fn propose(&mut self, number: u64, certificate: &Certificate) -> Result<()> {
        let next = certificate.view.0 + 2..certificate.view.0 + 12;
        let led = next.filter(|view| self.set.leader(View(*view)) == ValidatorIndex(FLOODER));
        let new: Vec<u64> = led.filter(|view| !self.proposals.contains_key(view)).collect();
        for view in new {
            let proposal = self.proposal(view, number, certificate, &self.huge)?;
            self.proposals.insert(view, Message::Propose(proposal).encode().into());
        }
        if self.small.is_none() {
            let mut views = FAR_AHEAD;
            let led = views.find(|view| self.set.leader(View(*view)) == ValidatorIndex(FLOODER));
            let mut proposal = self.proposal(led.context("it leads no view")?, number, certificate, &[])?;
            let invented = FAR_AHEAD.take(MAX_CARRIED).map(|view| self.invented(view));
            proposal.skipped = invented.collect::<Result<_>>()?;
            let frame: Frame = Message::Propose(proposal).encode().into();
            ensure!(frame.len() <= CONSENSUS_SMALL_MAX, "{} bytes do not pass for a vote", frame.len());
            self.small = Some(frame);
        }
        Ok(())
    }

    /// A view-change certificate of three, of whom only the flooder has signed.
    fn invented(&self, view: u64) -> Result<Certificate> {
        let ballot = Ballot { epoch: Epoch(0), view: View(view), phase: Phase::ViewChange, block: Hash::ZERO };
        let own = self.key.sign(&ballot.sign_bytes(&self.genesis)).0;
        let fields: [&[u8]; 8] = [
            &[Phase::ViewChange as u8],
            &0u64.to_be_bytes(),
            &view.to_be_bytes(),
            &Hash::ZERO.0,
            &4u16.to_be_bytes(),
            // Validators 0, 1 and 3; no named block, and three that name none.
            &[0b1011],
            &[0; 2 + 3 * 2],
            &[[7; 64], [7; 64], own].concat(),
        ];
        Ok(Certificate::decode(&fields.concat(), self.set.len())?)
    }

    /// A block that can be read and that its leader signed; executing it fails.
    fn proposal(&self, view: u64, number: u64, certificate: &Certificate, transactions: &[Bytes]) -> Result<Proposal> {
        let seal = Seal {
            epoch: 0,
            view,
            proposer: FLOODER,
            time_ms: 0,
            parent_certificate: B256::from(certificate.hash().0),
            validator_set: B256::from(self.set.hash().0),
            evidence: Vec::new(),
        };
        let envelopes = transactions.iter().map(|raw| TxEnvelope::decode_2718(&mut &raw[..]));
        let header = Header {
            parent_hash: B256::from(certificate.block.0),
            number: number + 1,
            transactions_root: calculate_transaction_root(&envelopes.collect::<Result<Vec<_>, _>>()?),
            extra_data: Bytes::copy_from_slice(seal.hash().as_slice()),
            ..Header::default()
        };
        let mut fields = alloy_rlp::encode(&header);
        fields.extend(alloy_rlp::encode(transactions.to_vec()));
        fields.extend(seal.encoded());
        let mut payload = Vec::with_capacity(fields.len() + 8);
        alloy_rlp::Header { list: true, payload_length: fields.len() }.encode(&mut payload);
        payload.extend(fields);
        let block = BlockInfo {
            hash: Hash(header.hash_slow().0),
            parent: certificate.block,
            height: Height(header.number),
            epoch: Epoch(0),
            view: View(view),
            parent_certificate: certificate.hash(),
        };
        let ballot = Ballot { epoch: Epoch(0), view: View(view), phase: Phase::Propose, block: block.hash };
        Ok(Proposal {
            block,
            payload: payload.into(),
            header: Arc::from(alloy_rlp::encode(&header)),
            parent: Some(certificate.clone()),
            skipped: Vec::new(),
            signature: self.key.sign(&ballot.sign_bytes(&self.genesis)),
        })
    }

    /// Sends each node something else that is no message, and is sent away by all of them.
    async fn send_garbage(&mut self) -> Result<()> {
        let garbage = [
            (Channel::Consensus, vec![0xff; CONSENSUS_MAX]),
            (Channel::Transactions, vec![0xff; 1_000]),
            (Channel::Sync, vec![0xff; 1_000]),
        ];
        for (peer, (channel, frame)) in self.peers.iter().zip(garbage) {
            let (network, frame) = (&self.network, Frame::from(frame));
            wait::until("there is room for garbage", LIMIT, async || {
                network.send(peer, channel, frame.clone()).map(Some)
            })
            .await?;
        }
        for _ in 0..HONEST {
            let reason = disconnected(&mut self.events).await?;
            // Or the node was quicker to find out that nothing is read here.
            let known = ["malformed", "tag", "does not read"];
            ensure!(known.iter().any(|word| reason.contains(word)), "sent away because of: {reason}");
        }
        Ok(())
    }
}

async fn connected(events: &mut NetworkEvents) -> Result<()> {
    loop {
        match timeout(LIMIT, events.control.recv()).await?.context("the network ended")? {
            PeerEvent::Connected { .. } => return Ok(()),
            PeerEvent::Refused { reason, .. } => bail!("refused: {reason}"),
            PeerEvent::Disconnected { .. } => {}
        }
    }
}

async fn disconnected(events: &mut NetworkEvents) -> Result<String> {
    loop {
        match timeout(LIMIT, events.control.recv()).await?.context("the network ended")? {
            PeerEvent::Disconnected { reason, .. } => return Ok(reason),
            PeerEvent::Connected { .. } | PeerEvent::Refused { .. } => {}
        }
    }
}

/// What the flooder says in a view, the same whenever it is asked: it gives up its own ones, and votes for a block that
/// does not exist in the others'.
fn votes_for(set: &ValidatorSet, genesis: &Hash, key: &SecretKey, view: u64) -> Vec<Frame> {
    let ballots = if set.leader(View(view)) == ValidatorIndex(FLOODER) {
        vec![(Phase::ViewChange, Hash::ZERO)]
    } else {
        let block = sha256(&view.to_be_bytes());
        vec![(Phase::Prepare, block), (Phase::Commit, block)]
    };
    let vote = |(phase, block)| {
        let ballot = Ballot { epoch: Epoch(0), view: View(view), phase, block };
        let signature = key.sign(&ballot.sign_bytes(genesis));
        Frame::from(Message::Vote(Vote { ballot, voter: ValidatorIndex(FLOODER), signature, named: None }).encode())
    };
    ballots.into_iter().map(vote).collect()
}

/// Votes for a thousand views far ahead, and for the last that there are.
fn far_votes(set: &ValidatorSet, genesis: &Hash, key: &SecretKey) -> Vec<Frame> {
    let views = (100_000..101_000).chain(u64::MAX - 1_000..=u64::MAX);
    views.flat_map(|view| votes_for(set, genesis, key, view)).collect()
}

/// A frame of transfers by accounts that own nothing: each costs the recovery of its sender, and is refused.
fn poor_transfers() -> Result<Frame> {
    let mut raws = Vec::new();
    for number in 900..1_000 {
        raws.push(Account::test(number)?.transfer(Address::repeat_byte(0x77), U256::from(1))?.raw);
    }
    Ok(alloy_rlp::encode(raws).into())
}

fn huge_transactions() -> Result<Vec<Bytes>> {
    let mut account = Account::test(900)?;
    let mut raws = Vec::new();
    for tag in 0..HUGE_COUNT as u8 {
        let input = Bytes::from(vec![tag + 1; HUGE_INPUT]);
        let transaction = account.next(TxKind::Call(Address::ZERO), U256::ZERO, input, 30_000_000);
        raws.push(account.sign(transaction)?.raw);
    }
    Ok(raws)
}

/// View and time of each of these blocks.
async fn seals(node: &Rpc, blocks: std::ops::RangeInclusive<u64>) -> Result<Vec<(u64, u64)>> {
    let calls: Vec<(&str, Value)> = blocks.map(|number| ("assent_getSeal", json!([format!("{number:#x}")]))).collect();
    let mut seals = Vec::new();
    for part in calls.chunks(100) {
        for seal in node.batch(part).await? {
            let seal = seal?;
            let number = |name: &str| seal[name].as_u64().with_context(|| format!("{name} in {seal}"));
            seals.push((number("view")?, number("timestampMs")?));
        }
    }
    Ok(seals)
}

/// The 99th percentile of the milliseconds between blocks.
fn pace(seals: &[(u64, u64)]) -> u64 {
    let mut intervals: Vec<u64> = seals.windows(2).map(|pair| pair[1].1.saturating_sub(pair[0].1)).collect();
    intervals.sort_unstable();
    intervals.get(intervals.len().saturating_sub(1) * 99 / 100).copied().unwrap_or(u64::MAX)
}

/// How many views of honest leaders between the first and the last of these blocks have none.
fn failed_views(set: &ValidatorSet, seals: &[(u64, u64)]) -> u64 {
    let between = seals.windows(2).flat_map(|pair| pair[0].0 + 1..pair[1].0);
    between.filter(|view| set.leader(View(*view)) != ValidatorIndex(FLOODER)).count() as u64
}

/// Floods for a while; the number of the last block then.
async fn flood(flooder: &mut Flooder, node: &Rpc, electorate: &Electorate) -> Result<u64> {
    let start = Instant::now();
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for number in 0.. {
        ticks.tick().await;
        if start.elapsed() > FLOOD {
            break;
        }
        let told: Value = node.get("assent_getCertificate", json!(["latest"])).await?;
        if told.is_null() {
            continue;
        }
        let raw: Bytes = serde_json::from_value(told["raw"].clone()).with_context(|| told.to_string())?;
        let certificate = electorate.verify(&raw)?;
        flooder.propose(told["number"].as_u64().context("no number")?, &certificate)?;
        flooder.tick(number, certificate.view.0);
    }
    node.block_number().await
}

#[tokio::test(flavor = "multi_thread")]
async fn reliability_13_a_flooding_validator_costs_the_others_neither_memory_nor_pace() -> Result<()> {
    let mut cluster = Cluster::create(Plan::validators(&STAKES)).await?;
    for number in 0..HONEST {
        cluster.start(number)?;
    }
    for number in 0..HONEST {
        cluster.connected(number, HONEST - 1).await?;
    }
    let honest: Vec<Rpc> = cluster.rpcs().into_iter().take(HONEST).cloned().collect();
    let nodes: Vec<&Rpc> = honest.iter().collect();
    let electorate = Electorate::of(&cluster.home(0).join("genesis.json"))?;
    let load = Load::start(&nodes, Account::tests(4)?, 20);
    // By then the absent validator is known to be silent.
    cluster.reaches(0, 20, LIMIT).await?;
    cluster.reaches(0, 20 + QUIET, LIMIT).await?;
    let quiet = seals(nodes[0], 20..=20 + QUIET).await?;

    let mut flooder = Flooder::connect(&cluster).await?;
    let from = nodes[0].block_number().await?;
    let to = flood(&mut flooder, nodes[0], &electorate).await?;
    let flooded = seals(nodes[0], from..=to).await?;
    ensure!(flooder.proposals.len() > 3, "no huge block was proposed");
    ensure!(flooder.small.is_some(), "no small block was proposed");
    flooder.send_garbage().await?;
    // Blocks go on when it has been sent away.
    cluster.reaches(0, to + 10, LIMIT).await?;

    let (before, during) = (pace(&quiet), pace(&flooded));
    let failed = failed_views(&flooder.set, &flooded);
    let views = flooded.len() as u64;
    println!("{views} blocks in the flood, {failed} views failed; 99% within {during} ms, {before} ms before it");
    ensure!(during <= (SLOWER * before).max(VIEW_TIMEOUT_MS), "blocks every {during} ms, {before} ms before");
    ensure!(failed * FAILED_VIEWS <= views, "{failed} views of honest leaders failed, {views} made a block");
    for (number, node) in nodes.iter().enumerate() {
        let used = usage(cluster.process_id(number).context("a node is gone")?)?;
        println!("{}: {} MiB at most", cluster.name(number), used.peak_bytes >> 20);
        ensure!(used.peak_bytes < MEMORY, "{} used {} MiB", cluster.name(number), used.peak_bytes >> 20);
        let status = node.status().await?;
        ensure!(status.quorum.heard >= 90, "{status:?}");
    }
    flooder.network.shutdown().await;
    load.settle(&nodes).await?;
    checks::same_chain(&nodes).await?;
    cluster.finish().await
}
