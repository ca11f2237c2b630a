// ethers 6: deploy, send, wait, events by polling and by WebSocket, reverts, all types of transactions, typed data,
// nonces, batches, filters, tags, old blocks, proofs.
import { Contract, ContractFactory, JsonRpcProvider, Signature, Wallet, WebSocketProvider, keccak256, parseEther, toBeHex } from 'ethers'
import { verified } from './proof.mjs'
import { abi, ask, bytecode, deployedBytecode, fails, keys, rpc, same, typed, until, websocket } from './tally.mjs'

// A block may come sooner than the quarter of a second for which ethers remembers answers.
const options = { pollingInterval: 100, cacheTimeout: -1 }
const provider = new JsonRpcProvider(rpc, undefined, options)
const wallet = new Wallet(keys[0], provider)
const other = new Wallet(keys[1], provider)
const to = Wallet.createRandom().address
const ether = parseEther('1')

const deployed = async () => {
  const contract = await new ContractFactory(abi, bytecode, wallet).deploy(5)
  await contract.waitForDeployment()
  const address = await contract.getAddress()
  const receipt = await contract.deploymentTransaction().wait()
  same('deploy', [await contract.total(), receipt.contractAddress, receipt.to], [5n, address, null])
  same('code', await provider.getCode(address), deployedBytecode)
  return { tally: new Contract(address, abi, wallet), address, birth: receipt.blockNumber }
}

const sends = async ({ tally, address }) => {
  const sent = await tally.count(7)
  const receipt = await sent.wait()
  same('send and wait', [receipt.status, await tally.total()], [1, 12n])
  same('wait for more blocks', (await sent.wait(2)).hash, sent.hash)
  same('event in the receipt', tally.interface.parseLog(receipt.logs[0]).args.toArray(), [wallet.address, 7n, 12n])
  const block = await provider.getBlock(receipt.blockHash, true)
  const mined = block.getPrefetchedTransaction(sent.hash)
  same('the block has the transaction', [block.number, mined.to, mined.nonce], [receipt.blockNumber, address, sent.nonce])
  const [first] = await provider.send('eth_getBlockReceipts', [toBeHex(receipt.blockNumber).replace(/^0x0+/, '0x')])
  same('the receipts of the block', first.blockHash, receipt.blockHash)
  return receipt
}

const pastEvents = async ({ tally, address, birth }, receipt) => {
  const counted = async (...filter) => (await tally.queryFilter(tally.filters.Counted(...filter), birth, 'latest')).map((event) => event.args.total)
  same('events of somebody', await counted(wallet.address), [12n])
  same('events of nobody', await counted(to), [])
  same('events by the second topic', await counted(null, 7), [12n])
  const { topicHash } = tally.interface.getEvent('Counted')
  const logs = (filter) => provider.getLogs({ address, topics: [topicHash], ...filter })
  same('logs of a block by its hash', (await logs({ blockHash: receipt.blockHash })).length, 1)
  same('logs with one topic of two', (await logs({ topics: [[topicHash, '0x' + '11'.repeat(32)]], fromBlock: birth })).length, 1)
  same('logs before the contract', await logs({ fromBlock: 0, toBlock: birth - 1 }), [])
  await fails('logs up to a block that is not there', 'block range', () => logs({ fromBlock: birth, toBlock: 10_000_000 }))
  await (await tally.note('hello')).wait()
  const notes = await tally.queryFilter('Noted', birth)
  same('two events of one transaction', notes.map((event) => [event.args.text, event.index]), [['hello', 0], ['hello', 1]])
}

const filters = async ({ tally, address }) => {
  const open = (method, ...parameters) => provider.send(method, parameters)
  const logs = await open('eth_newFilter', { address })
  const blocks = await open('eth_newBlockFilter')
  const pending = await open('eth_newPendingTransactionFilter')
  const sent = await tally.count(2)
  const receipt = await sent.wait()
  same('changes of a filter', (await open('eth_getFilterChanges', logs)).map((log) => log.transactionHash), [sent.hash])
  same('no change twice', await open('eth_getFilterChanges', logs), [])
  same('all logs of a filter', (await open('eth_getFilterLogs', logs)).map((log) => log.transactionHash), [sent.hash])
  same('changes of a block filter', (await open('eth_getFilterChanges', blocks)).includes(receipt.blockHash), true)
  same('changes of a filter of what is pending', (await open('eth_getFilterChanges', pending)).includes(sent.hash), true)
  same('end of a filter', [await open('eth_uninstallFilter', logs), await open('eth_uninstallFilter', logs)], [true, false])
  await fails('changes of an ended filter', 'filter not found', () => open('eth_getFilterChanges', logs))
}

