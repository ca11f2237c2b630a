//! When a peer is dialled next, and at which addresses.

use super::config::Timing;
use libp2p::{Multiaddr, multiaddr::Protocol};
use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

/// A connection that stood for so long was a good one: the next attempt comes soon.
const STABLE: Duration = Duration::from_secs(5);

/// The timetable for one peer.
#[derive(Debug)]
pub(crate) struct Dialling {
    next: Instant,
    pause: Duration,
    under_way: bool,
}

impl Dialling {
    pub(crate) fn new(now: Instant, timing: &Timing) -> Self {
        Self { next: now, pause: timing.retry_min, under_way: false }
    }

    /// When to dial, unless an attempt is under way.
    pub(crate) fn due(&self) -> Option<Instant> {
        (!self.under_way).then_some(self.next)
    }

    pub(crate) fn started(&mut self) {
        self.under_way = true;
    }

    /// The attempt led to a connection, whatever becomes of it.
    pub(crate) fn ended(&mut self) {
        self.under_way = false;
    }

    /// The attempt, or the hello on its connection, failed.
    pub(crate) fn failed(&mut self, now: Instant, timing: &Timing) {
        self.under_way = false;
        self.wait(now, timing);
    }

    /// A connection that was in use ended after `lasted`.
    pub(crate) fn lost(&mut self, now: Instant, lasted: Duration, timing: &Timing) {
        if lasted >= STABLE {
            self.pause = timing.retry_min;
        }
        self.wait(now, timing);
    }

    /// Dials no earlier than after `time`.
    pub(crate) fn put_off(&mut self, now: Instant, time: Duration) {
        self.next = self.next.max(now + time);
    }

    fn wait(&mut self, now: Instant, timing: &Timing) {
        self.next = self.next.max(now + jittered(self.pause));
        self.pause = (self.pause * 2).min(timing.retry_max);
    }
}

/// Between half of it and all of it, at random, so that nodes that lost each other at one moment do
/// not all come back at one moment.
fn jittered(pause: Duration) -> Duration {
    let half = pause / 2;
    let random = getrandom::u32().unwrap_or(u32::MAX);
    half + half.mul_f64(f64::from(random) / f64::from(u32::MAX))
}

/// What an address says, for dialling: names are still to be resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Known(Multiaddr),
    Named { host: String, port: u16, family: Family },
}

/// Which addresses of a name are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Any,
    V4,
    V6,
}

/// Reads an address of the node list; nothing when it is of a kind that this node does not speak.
pub(crate) fn target(address: &Multiaddr) -> Option<Target> {
    let mut parts = address.iter();
    let (host, port) = (parts.next()?, parts.next()?);
    let Protocol::Tcp(port) = port else {
        return None;
    };
    // The key is known from the list; a peer id in the address adds nothing.
    if !matches!(parts.next(), None | Some(Protocol::P2p(_))) || parts.next().is_some() {
        return None;
    }
    let named = |host: &str, family| Some(Target::Named { host: host.to_owned(), port, family });
    match host {
        Protocol::Ip4(ip) => Some(Target::Known(socket(SocketAddr::new(ip.into(), port)))),
        Protocol::Ip6(ip) => Some(Target::Known(socket(SocketAddr::new(ip.into(), port)))),
        Protocol::Dns(host) => named(&host, Family::Any),
        Protocol::Dns4(host) => named(&host, Family::V4),
        Protocol::Dns6(host) => named(&host, Family::V6),
        _ => None,
    }
}

/// The TCP port in an address.
pub(crate) fn port(address: &Multiaddr) -> Option<u16> {
    address.iter().find_map(|part| match part {
        Protocol::Tcp(port) => Some(port),
        _ => None,
    })
}

fn socket(address: SocketAddr) -> Multiaddr {
    Multiaddr::from(address.ip()).with(Protocol::Tcp(address.port()))
}

