//! A client that costs little: requests that are written beforehand, a few connections, one after the other on each.
//!
//! It reads of HTTP what the answers of a JSON-RPC server need, and refuses everything else.

use std::{
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use assent_tests::usage::usage;
use hdrhistogram::Histogram;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::{LocalSet, spawn_blocking},
    time::timeout,
};

/// The client's priority: behind everybody else's.
const NICENESS: i32 = 19;
/// An answer must come within this time.
const PATIENCE: Duration = Duration::from_secs(10);
/// The head of an answer is no longer than this.
const MAX_HEAD: usize = 16 * 1024;
/// Where `"result"` must stand in an answer.
const RESULT_WITHIN: usize = 64;

/// What a server was asked and how it did.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// Answers per second.
    pub(crate) per_second: f64,
    /// Time from a request to the end of its answer, in milliseconds.
    pub(crate) p99_ms: f64,
    /// Processor time of this client per request, in microseconds.
    pub(crate) client_micros: f64,
}

/// A request as it goes over the wire.
pub(crate) fn encode(server: SocketAddr, method: &str, params: &Value) -> Vec<u8> {
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
    let length = body.len();
    format!(
        "POST / HTTP/1.1\r\nhost: {server}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// Asks for so long, over so many connections; each takes the requests in turn, beginning with another one.
///
/// The client gives way to the server, as one that has a machine of its own would: otherwise each answer would interrupt
/// whoever writes the next one.
pub(crate) async fn drive(
    server: SocketAddr,
    requests: &[Vec<u8>],
    connections: usize,
    time: Duration,
) -> Result<Outcome> {
    ensure!(!requests.is_empty(), "no requests");
    let requests = requests.to_vec();
    let before = usage(std::process::id())?;
    let start = Instant::now();
    let asking = move || {
        // Linux takes the calling thread. Where it cannot be done both servers have the same disadvantage.
        let _ = rustix::process::setpriority_process(None, NICENESS);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(ask(server, requests.into(), connections, start + time))
    };
    let all = spawn_blocking(asking).await.context("the client")??;
    let seconds = start.elapsed().as_secs_f64();
    let cpu = usage(std::process::id())?.cpu.saturating_sub(before.cpu);
    let count = all.len().max(1) as f64;
    Ok(Outcome {
        per_second: all.len() as f64 / seconds,
        p99_ms: all.value_at_quantile(0.99) as f64 / 1e3,
        client_micros: cpu.as_secs_f64() * 1e6 / count,
    })
}

async fn ask(server: SocketAddr, requests: Rc<[Vec<u8>]>, connections: usize, end: Instant) -> Result<Histogram<u64>> {
    let local = LocalSet::new();
    let tasks: Vec<_> =
        (0..connections).map(|number| local.spawn_local(connection(server, requests.clone(), number, end))).collect();
    let collected = async {
        let mut all = histogram()?;
        for task in tasks {
            all.add(task.await.context("a connection of the client")??)?;
        }
        Ok(all)
    };
    local.run_until(collected).await
}

/// Of microseconds, up to a minute.
fn histogram() -> Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1, 60_000_000, 3)?)
}

async fn connection(server: SocketAddr, requests: Rc<[Vec<u8>]>, first: usize, end: Instant) -> Result<Histogram<u64>> {
    let mut stream = TcpStream::connect(server).await.with_context(|| format!("cannot connect to {server}"))?;
    stream.set_nodelay(true)?;
    let mut times = histogram()?;
    let mut buffer = vec![0; 64 * 1024];
    for request in requests.iter().cycle().skip(first % requests.len()) {
        let start = Instant::now();
        if start >= end {
            break;
        }
        stream.write_all(request).await?;
        let answer = timeout(PATIENCE, read_answer(&mut stream, &mut buffer)).await;
        answer.with_context(|| format!("{server} did not answer within {PATIENCE:?}"))??;
        times.saturating_record(start.elapsed().as_micros() as u64);
    }
    Ok(times)
}

/// Reads one answer; it must be a result.
async fn read_answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<()> {
    let mut filled = 0;
    let mut whole: Option<(usize, usize)> = None;
    while whole.is_none_or(|(_, length)| filled < length) {
        if filled == buffer.len() {
            buffer.resize(buffer.len() * 2, 0);
        }
        let read = stream.read(&mut buffer[filled..]).await?;
        ensure!(read > 0, "the server hung up");
        filled += read;
        if whole.is_none() {
            whole = lengths(&buffer[..filled])?;
        }
    }
    let (head, length) = whole.context("no answer")?;
    let body = &buffer[head..length];
    let shown = &body[..body.len().min(RESULT_WITHIN)];
    let is_result = shown.windows(8).any(|part| part == b"\"result\"");
    ensure!(is_result, "answered with {}", String::from_utf8_lossy(&body[..body.len().min(300)]));
    Ok(())
}

/// Bytes of the head and of the whole answer, once the head is there.
fn lengths(bytes: &[u8]) -> Result<Option<(usize, usize)>> {
    let Some(end) = bytes.windows(4).position(|part| part == b"\r\n\r\n") else {
        ensure!(bytes.len() <= MAX_HEAD, "the head of an answer is longer than {MAX_HEAD} bytes");
        return Ok(None);
    };
    let head = std::str::from_utf8(&bytes[..end]).context("the head of an answer is no text")?;
    ensure!(head.starts_with("HTTP/1.1 200"), "answered with {head}");
    for line in head.lines() {
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            let body: usize = value.trim().parse().with_context(|| format!("a length of {value}"))?;
            return Ok(Some((end + 4, end + 4 + body)));
        }
    }
    bail!("an answer without a length: {head}")
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn answers_are_measured_once_their_head_is_there() {
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n";
        assert_eq!(lengths(&head[..20]).unwrap(), None);
        assert_eq!(lengths(head).unwrap(), Some((head.len(), head.len() + 7)));
        lengths(b"HTTP/1.1 429 Slow down\r\ncontent-length: 0\r\n\r\n").unwrap_err();
        lengths(b"HTTP/1.1 200 OK\r\n\r\n").unwrap_err();
    }

    /// Serves one connection; each request is answered with this body, in two parts.
    async fn server(body: &'static str) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            while socket.read(&mut request).await.is_ok_and(|read| read > 0) {
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
                socket.write_all(head.as_bytes()).await.unwrap();
                socket.write_all(body.as_bytes()).await.unwrap();
            }
        });
        address
    }

    #[tokio::test]
    async fn results_are_counted_and_errors_end_it() {
        let good = server(r#"{"jsonrpc":"2.0","id":1,"result":"0x1"}"#).await;
        let requests = [encode(good, "eth_chainId", &json!([]))];
        let outcome = drive(good, &requests, 1, Duration::from_millis(50)).await.unwrap();
        assert!(outcome.per_second > 1.0 && outcome.p99_ms > 0.0, "{outcome:?}");
        let bad = server(r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"no"}}"#).await;
        let error = drive(bad, &requests, 1, Duration::from_secs(5)).await.unwrap_err().to_string();
        assert!(error.contains("-32000"), "{error}");
    }
}