const watches = async ({ tally, address }) => {
  const polled = new Promise((resolve) => tally.once('Counted', (who, by) => resolve([who, by])))
  await tally.count(3)
  same('event by polling', await polled, [wallet.address, 3n])

  // Who watches sees what comes after it began: keep counting until it has.
  const socket = new WebSocketProvider(websocket)
  const watched = new Contract(address, abi, socket)
  const [seen, sent] = [{}, []]
  await watched.on('Counted', (who, by, total, { log }) => { seen.event ??= [who, by, log.transactionHash] })
  await socket.on('block', (number) => { seen.block ??= number })
  await socket.on('pending', (hash) => { seen.pending ??= hash })
  await until('an event, a block and a pending transaction by WebSocket', async () => {
    sent.push((await (await tally.count(4)).wait()).hash)
    return seen.event && seen.block && seen.pending
  })
  const [who, by, hash] = seen.event
  same('event by WebSocket', [who, by, sent.includes(hash)], [wallet.address, 4n, true])
  same('pending transaction by WebSocket', sent.includes(seen.pending), true)
  same('block by WebSocket', (await socket.getBlock(seen.block)).number, seen.block)
  same('calls by WebSocket', await watched.total(), await tally.total())
  await socket.destroy()
}

const reverts = async ({ tally, address }) => {
  await fails('revert with a reason', 'nothing to count', () => tally.count.staticCall(0))
  const error = await tally.count.staticCall(2000).catch((error) => error)
  same('revert with a custom error', [error.code, error.revert.name, error.revert.args.toArray()], ['CALL_EXCEPTION', 'TooMuch', [1000n, 2000n]])
  const panic = await tally.share(0).catch((error) => error)
  same('panic', [panic.revert.name, Number(panic.revert.args[0])], ['Panic', 0x12])
  await fails('estimate of what reverts', 'nothing to count', () => tally.count.estimateGas(0))
  const { error: plain } = await ask('eth_call', [{ to: address, data: tally.interface.encodeFunctionData('count', [0]) }, 'latest'])
  same('the error as it is', [plain.code, plain.message, plain.data.slice(0, 10)], [3, 'execution reverted: nothing to count', '0x08c379a0'])
  const failed = await (await tally.count(0, { gasLimit: 100000 })).wait().catch((error) => error)
  same('a failed transaction has a receipt', [failed.code, failed.receipt.status, failed.receipt.logs], ['CALL_EXCEPTION', 0, []])
  await fails('a method that is not there', 'the method eth_nothing does not exist/is not available', () => provider.send('eth_nothing', []))
}

const types = async ({ address }) => {
  for (const [name, fields] of [
    ['legacy', { type: 0 }],
    ['access list', { type: 1, accessList: [{ address, storageKeys: ['0x' + '00'.repeat(32)] }] }],
    ['fee market', { type: 2, maxFeePerGas: 2_000_000_000n, maxPriorityFeePerGas: 1_000_000_000n }],
  ]) {
    const mined = await (await wallet.sendTransaction({ to, value: 1n, ...fields })).wait()
    const again = await provider.getTransaction(mined.hash)
    same(`${name} transaction`, [mined.status, mined.type, again.type, again.from], [1, fields.type, fields.type, wallet.address])
    if (fields.accessList) same('its access list', again.accessList, fields.accessList)
    if (fields.maxFeePerGas) same('its price', [again.maxFeePerGas, mined.gasPrice], [2_000_000_000n, 1_000_000_000n])
  }
  const delegate = Wallet.createRandom().connect(provider)
  const authorization = await delegate.authorize({ address, nonce: 0 })
  const mined = await (await other.sendTransaction({ type: 4, to: delegate.address, authorizationList: [authorization], gasLimit: 200_000 })).wait()
  same('set-code transaction', [mined.status, mined.type, await provider.getCode(delegate.address)], [1, 4, '0xef0100' + address.slice(2).toLowerCase()])
  const again = await provider.getTransaction(mined.hash)
  same('its authorization', [again.authorizationList[0].address, again.authorizationList[0].signature.r], [address, authorization.signature.r])
  const account = new Contract(delegate.address, abi, other)
  await (await account.count(9)).wait()
  same('the account runs the code on its own storage', [await account.total(), await account.countedBy(other.address)], [9n, 9n])
}

