//! The gate: who is not on the node list is turned away right after Noise has proven its key,
//! before the multiplexer is spoken and so before any stream.
//!
//! The list binds keys, never addresses.

use super::identity;
use futures::{AsyncRead, AsyncWrite, FutureExt, future::BoxFuture};
use libp2p::{
    PeerId,
    core::upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade, UpgradeInfo},
    noise,
};
use parking_lot::RwLock;
use std::{collections::HashSet, sync::Arc};

/// The keys that may connect, shared between the gate and whoever changes the list.
#[derive(Debug, Default)]
pub(crate) struct NodeList(RwLock<HashSet<PeerId>>);

impl NodeList {
    pub(crate) fn contains(&self, peer: &PeerId) -> bool {
        self.0.read().contains(peer)
    }

    pub(crate) fn replace(&self, peers: impl IntoIterator<Item = PeerId>) {
        *self.0.write() = peers.into_iter().collect();
    }
}

/// Why a connection did not pass.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GateError {
    /// The remote did not prove a key.
    #[error("Noise handshake: {0}")]
    Noise(#[from] noise::Error),
    /// It proved a key that is not admitted.
    #[error("key {key} is not on the node list; if it belongs to a node of this network, add it to the node list")]
    NotOnList {
        /// The key in hexadecimal, or the peer id when it is not an ed25519 key.
        key: String,
    },
}

impl GateError {
    /// Whether the key was proven and refused.
    pub(crate) const fn is_refusal(&self) -> bool {
        matches!(self, Self::NotOnList { .. })
    }
}

/// Noise, and then the list.
#[derive(Clone)]
pub(crate) struct Gate {
    noise: noise::Config,
    list: Arc<NodeList>,
}

impl Gate {
    pub(crate) fn new(noise: noise::Config, list: Arc<NodeList>) -> Self {
        Self { noise, list }
    }
}

fn admit<T>(list: &NodeList, proven: (PeerId, T)) -> Result<(PeerId, T), GateError> {
    if list.contains(&proven.0) {
        return Ok(proven);
    }
    let key = identity::public_key(&proven.0).map_or_else(|| proven.0.to_string(), |key| key.to_string());
    Err(GateError::NotOnList { key })
}

impl UpgradeInfo for Gate {
    type Info = <noise::Config as UpgradeInfo>::Info;
    type InfoIter = <noise::Config as UpgradeInfo>::InfoIter;

    fn protocol_info(&self) -> Self::InfoIter {
        self.noise.protocol_info()
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> InboundConnectionUpgrade<T> for Gate {
    type Output = (PeerId, noise::Output<T>);
    type Error = GateError;
    type Future = BoxFuture<'static, Result<Self::Output, GateError>>;

    fn upgrade_inbound(self, socket: T, info: Self::Info) -> Self::Future {
        async move { admit(&self.list, self.noise.upgrade_inbound(socket, info).await?) }.boxed()
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> OutboundConnectionUpgrade<T> for Gate {
    type Output = (PeerId, noise::Output<T>);
    type Error = GateError;
    type Future = BoxFuture<'static, Result<Self::Output, GateError>>;

    fn upgrade_outbound(self, socket: T, info: Self::Info) -> Self::Future {
        async move { admit(&self.list, self.noise.upgrade_outbound(socket, info).await?) }.boxed()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::network::muxer::BoundedYamux;
    use futures::StreamExt;
    use libp2p::{
        core::{
            Transport,
            transport::{DialOpts, ListenerId, PortUse, TransportEvent},
            upgrade::Version,
        },
        identity::Keypair,
        tcp,
    };

    /// What became of one connection, as its listener and as its dialler saw it.
    async fn meet(on_list: bool) -> (Result<PeerId, String>, bool) {
        let (server, client) = (Keypair::generate_ed25519(), Keypair::generate_ed25519());
        let list = Arc::new(NodeList::default());
        list.replace(on_list.then(|| client.public().to_peer_id()));
        let gate = Gate::new(noise::Config::new(&server).unwrap(), list);
        let mut listener = tcp::tokio::Transport::new(tcp::Config::default())
            .upgrade(Version::V1)
            .authenticate(gate)
            .multiplex(BoundedYamux)
            .boxed();
        listener.listen_on(ListenerId::next(), "/ip4/127.0.0.1/tcp/0".parse().unwrap()).unwrap();
        let Some(TransportEvent::NewAddress { listen_addr, .. }) = listener.next().await else { panic!() };

        let mut dialler = tcp::tokio::Transport::new(tcp::Config::default())
            .upgrade(Version::V1)
            .authenticate(noise::Config::new(&client).unwrap())
            .multiplex(BoundedYamux)
            .boxed();
        let opts = DialOpts { role: libp2p::core::Endpoint::Dialer, port_use: PortUse::New };
        let dialled = tokio::spawn(dialler.dial(listen_addr, opts).unwrap());
        let Some(TransportEvent::Incoming { upgrade, .. }) = listener.next().await else { panic!() };
        let seen = upgrade.await.map(|(peer, _)| peer).map_err(|error| format!("{:?}", error.get_ref()));
        (seen, dialled.await.unwrap().is_ok())
    }

    #[tokio::test]
    async fn who_is_on_the_list_passes() {
        let (seen, passed) = meet(true).await;
        assert!(seen.is_ok() && passed, "{seen:?}");
    }

    /// The stranger has proven its key, and then not even the multiplexer is agreed on.
    #[tokio::test]
    async fn reliability_12_a_stranger_is_turned_away_before_the_multiplexer() {
        let (seen, passed) = meet(false).await;
        assert!(!passed);
        assert!(seen.unwrap_err().contains("NotOnList"));
    }
}
