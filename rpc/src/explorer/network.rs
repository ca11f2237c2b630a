//! The page of the network: this node, its peers, and views that gave no block.

use std::sync::Arc;

use axum::extract::State;
use maud::{Markup, html};

use crate::{
    explorer::{
        Explorer, blocking,
        format::{count, duration, number},
        page::{self, Answer, Nav},
        recent::Skipped,
        validator, validators,
    },
    status::{NodeStatus, SyncStatus},
};

/// Views that are listed.
const VIEWS: usize = 50;

/// `/network`
pub(super) async fn page(State(explorer): State<Arc<Explorer>>) -> Answer {
    blocking(explorer, show).await
}

fn show(explorer: &Explorer) -> Answer {
    let status = explorer.status();
    let skipped = explorer.recent()?.skipped(&explorer.set);
    let connected = status.peers.iter().filter(|peer| peer.connected).count();
    let below = html! { (connected) " of " (count(status.peers.len(), "peer")) " connected" };
    let body = html! {
        (page::heading("", html! { "Network" }, below))
        (page::live_section("node", "This node", this_node(&status)))
        (page::live_section("peers", "Peers", peers(&status)))
        (page::live_section("heard", "Weight that is heard", validators::heard(explorer, &status)))
        @if !status.failed_views.is_empty() {
            (page::live_section("failed", "Views that failed, as this node saw them", failed(explorer, &status)))
        }
        (page::live_section("views", "Views that gave no block", views(explorer, &skipped)))
    };
    Ok(page::page(explorer, Nav::Network, "Network", body))
}

fn this_node(status: &NodeStatus) -> Markup {
    page::facts(vec![
        ("Name", html! { (status.node_name) }),
        ("Version", html! { (status.client_version) }),
        (
            "Role",
            html! {
                @match status.validator {
                    Some(weight) => { "validator with weight " span.num { (number(weight)) } }
                    None => "follower",
                }
            },
        ),
        (
            "State",
            html! {
                @match status.syncing {
                    SyncStatus::Synced => (page::badge("good", "At the head")),
                    SyncStatus::Syncing(progress) => {
                        (page::badge("wait", "Behind")) " at block " (number(progress.current_block)) " of "
                        (number(progress.highest_block))
                    }
                }
                @if let Some(why) = &status.abstaining { " " (page::badge("wait", "Does not vote")) " " (why) }
            },
        ),
        (
            "View",
            html! { span.num { (number(status.view)) } span.muted { " of epoch " } span.num { (number(status.epoch)) } },
        ),
        ("Genesis", page::hash(&status.genesis_hash)),
    ])
}

fn peers(status: &NodeStatus) -> Markup {
    if status.peers.is_empty() {
        return page::empty("There are no other nodes on the node list.");
    }
    let rows = status.peers.iter().map(|peer| {
        vec![
            html! { (peer.name) },
            html! {
                @if peer.connected { (page::badge("good", "Connected")) } @else { (page::badge("bad", "Not connected")) }
                @if let Some(why) = &peer.refused_reason { " " span.muted { (why) } }
            },
            html! { @match peer.latency_ms { Some(ms) => span.num { (number(ms)) " ms" }, None => { span.muted { "unknown" } } } },
            html! { (validators::last_heard(peer)) },
            html! { @match peer.head { Some(head) => (page::block_link(head)), None => { span.muted { "unknown" } } } },
            html! { @match &peer.version { Some(version) => (version), None => { span.muted { "not told" } } } },
            html! { @match peer.weight { Some(weight) => span.num { (number(weight)) }, None => { span.muted { "follower" } } } },
            html! { span.hash title=(peer.key) { (page::short(&peer.key.to_string())) } },
        ]
    });
    page::table(
        &["Peer", "Connection", "Latency", "Last heard", "Head", "Version", "Weight", "Node key"],
        rows.collect(),
    )
}

/// Views that this validator gave up since it started, and why.
fn failed(explorer: &Explorer, status: &NodeStatus) -> Markup {
    let rows = status.failed_views.iter().take(VIEWS).map(|failed| {
        vec![
            html! { span.num { (number(failed.view)) } },
            html! {
                @match validator::find(explorer, &failed.leader) {
                    Some(index) => a href={ "/validator/" (index) } { (failed.leader) },
                    None => { (failed.leader) }
                }
            },
            html! { (failed.reason) },
            html! { span.num { (duration(failed.ago_ms)) " ago" } },
        ]
    });
    page::table(&["View", "Leader", "Why", "Age"], rows.collect())
}

fn views(explorer: &Explorer, skipped: &[Skipped]) -> Markup {
    if skipped.is_empty() {
        return page::empty("None between the last blocks: every leader made its block.");
    }
    let rows = skipped.iter().take(VIEWS).map(|one| {
        vec![
            html! { span.num { (number(one.view)) } },
            html! { a href={ "/validator/" (one.leader) } { (explorer.validator_name(one.leader)) } },
            page::block_link(one.next),
            html! { span.num { (duration(one.gap_ms)) } },
            page::age(one.time_ms),
        ]
    });
    html! {
        p { "The leader of a view was silent, or a quorum did not accept its block in time; the next view went on." }
        (page::table(&["View", "Leader", "Next block", "After", "Age"], rows.collect()))
        @if skipped.len() > VIEWS { p.muted { "The last " (VIEWS) " of " (number(skipped.len() as u64)) "." } }
    }
}
