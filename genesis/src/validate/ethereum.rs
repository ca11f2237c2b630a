//! Rules for Ethereum's part: chain id, forks, header fields, allocations.

use alloy_genesis::{ChainConfig, GenesisAccount};
use alloy_primitives::{Address, B256, U256};

use super::{Findings, MAX_CHAIN_ID, MAX_GAS_LIMIT, MIN_GAS_LIMIT};
use crate::{DEV_CHAIN_ID, Genesis, dev_accounts};

/// The largest chain id with which common wallets compute exactly.
const MAX_WALLET_CHAIN_ID: u64 = 4_503_599_627_370_476;

/// Checks the fields beside `assent`.
pub(super) fn check(genesis: &Genesis, findings: &mut Findings) {
    chain_id(genesis.chain_id(), findings);
    base_forks(genesis.config(), findings);
    time_forks(genesis.config(), findings);
    foreign_settings(genesis.config(), findings);
    header(genesis, findings);
    for (address, account) in &genesis.ethereum.alloc {
        allocation(address, account, findings);
    }
    supply(genesis, findings);
    development_accounts(genesis, findings);
}

fn chain_id(id: u64, findings: &mut Findings) {
    let field = "config.chainId";
    if id == 0 {
        findings.error(field, "must not be 0: transactions could be replayed on other chains");
    } else if id > MAX_CHAIN_ID {
        findings.error(field, format!("must be at most {MAX_CHAIN_ID} (EIP-2294), got {id}"));
    } else if id > MAX_WALLET_CHAIN_ID {
        let most = MAX_WALLET_CHAIN_ID;
        findings.warning(field, format!("wallets take chain ids up to {most} only, got {id}"));
    } else if id == 1 {
        findings.warning(field, "1 is Ethereum's own: what is signed here is valid there as well");
    }
}

/// This chain starts after the Merge, so what came before it is active from block 0.
fn base_forks(config: &ChainConfig, findings: &mut Findings) {
    let required = [
        ("homesteadBlock", config.homestead_block),
        ("eip150Block", config.eip150_block),
        ("eip155Block", config.eip155_block),
        ("eip158Block", config.eip158_block),
        ("byzantiumBlock", config.byzantium_block),
        ("constantinopleBlock", config.constantinople_block),
        ("petersburgBlock", config.petersburg_block),
        ("istanbulBlock", config.istanbul_block),
        ("berlinBlock", config.berlin_block),
        ("londonBlock", config.london_block),
    ];
    let optional = [
        ("daoForkBlock", config.dao_fork_block),
        ("muirGlacierBlock", config.muir_glacier_block),
        ("arrowGlacierBlock", config.arrow_glacier_block),
        ("grayGlacierBlock", config.gray_glacier_block),
        ("mergeNetsplitBlock", config.merge_netsplit_block),
    ];
    let missing = |(_, block): &&(_, Option<u64>)| block.is_none();
    for (name, _) in required.iter().filter(missing) {
        findings.error(
            format!("config.{name}"),
            "missing; must be 0: this chain starts after the Merge with all earlier forks active",
        );
    }
    for (name, block) in required.iter().chain(&optional) {
        if let Some(block @ 1..) = block {
            findings
                .error(format!("config.{name}"), format!("must be 0, got {block}: this chain starts after the Merge"));
        }
    }
    if config.terminal_total_difficulty != Some(U256::ZERO) {
        let got = config.terminal_total_difficulty;
        let got = got.map_or_else(|| "nothing".to_owned(), |difficulty| difficulty.to_string());
        findings.error(
            "config.terminalTotalDifficulty",
            format!("must be 0, got {got}: this chain starts after the Merge"),
        );
    }
}

fn time_forks(config: &ChainConfig, findings: &mut Findings) {
    let forks = [
        ("shanghaiTime", config.shanghai_time),
        ("cancunTime", config.cancun_time),
        ("pragueTime", config.prague_time),
        ("osakaTime", config.osaka_time),
    ];
    for pair in forks.windows(2) {
        let [(earlier, earlier_time), (later, later_time)] = [pair[0], pair[1]];
        let Some(later_time) = later_time else { continue };
        match earlier_time {
            None => findings.error(
                format!("config.{earlier}"),
                format!("missing, but config.{later} is {later_time}: forks build on each other"),
            ),
            Some(earlier_time) if earlier_time > later_time => findings.error(
                format!("config.{later}"),
                format!("must not be before config.{earlier} ({earlier_time}), got {later_time}"),
            ),
            Some(_) => {}
        }
    }
    let unsupported = [
        ("amsterdamTime", config.amsterdam_time),
        ("bogotaTime", config.bogota_time),
        ("bpo1Time", config.bpo1_time),
        ("bpo2Time", config.bpo2_time),
        ("bpo3Time", config.bpo3_time),
        ("bpo4Time", config.bpo4_time),
        ("bpo5Time", config.bpo5_time),
    ];
    for (name, _) in unsupported.iter().filter(|(_, time)| time.is_some()) {
        findings.error(
            format!("config.{name}"),
            "this version does not know the fork: remove it (the latest known is osakaTime)",
        );
    }
}

