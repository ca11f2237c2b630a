#!/usr/bin/env bash
# cast, forge create and forge script --broadcast against a network. One line for each thing that was checked; the
# first that is wrong ends it.
set -euo pipefail
cd "$(dirname "$0")"

bin() { echo "$PWD/$(compgen -G "node_modules/@foundry-rs/$1-*/bin/$1" | head -1)"; }
cast=$(bin cast) forge=$(bin forge)
key=$(cut -d, -f6 <<<"$PRIVATE_KEYS")
export NO_COLOR=1 FOUNDRY_DISABLE_NIGHTLY_WARNING=1 ETH_RPC_URL=$RPC_URL
who=$("$cast" wallet address "$key")

has() { # has WHAT PART TEXT
    [[ $3 == *"$2"* ]] || { echo "$1: expected $2, got $3" >&2; exit 1; }
    echo "ok  $1"
}

project=$(mktemp -d)
trap 'rm -rf "$project"' EXIT

mkdir -p "$project/src" "$project/script"
cp Tally.sol "$project/src"
cat >"$project/foundry.toml" <<TOML
[profile.default]
src = "src"
script = "script"
out = "out"
libs = []
solc = "$PWD/solc.mjs"
evm_version = "shanghai"
offline = true
TOML
cat >"$project/script/Count.s.sol" <<SOL
// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

import {Tally} from "../src/Tally.sol";

interface Cheats {
    function startBroadcast() external;
    function stopBroadcast() external;
}

contract Count {
    bool public IS_SCRIPT = true;

    function run() external {
        Cheats cheats = Cheats(address(uint160(uint256(keccak256("hevm cheat code")))));
        cheats.startBroadcast();
        Tally tally = new Tally(1);
        tally.count(2);
        tally.count(3);
        cheats.stopBroadcast();
        require(tally.total() == 6, "total");
    }
}
SOL
chmod +x solc.mjs
created=$("$forge" create --rpc-url "$RPC_URL" --root "$project" --broadcast --private-key "$key" src/Tally.sol:Tally --constructor-args 5 2>&1)
address=$(sed -n 's/^Deployed to: //p' <<<"$created")
has "forge create" "0x" "$address"
script=$(cd "$project" && "$forge" script --rpc-url "$RPC_URL" --broadcast --private-key "$key" script/Count.s.sol:Count 2>&1) || { echo "$script" >&2; exit 1; }
has "forge script --broadcast" "ONCHAIN EXECUTION COMPLETE & SUCCESSFUL" "$script"

before=$("$cast" block-number)
sent=$("$cast" send --json --private-key "$key" "$address" 'count(uint256)' 7)
hash=$(sed -n 's/.*"transactionHash":"\(0x[0-9a-f]*\)".*/\1/p' <<<"$sent")
has "cast send" '"status":"0x1"' "$sent"
has "cast call" "12" "$("$cast" call "$address" 'total()(uint256)')"
has "cast call at an old block" "5" "$("$cast" call --block "$before" "$address" 'total()(uint256)')"
has "cast receipt" "1 (success)" "$("$cast" receipt "$hash")"
has "cast tx" "${who,,}" "$("$cast" tx "$hash" | tr '[:upper:]' '[:lower:]')"
has "cast block" "$("$cast" receipt "$hash" blockHash)" "$("$cast" block "$("$cast" receipt "$hash" blockNumber)")"
has "cast logs" "$hash" "$("$cast" logs --from-block "$before" --address "$address")"
has "cast storage" "0x000000000000000000000000000000000000000000000000000000000000000c" "$("$cast" storage "$address" 0)"
has "cast proof" "accountProof" "$("$cast" proof "$address" 0x0)"
has "cast run" "Transaction successfully executed" "$("$cast" run "$hash" 2>&1)"
has "cast access-list" "${address,,}" "$("$cast" access-list "$address" 'total()' | tr '[:upper:]' '[:lower:]')"
has "cast estimate of what reverts" "nothing to count" "$("$cast" estimate --from "$who" "$address" 'count(uint256)' 0 2>&1 || true)"
has "cast call with a custom error" "TooMuch" "$("$cast" call "$address" 'count(uint256)' 2000 2>&1 | sed "s/$("$cast" sig 'TooMuch(uint256,uint256)' | cut -c3-)/TooMuch/" || true)"
has "cast code" "0x60" "$("$cast" code "$address")"
has "cast nonce" "$("$cast" rpc eth_getTransactionCount "$who" latest | tr -d '"' | xargs printf '%d')" "$("$cast" nonce "$who")"
has "cast send --legacy" '"type":"0x0"' "$("$cast" send --json --legacy --private-key "$key" "$address" 'count(uint256)' 1)"
has "cast client" "assent" "$("$cast" client)"
