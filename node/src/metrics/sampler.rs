//! What has to be looked up for the metrics, every few seconds: queues of the network, sizes of the database.
//!
//! Not at a scrape: whoever asks often must not cost the node more.

use std::sync::Arc;
use std::time::Duration;

use assent_chain::Chain;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::Recorder;
use crate::network::NetworkHandle;

/// How often.
const EVERY: Duration = Duration::from_secs(5);

/// Looks again and again until it is told to stop.
pub(crate) async fn run(recorder: Recorder, chain: Arc<Chain>, network: NetworkHandle, stop: CancellationToken) {
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        network.measure();
        let (recorder, chain) = (recorder.clone(), chain.clone());
        let sampled = tokio::task::spawn_blocking(move || {
            chain.measure_storage();
            recorder.upkeep();
        });
        if let Err(error) = sampled.await {
            tracing::error!(target: "assent::metrics", %error, "looking up metrics has ended early");
            return;
        }
    }
}