/// Settings that belong to other chains.
fn foreign_settings(config: &ChainConfig, findings: &mut Findings) {
    for (name, present) in
        [("ethash", config.ethash.is_some()), ("clique", config.clique.is_some()), ("parlia", config.parlia.is_some())]
    {
        if present {
            findings.error(
                format!("config.{name}"),
                "belongs to another consensus: remove it; this chain's stands in `assent`",
            );
        }
    }
    for (name, present, reason) in [
        ("blobSchedule", !config.blob_schedule.is_empty(), "blob transactions are refused"),
        ("depositContractAddress", config.deposit_contract_address.is_some(), "there are no deposits"),
    ] {
        if present {
            findings.warning(format!("config.{name}"), format!("has no effect here: {reason}"));
        }
    }
}

/// The fields that Ethereum's genesis files have for block 0.
fn header(genesis: &Genesis, findings: &mut Findings) {
    let file = &genesis.ethereum;
    if file.gas_limit < MIN_GAS_LIMIT || file.gas_limit > MAX_GAS_LIMIT {
        findings.error("gasLimit", format!("must be from {MIN_GAS_LIMIT} to {MAX_GAS_LIMIT}, got {}", file.gas_limit));
    }
    for (field, is_zero) in [
        ("nonce", file.nonce == 0),
        ("difficulty", file.difficulty.is_zero()),
        ("number", file.number.unwrap_or(0) == 0),
        ("parentHash", file.parent_hash.unwrap_or(B256::ZERO).is_zero()),
        ("blobGasUsed", file.blob_gas_used.unwrap_or(0) == 0),
        ("excessBlobGas", file.excess_blob_gas.unwrap_or(0) == 0),
    ] {
        if !is_zero {
            findings.error(field, "must be 0 in block 0 of this chain: remove the field");
        }
    }
    if file.slot_number.is_some() {
        findings.error("slotNumber", "blocks of this chain have no slot: remove the field");
    }
    let base_fee = genesis.assent.fees.base_fee;
    if let Some(got) = file.base_fee_per_gas.filter(|fee| *fee != u128::from(base_fee)) {
        findings.error(
            "baseFeePerGas",
            format!("must equal assent.fees.baseFee ({base_fee}), got {got}: remove the field"),
        );
    }
    if !file.extra_data.is_empty() {
        findings.warning("extraData", "does not appear in block 0, whose extraData is the hash of this whole file");
    }
}

fn allocation(address: &Address, account: &GenesisAccount, findings: &mut Findings) {
    let field = || format!("alloc.{address}");
    let without_code = account.non_empty_code().is_none();
    if account.balance.is_zero() && account.nonce.unwrap_or(0) == 0 && without_code {
        findings.error(field(), "is empty: Ethereum keeps no account without balance, nonce and code; remove it");
    }
    if account.nonce == Some(u64::MAX) {
        findings.error(format!("{}.nonce", field()), "must be below 2^64 - 1 (EIP-2681)");
    }
    if account.private_key.is_some() {
        findings.warning(format!("{}.secretKey", field()), "is a private key in a file that every node has: remove it");
    }
}

fn supply(genesis: &Genesis, findings: &mut Findings) {
    let mut balances = genesis.ethereum.alloc.values().map(|account| account.balance);
    if balances.try_fold(U256::ZERO, |sum, balance| sum.checked_add(balance)).is_none() {
        findings.error("alloc", "the balances add up to 2^256 or more: lower them");
    }
}

fn development_accounts(genesis: &Genesis, findings: &mut Findings) {
    if genesis.chain_id() == DEV_CHAIN_ID {
        return;
    }
    let alloc = &genesis.ethereum.alloc;
    let funded = |address: &Address| alloc.get(address).is_some_and(|it| !it.balance.is_zero());
    for account in dev_accounts() {
        if funded(&account.address) {
            findings.warning(
                format!("alloc.{}", account.address),
                format!(
                    "is a development account whose private key everybody knows; fund it on chain \
                     id {DEV_CHAIN_ID} only"
                ),
            );
        }
    }
}