/// The addresses to dial now. Names are looked up each time: they move.
pub(crate) async fn resolve(targets: Vec<Target>) -> Result<Vec<Multiaddr>, io::Error> {
    let mut addresses = Vec::new();
    let mut failure =
        io::Error::new(io::ErrorKind::NotFound, "no address of the form /ip4/ADDRESS/tcp/PORT or /dns4/NAME/tcp/PORT");
    for target in targets {
        match target {
            Target::Known(address) => addresses.push(address),
            Target::Named { host, port, family } => match tokio::net::lookup_host((host.as_str(), port)).await {
                Ok(found) => addresses.extend(found.filter(|found| of_family(found.ip(), family)).map(socket)),
                Err(error) => failure = io::Error::new(error.kind(), format!("cannot look up {host}: {error}")),
            },
        }
    }
    if addresses.is_empty() { Err(failure) } else { Ok(addresses) }
}

fn of_family(ip: IpAddr, family: Family) -> bool {
    match family {
        Family::Any => true,
        Family::V4 => ip.is_ipv4(),
        Family::V6 => ip.is_ipv6(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn pauses_double_up_to_the_cap_and_never_beyond() {
        let (now, timing) = (Instant::now(), Timing::default());
        let mut dialling = Dialling::new(now, &timing);
        assert_eq!(dialling.due(), Some(now));
        let mut at = now;
        for attempt in 0..40 {
            dialling.started();
            assert_eq!(dialling.due(), None);
            dialling.failed(at, &timing);
            let pause = dialling.due().unwrap() - at;
            let expected = (timing.retry_min * 2u32.pow(attempt.min(10))).min(timing.retry_max);
            assert!(pause >= expected / 2 && pause <= expected, "attempt {attempt}: {pause:?}");
            at += pause;
        }
    }

    #[test]
    fn a_good_connection_is_dialled_again_soon_and_a_flapping_one_later() {
        let (now, timing) = (Instant::now(), Timing::default());
        let mut dialling = Dialling::new(now, &timing);
        for _ in 0..10 {
            dialling.lost(now, STABLE - Duration::from_millis(1), &timing);
        }
        assert!(dialling.due().unwrap() - now >= timing.retry_max / 2);
        let later = now + timing.retry_max;
        dialling.lost(later, STABLE, &timing);
        assert!(dialling.due().unwrap() - later <= timing.retry_min);
    }

    #[test]
    fn a_refused_peer_is_put_off_whatever_follows() {
        let (now, timing) = (Instant::now(), Timing::default());
        let mut dialling = Dialling::new(now, &timing);
        dialling.put_off(now, timing.refused_retry);
        dialling.failed(now, &timing);
        assert_eq!(dialling.due(), Some(now + timing.refused_retry));
    }

    #[test]
    fn addresses_are_read_strictly() {
        let id = libp2p::PeerId::random();
        let read = |text: &str| target(&text.parse().unwrap());
        let known = |text: &str| Some(Target::Known(text.parse().unwrap()));
        assert_eq!(read("/ip4/10.0.0.7/tcp/30303"), known("/ip4/10.0.0.7/tcp/30303"));
        assert_eq!(read(&format!("/ip6/::1/tcp/1/p2p/{id}")), known("/ip6/::1/tcp/1"));
        for (text, family) in [("dns", Family::Any), ("dns4", Family::V4), ("dns6", Family::V6)] {
            let expected = Target::Named { host: "node7.example".into(), port: 5, family };
            assert_eq!(read(&format!("/{text}/node7.example/tcp/5")), Some(expected));
        }
        for text in ["/ip4/10.0.0.7", "/ip4/10.0.0.7/udp/1", "/ip4/10.0.0.7/tcp/1/ws", "/tcp/1/ip4/10.0.0.7"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[tokio::test]
    async fn names_are_looked_up() {
        let named = |family| vec![Target::Named { host: "localhost".into(), port: 7, family }];
        let found = resolve(named(Family::Any)).await.unwrap();
        assert!(!found.is_empty());
        assert!(resolve(Vec::new()).await.unwrap_err().to_string().contains("/dns4/NAME/tcp/PORT"));
    }
}
