//! `assent db info`: what lies in a node's data folder.

use std::{fs, io, path::Path, time::Duration};

use anyhow::{Context, Result};
use assent_chain::storage::{AddressIndex, ColumnSize};
use assent_consensus::{Certificate, Phase};

use super::{Data, logs::Logs};
use crate::cli::{
    print,
    table::{Lines, bytes, moment, now, table},
};

pub(super) fn run(data: &Data) -> Result<()> {
    let (number, hash) = data.chain.head();
    let folder = data.home.chain();
    let mut lines = Lines::default();
    lines.add("Home", &data.home);
    lines.add("Chain", format!("{}, genesis {}", data.genesis.chain_id(), data.genesis_hash));
    let (all, log) = sizes(&folder).with_context(|| format!("cannot look into {}", folder.display()))?;
    let format = data.chain.format();
    lines.add("Database", format!("{}, format {format}, {}", folder.display(), bytes(all)));
    lines.add("Head", format!("block {number}, {hash}"));
    lines.add("Head's time", moment(Duration::from_millis(data.chain.head_time_ms()?), now()));
    lines.add("Finality", finality(data, number)?);
    let durable = data.chain.durable()?;
    lines.add("Durable", durable.map_or_else(|| "no mark".to_string(), |number| format!("up to block {number}")));
    add_logs(&mut lines, data);
    let columns = data.chain.columns()?;
    let index = address_index(data.chain.address_index(), &columns);
    lines.add("Index of accounts", index);
    let rows = columns.iter().map(|column| {
        let on_disk = if column.tables == 0 { "-".to_string() } else { bytes(column.table_bytes) };
        [column.name.to_string(), format!("about {}", column.entries), column.tables.to_string(), on_disk]
    });
    let mut text = format!("{}\n{}", lines.text(), table(["Column family", "Entries", "Files", "On disk"], rows));
    text.push_str(&format!("Not yet in files of a family: {} in RocksDB's log\n", bytes(log)));
    print(&text)
}

fn add_logs(lines: &mut Lines, data: &Data) {
    match Logs::read(data) {
        Err(error) => lines.add("Votes", format!("unreadable: {error}")),
        Ok(logs) => {
            let none = if data.home.validator_key().exists() {
                "none: this validator does not know what it signed, and abstains until that is safe"
            } else {
                "none: a follower"
            };
            lines.add("Consensus log", logs.describe_wal().unwrap_or_else(|| "none".to_string()));
            lines.add("Signer", logs.describe_mark().unwrap_or_else(|| none.to_string()));
        }
    }
}

/// How far the index of accounts goes, and by how much a transaction makes it grow.
fn address_index(index: AddressIndex, columns: &[ColumnSize]) -> String {
    let reach = match index {
        AddressIndex::Whole => "whole".to_string(),
        AddressIndex::UpTo(number) => format!("ends at block {number} (assent db index builds the rest)"),
    };
    let column = |name: &str| columns.iter().find(|column| column.name == name);
    let (Some(index), Some(transactions)) = (column("address_index"), column("transactions")) else { return reach };
    if index.entries == 0 || transactions.entries == 0 {
        return reach;
    }
    let per_transaction = index.entries as f64 / transactions.entries as f64;
    let mut text = format!("{reach}; {per_transaction:.1} entries per transaction");
    let in_files = index.entries.saturating_sub(index.unflushed);
    if in_files > 0 && index.table_bytes > 0 {
        let bytes = index.table_bytes as f64 / in_files as f64 * per_transaction;
        text.push_str(&format!(", {bytes:.0} bytes on disk"));
    }
    text
}

/// What proves that the head is final.
fn finality(data: &Data, number: u64) -> Result<String> {
    if number == 0 {
        return Ok("the genesis block needs no proof".to_string());
    }
    let Some(bytes) = data.chain.certificate(number)? else {
        return Ok("no certificate".to_string());
    };
    let set = data.validators(0)?;
    let Ok(certificate) = Certificate::decode(&bytes, set.len()) else {
        return Ok("a certificate that cannot be read: assent db check tells more".to_string());
    };
    let kind = match certificate.phase {
        Phase::Commit => "commit certificate",
        _ => "prepare certificate (the proof is in the next block)",
    };
    let signers: Vec<String> = certificate
        .signers()
        .map(|index| data.genesis.validator(index).map_or_else(|| format!("validator {index}"), |v| v.name.clone()))
        .collect();
    let (weight, total) = (certificate.weight(&set), set.total());
    Ok(format!("{kind} of view {}, weight {weight} of {total}: {}", certificate.view, signers.join(", ")))
}

/// Bytes of all files in a folder, and of RocksDB's log among them.
fn sizes(folder: &Path) -> io::Result<(u64, u64)> {
    let (mut all, mut log) = (0, 0);
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let length = entry.metadata()?.len();
        all += length;
        if entry.path().extension().is_some_and(|extension| extension == "log") {
            log += length;
        }
    }
    Ok((all, log))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &'static str, entries: u64, unflushed: u64, table_bytes: u64) -> ColumnSize {
        ColumnSize { name, entries, unflushed, table_bytes, tables: 1 }
    }

    #[test]
    fn the_growth_of_the_index_is_told_per_transaction() {
        let columns = [column("transactions", 1_000, 0, 64_000), column("address_index", 2_500, 500, 20_000)];
        assert_eq!(
            address_index(AddressIndex::Whole, &columns),
            "whole; 2.5 entries per transaction, 25 bytes on disk"
        );
        let columns = [column("transactions", 1_000, 0, 64_000), column("address_index", 2_000, 2_000, 0)];
        assert_eq!(
            address_index(AddressIndex::UpTo(7), &columns),
            "ends at block 7 (assent db index builds the rest); 2.0 entries per transaction"
        );
        assert_eq!(address_index(AddressIndex::Whole, &[]), "whole");
    }
}
