//! How bytes get from one node to the other, and what is done to them on the way.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpSocket, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{mpsc, watch},
    task::JoinSet,
    time::{Instant, sleep_until},
};

use super::{Conduct, Flow, RECEIVE_BUFFER, Tally};
use crate::dice::Dice;

/// Bytes that are read at once.
const CHUNK_BYTES: usize = 16 * 1024;
/// Chunks of one direction that may be under way.
const CHUNKS: usize = 1024;
/// A slow link passes its bytes in so many portions a second.
const PORTIONS: u32 = 20;

/// What connects a listener with the node behind it.
#[derive(Debug)]
pub(super) struct Route {
    /// Where the node listens.
    pub(super) target: SocketAddr,
    /// What happens to what the dialling node says.
    pub(super) there: watch::Receiver<Conduct>,
    /// What happens to what it hears.
    pub(super) back: watch::Receiver<Conduct>,
    /// Whether the link is cut.
    pub(super) cut: watch::Receiver<bool>,
    /// Where chance comes from.
    pub(super) dice: Dice,
    /// What was done.
    pub(super) tally: Arc<Tally>,
}

/// One direction of one connection.
struct Way {
    conduct: watch::Receiver<Conduct>,
    dice: Dice,
    tally: Arc<Tally>,
}

/// Bytes under way.
struct Chunk {
    bytes: Vec<u8>,
    arrived: Instant,
}

/// Accepts connections for as long as the link is there.
pub(super) async fn accept(listener: TcpListener, mut route: Route) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // What cannot be accepted is gone already.
                if let Ok((near, _)) = accepted {
                    let (there, back) = (route.there.clone(), route.back.clone());
                    let (there, back) = (route.way(there), route.way(back));
                    connections.spawn(carry(near, route.target, there, back, route.cut.clone()));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

impl Route {
    fn way(&mut self, conduct: watch::Receiver<Conduct>) -> Way {
        Way { conduct, dice: Dice::new(self.dice.draw()), tally: self.tally.clone() }
    }
}

/// Serves one connection until it ends or the link is cut.
async fn carry(near: TcpStream, target: SocketAddr, there: Way, back: Way, mut cut: watch::Receiver<bool>) {
    tokio::select! {
        biased;
        () = until_cut(&mut cut) => {}
        // How it failed is seen by the nodes: both ends are closed.
        _ = splice(near, target, there, back) => {}
    }
}

/// Waits until the link is cut, or nobody can mend it any more.
async fn until_cut(cut: &mut watch::Receiver<bool>) {
    let _ = cut.wait_for(|cut| *cut).await;
}

async fn splice(near: TcpStream, target: SocketAddr, there: Way, back: Way) -> io::Result<()> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    let far = socket.connect(target).await?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    there.tally.connections.fetch_add(1, Ordering::Relaxed);
    let (near_read, near_write) = near.into_split();
    let (far_read, far_write) = far.into_split();
    tokio::try_join!(pump(near_read, far_write, there), pump(far_read, near_write, back))?;
    Ok(())
}

/// Passes bytes on until their source ends. Fails when nobody takes them any more.
async fn pump(from: OwnedReadHalf, to: OwnedWriteHalf, way: Way) -> io::Result<()> {
    let (queue, chunks) = mpsc::channel(CHUNKS);
    let reader = take_in(from, queue, way.conduct.clone());
    let ((), given) = tokio::join!(reader, give_out(to, chunks, way));
    given
}

/// Reads as fast as the link lets bytes in. An error ends the source as its end does: like anything else that
/// a node says, its end is not known on the other side before it got through.
async fn take_in(mut from: OwnedReadHalf, queue: mpsc::Sender<Chunk>, mut conduct: watch::Receiver<Conduct>) {
    loop {
        let rate = conduct.borrow_and_update().bytes_per_second;
        let mut bytes = vec![0; portion(rate)];
        let read = tokio::select! {
            read = from.read(&mut bytes) => read,
            () = queue.closed() => return,
        };
        let count = match read {
            Ok(0) | Err(_) => return,
            Ok(count) => count,
        };
        bytes.truncate(count);
        if queue.send(Chunk { bytes, arrived: Instant::now() }).await.is_err() {
            return;
        }
        if let Some(rate) = rate {
            let next = Instant::now() + Duration::from_secs_f64(count as f64 / f64::from(rate.max(1)));
            tokio::select! {
                () = sleep_until(next) => {}
                _ = conduct.changed() => {}
            }
        }
    }
}

/// How much is read at once.
fn portion(rate: Option<u32>) -> usize {
    let wanted = rate.map_or(CHUNK_BYTES, |rate| usize::try_from(rate / PORTIONS).unwrap_or(CHUNK_BYTES));
    wanted.clamp(1, CHUNK_BYTES)
}

/// Writes what is due.
async fn give_out(mut to: OwnedWriteHalf, mut chunks: mpsc::Receiver<Chunk>, way: Way) -> io::Result<()> {
    let Way { mut conduct, mut dice, tally } = way;
    while let Some(mut chunk) = chunks.recv().await {
        let count = chunk.bytes.len() as u64;
        let chance = share(&mut dice);
        if !gets_through(chunk.arrived, chance, &mut conduct).await {
            tally.swallowed.fetch_add(count, Ordering::Relaxed);
            continue;
        }
        let flip_every = conduct.borrow().flip_every;
        if spoil(&mut chunk.bytes, flip_every, &mut dice) {
            tally.flipped.fetch_add(1, Ordering::Relaxed);
        }
        tally.passed.fetch_add(count, Ordering::Relaxed);
        to.write_all(&chunk.bytes).await?;
    }
    while !gets_through(Instant::now(), 0.0, &mut conduct).await {
        if conduct.changed().await.is_err() {
            break;
        }
    }
    // The other side may have gone already.
    let _ = to.shutdown().await;
    Ok(())
}

/// A number from 0 to 1.
fn share(dice: &mut Dice) -> f64 {
    dice.below(1001) as f64 / 1000.0
}

/// Waits until the link lets through what came at `arrived`; false when it is lost. `chance` is its share of the
/// jitter.
async fn gets_through(arrived: Instant, chance: f64, conduct: &mut watch::Receiver<Conduct>) -> bool {
    loop {
        let now = *conduct.borrow_and_update();
        let due = arrived + now.delay + now.jitter.mul_f64(chance);
        match now.flow {
            Flow::Swallow => return false,
            Flow::Pass if due <= Instant::now() => return true,
            Flow::Pass => {
                tokio::select! {
                    () = sleep_until(due) => return true,
                    changed = conduct.changed() => {
                        if changed.is_err() {
                            return false;
                        }
                    }
                }
            }
            Flow::Hold => {
                if conduct.changed().await.is_err() {
                    return false;
                }
            }
        }
    }
}

/// Flips a bit now and then; whether it did.
fn spoil(bytes: &mut [u8], flip_every: Option<u32>, dice: &mut Dice) -> bool {
    let Some(every) = flip_every.and_then(|every| usize::try_from(every).ok()) else {
        return false;
    };
    if bytes.is_empty() || dice.below(every) >= bytes.len() {
        return false;
    }
    let position = dice.below(bytes.len());
    bytes[position] ^= 1 << dice.below(8);
    true
}
