//! The proxy between a client and a server that says everything back.

use std::time::Instant;

use anyhow::ensure;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::*;
use crate::wait;

const LIMIT: Duration = Duration::from_secs(20);
/// Long enough for bytes that may come to come.
const MOMENT: Duration = Duration::from_millis(150);

/// Links between node 0, which is the test, and node 1, which says everything back. The server ends with the set.
async fn links() -> Result<(Links, JoinSet<()>)> {
    let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let nobody = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
    let links = Links::open(&[nobody, server.local_addr()?], 7)?;
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut clients = JoinSet::new();
        while let Ok((mut client, _)) = server.accept().await {
            clients.spawn(async move {
                let (mut read, mut write) = client.split();
                // It ends when the client does.
                let _ = tokio::io::copy(&mut read, &mut write).await;
            });
        }
    });
    Ok((links, tasks))
}

async fn dial(links: &Links) -> Result<TcpStream> {
    Ok(TcpStream::connect(links.address(0, 1)).await?)
}

/// Says something and waits until it comes back.
async fn exchange(stream: &mut TcpStream, text: &[u8]) -> Result<Vec<u8>> {
    stream.write_all(text).await?;
    hear(stream, text.len()).await
}

async fn hear(stream: &mut TcpStream, count: usize) -> Result<Vec<u8>> {
    let mut heard = vec![0; count];
    timeout(LIMIT, stream.read_exact(&mut heard)).await??;
    Ok(heard)
}

/// Nothing comes for a moment.
async fn silence(stream: &mut TcpStream) -> Result<()> {
    let heard = timeout(MOMENT, stream.read(&mut [0; 8])).await;
    ensure!(heard.is_err(), "something came: {heard:?}");
    Ok(())
}

/// The connection has been closed, in whatever way.
async fn is_closed(stream: &mut TcpStream) -> Result<()> {
    match timeout(LIMIT, stream.read(&mut [0; 8])).await? {
        Ok(0) | Err(_) => Ok(()),
        Ok(count) => anyhow::bail!("{count} bytes came"),
    }
}

#[tokio::test]
async fn bytes_pass_both_ways_and_are_counted() -> Result<()> {
    let (links, _server) = links().await?;
    let mut stream = dial(&links).await?;
    assert_eq!(exchange(&mut stream, b"hello").await?, b"hello");
    assert_eq!((links.connections(), links.passed(), links.flipped()), (1, 10, 0));
    Ok(())
}

#[tokio::test]
async fn a_cut_link_closes_connections_and_refuses_new_ones() -> Result<()> {
    let (links, _server) = links().await?;
    let mut stream = dial(&links).await?;
    exchange(&mut stream, b"before").await?;
    links.isolate(1);
    is_closed(&mut stream).await?;
    is_closed(&mut dial(&links).await?).await?;
    links.mend(1, 0);
    assert_eq!(exchange(&mut dial(&links).await?, b"after").await?, b"after");
    Ok(())
}

#[tokio::test]
async fn held_bytes_wait_in_their_direction_only() -> Result<()> {
    let (links, _server) = links().await?;
    let mut stream = dial(&links).await?;
    exchange(&mut stream, b"before").await?;
    links.set_to(0, Conduct::held());
    stream.write_all(b"later").await?;
    // It gets there, after six bytes both ways, and the answer waits.
    wait::until_true("the server is told", LIMIT, async || Ok::<_, anyhow::Error>(links.passed() == 17)).await?;
    silence(&mut stream).await?;
    links.heal();
    assert_eq!(hear(&mut stream, 5).await?, b"later");
    Ok(())
}

#[tokio::test]
async fn the_end_of_a_connection_is_held_too() -> Result<()> {
    let (links, _server) = links().await?;
    let mut stream = dial(&links).await?;
    exchange(&mut stream, b"before").await?;
    links.set_both(0, 1, Conduct::held());
    stream.shutdown().await?;
    silence(&mut stream).await?;
    links.heal();
    is_closed(&mut stream).await
}

#[tokio::test]
async fn swallowed_bytes_are_lost_and_the_connection_stays() -> Result<()> {
    let (links, _server) = links().await?;
    let mut stream = dial(&links).await?;
    links.set(0, 1, Conduct::swallowed());
    stream.write_all(b"lost").await?;
    wait::until_true("four bytes are lost", LIMIT, async || Ok::<_, anyhow::Error>(links.swallowed() == 4)).await?;
    links.heal();
    assert_eq!(exchange(&mut stream, b"heard").await?, b"heard");
    Ok(())
}

#[tokio::test]
async fn delays_and_limits_take_their_time() -> Result<()> {
    let (links, _server) = links().await?;
    links.set_all(Conduct::delayed(Duration::from_millis(60), Duration::from_millis(20)));
    let mut stream = dial(&links).await?;
    let start = Instant::now();
    exchange(&mut stream, b"there and back").await?;
    ensure!(start.elapsed() >= Duration::from_millis(120), "{:?}", start.elapsed());

    links.heal();
    links.set(0, 1, Conduct::throttled(20_000));
    let mut stream = dial(&links).await?;
    let start = Instant::now();
    exchange(&mut stream, &[7; 6_000]).await?;
    ensure!(start.elapsed() >= Duration::from_millis(200), "{:?}", start.elapsed());
    Ok(())
}

#[tokio::test]
async fn what_waits_for_a_delay_comes_when_the_delay_ends() -> Result<()> {
    let (links, _server) = links().await?;
    let mut stream = dial(&links).await?;
    exchange(&mut stream, b"before").await?;
    links.set_all(Conduct::delayed(Duration::from_secs(3600), Duration::ZERO));
    stream.write_all(b"soon").await?;
    silence(&mut stream).await?;
    links.heal();
    assert_eq!(hear(&mut stream, 4).await?, b"soon");
    Ok(())
}

#[tokio::test]
async fn a_flipped_bit_is_one_bit() -> Result<()> {
    let (links, _server) = links().await?;
    links.set(0, 1, Conduct::flipping(1));
    let heard = exchange(&mut dial(&links).await?, &[0]).await?;
    assert_eq!(heard[0].count_ones(), 1, "{heard:?}");
    assert_eq!(links.flipped(), 1);
    Ok(())
}