const typedData = async ({ tally, address }) => {
  const { chainId } = await provider.getNetwork()
  const signer = Wallet.createRandom()
  const { domain, types, message } = typed(address, chainId, signer.address, 6n, 0n)
  const { v, r, s } = Signature.from(await signer.signTypedData(domain, types, message))
  await (await tally.countFor(signer.address, 6, v, r, s)).wait()
  same('typed data signed by another', [await tally.countedBy(signer.address), await tally.nonces(signer.address)], [6n, 1n])
  await fails('the same signature again', 'not signed by who', () => tally.countFor.staticCall(signer.address, 6, v, r, s))
}

const nonces = async () => {
  const nonce = await other.getNonce('pending')
  const pay = (offset, fields = {}) => other.sendTransaction({ to, value: ether, nonce: nonce + offset, gasLimit: 21_000, ...fields })
  const before = await provider.getBalance(to)
  const many = await Promise.all([0, 1, 2, 3].map((offset) => pay(offset)))
  const blocks = await Promise.all(many.map((tx) => tx.wait()))
  same('several in flight', blocks.map((mined) => mined.status), [1, 1, 1, 1])
  same('their money', await provider.getBalance(to), before + 4n * ether)
  same('and before', (await provider.getBalance(to, blocks[0].blockNumber - 1)) < before + ether, true)

  // One that waits for a nonce, one that replaces it, and the one that both wait for.
  const fees = (gwei) => ({ maxFeePerGas: gwei * 1_000_000_000n, maxPriorityFeePerGas: gwei * 1_000_000_000n })
  const { chainId } = await provider.getNetwork()
  const raw = await other.signTransaction({ type: 2, chainId, to, value: ether, nonce: nonce + 5, gasLimit: 21_000, ...fees(10n) })
  const waiting = await provider.broadcastTransaction(raw)
  same('a gap in the nonces', [(await provider.getTransaction(waiting.hash)).blockNumber, await other.getNonce('pending')], [null, nonce + 4])
  const pool = await provider.send('txpool_contentFrom', [other.address])
  same('it is in the pool', Object.keys(pool.queued), [`${nonce + 5}`])
  await fails('the same again', 'already known', () => provider.send('eth_sendRawTransaction', [raw]))
  const cheap = await pay(5, { ...fees(10n), value: 2n }).catch((error) => error)
  same('a replacement that pays no more', [cheap.code, cheap.info?.error?.message ?? cheap.error?.message], ['REPLACEMENT_UNDERPRICED', 'replacement transaction underpriced'])
  const replaced = waiting.wait().catch((error) => error)
  const better = await pay(5, fees(20n))
  await (await pay(4)).wait()
  same('a replacement', [(await better.wait()).status, await provider.getTransaction(waiting.hash)], [1, null])
  const error = await replaced
  same('who waits for the replaced one is told', [error.code, error.reason, error.replacement?.hash], ['TRANSACTION_REPLACED', 'repriced', better.hash])
  const old = await pay(0, { value: 3n }).catch((error) => error)
  same('a nonce that was used', old.code, 'NONCE_EXPIRED')
}

