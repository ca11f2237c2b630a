// ethers 6: deploy, send, wait, read events by polling and by WebSocket, decode reverts, types of transactions.
import { Contract, ContractFactory, JsonRpcProvider, Wallet, WebSocketProvider, parseEther } from 'ethers'
import { abi, bytecode, fails, keys, rpc, same, websocket } from './tally.mjs'

// A block may come sooner than the quarter of a second for which ethers remembers answers.
const provider = new JsonRpcProvider(rpc, undefined, { pollingInterval: 100, cacheTimeout: -1 })
const wallet = new Wallet(keys[0], provider)

const contract = await new ContractFactory(abi, bytecode, wallet).deploy(5)
await contract.waitForDeployment()
const address = await contract.getAddress()
const tally = new Contract(address, abi, wallet)
same('deploy', await tally.total(), 5n)

const receipt = await (await tally.count(7)).wait()
same('send and wait', [receipt.status, await tally.total()], [1, 12n])
same('event in the receipt', tally.interface.parseLog(receipt.logs[0]).args.toArray(), [wallet.address, 7n, 12n])
const found = await tally.queryFilter(tally.filters.Counted(wallet.address), receipt.blockNumber, 'latest')
same('queryFilter', found.map((event) => event.args.total), [12n])

const polled = new Promise((resolve) => tally.once('Counted', (who, by) => resolve([who, by])))
await tally.count(3)
same('event by polling', await polled, [wallet.address, 3n])

const socket = new WebSocketProvider(websocket)
const watched = new Contract(address, abi, socket)
const event = new Promise((resolve) => watched.on('Counted', (who, by, total) => resolve([by, total])))
const block = new Promise((resolve) => socket.once('block', resolve))
const pending = new Promise((resolve) => socket.once('pending', resolve))
await socket.getBlockNumber()
const sent = await tally.count(4)
same('event by WebSocket', await event, [4n, 19n])
same('pending by WebSocket', await pending, sent.hash)
same('block by WebSocket', typeof (await block), 'number')
await sent.wait()
await socket.destroy()

await fails('revert with a reason', 'nothing to count', () => tally.count.staticCall(0))
await fails('revert with a custom error', 'TooMuch', () => tally.count.staticCall(2000))
await fails('estimate of what reverts', 'nothing to count', () => tally.count.estimateGas(0))
const failed = await (await tally.count(0, { gasLimit: 100000 })).wait().catch((error) => error.receipt)
same('a failed transaction has a receipt', failed.status, 0)

const to = Wallet.createRandom().address
for (const [name, fields] of [
  ['legacy', { type: 0 }],
  ['access list', { type: 1, accessList: [{ address, storageKeys: [] }] }],
  ['fee market', { type: 2 }],
]) {
  const mined = await (await wallet.sendTransaction({ to, value: 1n, ...fields })).wait()
  const again = await provider.getTransaction(mined.hash)
  same(`${name} transaction`, [mined.status, again.type, again.from], [1, fields.type, wallet.address])
}
const authorization = await wallet.authorize({ address, nonce: (await wallet.getNonce()) + 1 })
const delegated = await (await wallet.sendTransaction({ type: 4, to: Wallet.createRandom().address, authorizationList: [authorization], gasLimit: 200000 })).wait()
same('set-code transaction', [delegated.status, await provider.getCode(wallet.address)], [1, '0xef0100' + address.slice(2).toLowerCase()])

// Several at once, without waiting in between; the provider puts its questions into one batch.
const other = new Wallet(keys[1], provider)
const nonce = await other.getNonce('pending')
const many = await Promise.all([0, 1, 2, 3].map((index) => other.sendTransaction({ to, value: parseEther('1'), nonce: nonce + index })))
const blocks = await Promise.all(many.map((tx) => tx.wait()))
same('several in flight', blocks.map((mined) => mined.status), [1, 1, 1, 1])
same('their money', await provider.getBalance(to), 4n * parseEther('1') + 3n)
same('and before', await provider.getBalance(to, blocks[0].blockNumber - 1) < parseEther('1'), true)

const number = await provider.getBlockNumber()
for (const tag of ['latest', 'safe', 'finalized', number]) {
  same(`block ${tag}`, (await provider.getBlock(tag)).number >= number, true)
}
same('fee data', typeof (await provider.getFeeData()).gasPrice, 'bigint')
same('unknown transaction', await provider.getTransaction('0x' + '11'.repeat(32)), null)
await fails('too little money', 'insufficient funds', () =>
  Wallet.createRandom().connect(provider).sendTransaction({ to, value: 1n, gasLimit: 21000, maxFeePerGas: 0n, maxPriorityFeePerGas: 0n }))
provider.destroy()
