#!/usr/bin/env bash
# Hardhat 3: compile, `ignition deploy`, and a script with its plugins. It needs a newer node than many machines have,
# so npm's is used.
set -euo pipefail
cd "$(dirname "$0")"

node="$PWD/$(compgen -G "node_modules/node-linux-*/bin/node" | head -1)"
hardhat() { "$node" "$tool" "$@"; }
tool=$PWD/node_modules/hardhat/dist/src/cli.js
install -D Tally.sol hardhat/contracts/Tally.sol
cd hardhat
export HARDHAT_DISABLE_TELEMETRY_PROMPT=true HARDHAT_IGNITION_CONFIRM_DEPLOYMENT=false NO_COLOR=1 CI=1

has() { # has WHAT PART TEXT
    [[ $3 == *"$2"* ]] || { echo "$1: expected $2, got $3" >&2; exit 1; }
    echo "ok  $1"
}

has compile "Compiled 1 Solidity file" "$(hardhat build 2>&1)"
has "ignition deploy" "successfully deployed" "$(hardhat ignition deploy --network assent ignition/modules/tally.js 2>&1)"
has "ignition deploy again" "Nothing new to deploy" "$(hardhat ignition deploy --network assent ignition/modules/tally.js 2>&1)"
hardhat run --network assent scripts/use.js
