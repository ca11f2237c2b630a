"""web3.py: deploy, send, wait, filters, logs, reverts, types of transactions, old blocks and proofs."""

import json
import os
import subprocess
import sys

from web3 import HTTPProvider, Web3
from web3.exceptions import ContractCustomError, ContractLogicError, TransactionNotFound, Web3RPCError

folder = os.path.dirname(os.path.abspath(__file__))
compiled = subprocess.run(
    ["node", "-e", "import('./tally.mjs').then(t => console.log(JSON.stringify([t.abi, t.bytecode])))"],
    cwd=folder, check=True, capture_output=True, text=True,
)
abi, bytecode = json.loads(compiled.stdout)
web3 = Web3(HTTPProvider(os.environ["RPC_URL"]))
account = web3.eth.account.from_key(os.environ["PRIVATE_KEYS"].split(",")[4])


def same(what, got, expected):
    if got != expected:
        sys.exit(f"{what}: expected {expected!r}, got {got!r}")
    print(f"ok  {what}")


def fails(what, kind, part, attempt):
    try:
        value = attempt()
    except kind as error:
        if part not in str(error):
            sys.exit(f"{what}: expected {part!r}, got {error!r}")
        print(f"ok  {what}")
    else:
        sys.exit(f"{what}: it did not fail, but gave {value!r}")


def send(fields):
    fields = {"nonce": web3.eth.get_transaction_count(account.address, "pending"), "chainId": web3.eth.chain_id, **fields}
    signed = account.sign_transaction(fields)
    return web3.eth.wait_for_transaction_receipt(web3.eth.send_raw_transaction(signed.raw_transaction), poll_latency=0.05)


def call(function, **fields):
    return send(function.build_transaction({"from": account.address, "nonce": web3.eth.get_transaction_count(account.address), **fields}))


same("connected", web3.is_connected(), True)
receipt = call(web3.eth.contract(abi=abi, bytecode=bytecode).constructor(5))
tally = web3.eth.contract(address=receipt.contractAddress, abi=abi)
same("deploy", tally.functions.total().call(), 5)

watcher = tally.events.Counted.create_filter(from_block="latest")
blocks = web3.eth.filter("latest")
counted = call(tally.functions.count(7))
same("send and wait", (counted.status, tally.functions.total().call()), (1, 12))
same("event in the receipt", tally.events.Counted().process_receipt(counted)[0].args.total, 12)
same("filter's changes", [event.args.by for event in watcher.get_new_entries()], [7])
same("filter's logs", [event.args.by for event in watcher.get_all_entries()], [7])
same("block filter", len(blocks.get_new_entries()) > 0, True)
logs = tally.events.Counted().get_logs(from_block=0, argument_filters={"who": account.address})
same("logs", [log.args.total for log in logs], [12])

fails("revert with a reason", ContractLogicError, "nothing to count", lambda: tally.functions.count(0).call())
fails("revert with a custom error", ContractCustomError, "0x", lambda: tally.functions.count(2000).call())
fails("unknown transaction", TransactionNotFound, "not found", lambda: web3.eth.get_transaction("0x" + "11" * 32))

to = Web3.to_checksum_address("0x" + "55" * 20)
for name, fields in {
    "legacy": {"gasPrice": 0},
    "access list": {"gasPrice": 0, "type": 1, "accessList": [{"address": tally.address, "storageKeys": []}]},
    "fee market": {"maxFeePerGas": 0, "maxPriorityFeePerGas": 0},
}.items():
    mined = send({"to": to, "value": 1, "gas": 30_000, **fields})
    same(f"{name} transaction", (mined.status, web3.eth.get_transaction(mined.transactionHash)["from"]), (1, account.address))
authorization = account.sign_authorization(
    {"chainId": web3.eth.chain_id, "address": tally.address, "nonce": web3.eth.get_transaction_count(account.address) + 1}
)
mined = send({"to": to, "gas": 200_000, "maxFeePerGas": 0, "maxPriorityFeePerGas": 0, "authorizationList": [authorization]})
same("set-code transaction", (mined.status, web3.eth.get_code(account.address).hex()), (1, "ef0100" + tally.address[2:].lower()))

same("an old block", tally.functions.total().call(block_identifier=receipt.blockNumber), 5)
proof = web3.eth.get_proof(tally.address, [0], receipt.blockNumber)
same("proof", int(proof.storageProof[0].value.hex(), 16), 5)
same("fee history", len(web3.eth.fee_history(4, "latest", [50]).reward) > 0, True)
same("finalized is latest", web3.eth.get_block("finalized").number >= mined.blockNumber, True)
poor = {"nonce": 0, "chainId": web3.eth.chain_id, "to": to, "value": 10**30, "gas": 21_000, "maxFeePerGas": 0, "maxPriorityFeePerGas": 0}
stranger = web3.eth.account.from_key("0x" + "77" * 32)
fails("too little money", Web3RPCError, "insufficient funds", lambda: web3.eth.send_raw_transaction(stranger.sign_transaction(poor).raw_transaction))