const batches = async ({ address }) => {
  const calls = [['eth_chainId', []], ['eth_getBalance', [to, 'latest']], ['eth_nothing', []], ['eth_getCode', [address, 'latest']]]
  const answers = await ask(calls.map(([method, params], id) => ({ jsonrpc: '2.0', id, method, params })))
  same('a batch in order, errors in it', answers.map(({ id, error }) => [id, error?.code ?? 0]), [[0, 0], [1, 0], [2, -32601], [3, 0]])
  same('an empty batch', (await ask([])).error.code, -32600)
  const one = new JsonRpcProvider(rpc, undefined, { ...options, batchMaxCount: 1 })
  const single = await one.getBalance(to)
  const many = await Promise.all(Array.from({ length: 50 }, () => provider.getBalance(to)))
  same('fifty questions in a batch', many.every((balance) => balance === single), true)
  one.destroy()
}

const tags = async ({ tally, address, birth }) => {
  const number = await provider.getBlockNumber()
  for (const tag of ['latest', 'safe', 'finalized', 'pending']) {
    same(`block ${tag}`, (await provider.getBlock(tag)).number >= number, true)
    same(`call at ${tag}`, await tally.total({ blockTag: tag }), await tally.total())
  }
  same('block earliest', (await provider.getBlock('earliest')).number, 0)
  same('call at an old block', await tally.total({ blockTag: birth }), 5n)
  same('storage at an old block', await provider.getStorage(address, 0, birth), '0x' + '00'.repeat(31) + '05')
  same('code before its block', await provider.getCode(address, birth - 1), '0x')
  same('nonce at an old block', (await provider.getTransactionCount(wallet.address, birth)) < (await wallet.getNonce()), true)
  await fails('state of a block to come', 'header not found', () => provider.getBalance(to, 10_000_000))
  same('a block to come', await provider.getBlock(10_000_000), null)
  same('unknown transaction', await provider.getTransaction('0x' + '11'.repeat(32)), null)
  same('unknown receipt', await provider.getTransactionReceipt('0x' + '11'.repeat(32)), null)
}

const fees = async () => {
  // Where the base fee is 0, ethers tells the price alone.
  same('fee data', [(await provider.getFeeData()).gasPrice, await provider.send('eth_maxPriorityFeePerGas', [])], [0n, '0x0'])
  const history = await provider.send('eth_feeHistory', ['0x3', 'latest', [10, 90]])
  same('fee history', [history.baseFeePerGas.length, history.gasUsedRatio.length, history.reward.map((row) => row.length)], [4, 3, [2, 2, 2]])
  await fails('too little money', 'insufficient funds', () =>
    Wallet.createRandom().connect(provider).sendTransaction({ to, value: 1n, gasLimit: 21_000, maxFeePerGas: 0n, maxPriorityFeePerGas: 0n }))
  await fails('too little gas', 'intrinsic gas too low', () => wallet.sendTransaction({ to, gasLimit: 20_999 }))
}

const proofs = async ({ tally, address, birth }) => {
  const slot = keccak256('0x' + wallet.address.slice(2).toLowerCase().padStart(64, '0') + '1'.padStart(64, '0'))
  const empty = Wallet.createRandom().address
  for (const number of [await provider.getBlockNumber(), birth]) {
    const tag = '0x' + number.toString(16)
    const { stateRoot } = await provider.send('eth_getBlockByNumber', [tag, false])
    const proof = await provider.send('eth_getProof', [address, ['0x0', slot, '0x7777'], tag])
    const { nonce, codeHash, slots } = await verified(stateRoot, proof)
    same(`proof of the contract at block ${number === birth ? 'of its birth' : 'head'}`, [nonce, codeHash], [1n, keccak256(deployedBytecode)])
    const at = { blockTag: number }
    same('proof of its slots', slots, [await tally.total(at), await tally.countedBy(wallet.address, at), 0n])
    const owner = await verified(stateRoot, await provider.send('eth_getProof', [wallet.address, [], tag]))
    same('proof of an account', owner.balance, await provider.getBalance(wallet.address, number))
    const nobody = await verified(stateRoot, await provider.send('eth_getProof', [empty, ['0x0'], tag]))
    same('proof that there is no account', [nobody.exists, nobody.balance, nobody.slots], [false, 0n, [0n]])
  }
}

const place = await deployed()
const receipt = await sends(place)
await pastEvents(place, receipt)
await filters(place)
await watches(place)
await reverts(place)
await types(place)
await typedData(place)
await nonces()
await batches(place)
await tags(place)
await fees()
await proofs(place)
provider.destroy()
