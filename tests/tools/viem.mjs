// viem 2: the same from another library's view, with typed errors, batches, watching, and proofs.
import { createPublicClient, createWalletClient, defineChain, http, parseEther, webSocket } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { abi, bytecode, fails, keys, rpc, same, websocket } from './tally.mjs'

const id = Number(BigInt((await (await fetch(rpc, {
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'eth_chainId' }),
})).json()).result))
const chain = defineChain({ id, name: 'Assent', nativeCurrency: { name: 'Ether', symbol: 'ETH', decimals: 18 }, rpcUrls: { default: { http: [rpc] } } })
const account = privateKeyToAccount(keys[2])
const client = createPublicClient({ chain, transport: http(rpc, { batch: true }), pollingInterval: 100 })
const wallet = createWalletClient({ account, chain, transport: http(rpc) })
const wait = (hash) => client.waitForTransactionReceipt({ hash })

const deployed = await wait(await wallet.deployContract({ abi, bytecode, args: [5n] }))
const address = deployed.contractAddress
const tally = { address, abi }
same('deploy', await client.readContract({ ...tally, functionName: 'total' }), 5n)

const { request } = await client.simulateContract({ ...tally, account, functionName: 'count', args: [7n] })
const receipt = await wait(await wallet.writeContract(request))
same('simulate, write and wait', receipt.status, 'success')
const events = await client.getContractEvents({ ...tally, eventName: 'Counted', args: { who: account.address }, fromBlock: receipt.blockNumber })
same('events', events.map((event) => event.args.total), [12n])

// Who watches sees what comes after it began: keep counting until it has.
const seen = async (source, by) => {
  let got, broken
  const stop = source.watchContractEvent({
    ...tally,
    eventName: 'Counted',
    onLogs: (logs) => { got ??= logs[0].args.by },
    onError: (error) => { broken = error },
  })
  while (got === undefined) {
    if (broken) throw broken
    await wait(await wallet.writeContract({ ...tally, functionName: 'count', args: [by] }))
  }
  stop()
  return got
}
same('event by polling', await seen(client, 3n), 3n)
const socket = createPublicClient({ chain, transport: webSocket(websocket) })
await socket.getChainId()
const heads = new Promise((resolve) => { const stop = socket.watchBlockNumber({ onBlockNumber: (number) => { stop(); resolve(typeof number) } }) })
same('event by WebSocket', await seen(socket, 4n), 4n)
same('blocks by WebSocket', await heads, 'bigint')

await fails('revert with a reason', 'nothing to count', () => client.simulateContract({ ...tally, account, functionName: 'count', args: [0n] }))
await fails('revert with a custom error', 'TooMuch', () => client.simulateContract({ ...tally, account, functionName: 'count', args: [2000n] }))
const many = await Promise.all([1, 2, 3, 4, 5].map(() => client.getBalance({ address: account.address })))
same('a batch', new Set(many).size, 1)
const assumed = await client.readContract({ ...tally, functionName: 'total', stateOverride: [{ address, stateDiff: [{ slot: '0x' + '00'.repeat(32), value: '0x' + '00'.repeat(31) + '63' }] }] })
same('state override', assumed, 99n)
const before = await client.readContract({ ...tally, functionName: 'total', blockNumber: deployed.blockNumber })
same('an old block', before, 5n)

const to = privateKeyToAccount(keys[3]).address
for (const type of ['legacy', 'eip2930', 'eip1559']) {
  const mined = await wait(await wallet.sendTransaction({ to, value: 1n, type }))
  same(`${type} transaction`, [mined.status, mined.type], ['success', type])
}
const authorization = await wallet.signAuthorization({ contractAddress: address, executor: 'self' })
const delegated = await wait(await wallet.sendTransaction({ to, authorizationList: [authorization], gas: 200000n }))
same('eip7702 transaction', [delegated.status, delegated.type], ['success', 'eip7702'])

const proof = await client.getProof({ address, storageKeys: ['0x' + '00'.repeat(32)], blockNumber: deployed.blockNumber })
same('proof', [proof.storageProof[0].value, proof.accountProof.length > 0], [5n, true])
const block = await client.getBlock({ blockTag: 'finalized', includeTransactions: true })
same('block', [block.extraData.length, block.transactions.length > 0 || block.transactions.length === 0], [66, true])
const fees = await client.getFeeHistory({ blockCount: 4, rewardPercentiles: [25, 75] })
same('fee history', fees.reward.length, fees.gasUsedRatio.length)
const { accessList } = await client.createAccessList({ account, to: address, data: '0x2ddbd13a' })
same('access list', accessList.map((item) => item.address.toLowerCase()), [address])
await fails('too little money', 'insufficient funds', () => createWalletClient({ account: privateKeyToAccount('0x' + '77'.repeat(32)), chain, transport: http(rpc) })
  .sendTransaction({ to, value: parseEther('1'), gas: 21000n }))
process.exit(0)
