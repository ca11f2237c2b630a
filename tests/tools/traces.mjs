// The same transactions here and on anvil: the same traces.
import { spawn } from 'node:child_process'
import { createServer } from 'node:net'
import { readdirSync } from 'node:fs'
import { Contract, ContractFactory, JsonRpcProvider, Wallet, parseEther } from 'ethers'
import { abi, bytecode, keys, rpc, same } from './tally.mjs'

const folder = new URL('node_modules/@foundry-rs/', import.meta.url)
const build = readdirSync(folder).find((name) => name.startsWith('anvil-'))
const port = await new Promise((resolve) => {
  const server = createServer().listen(0, '127.0.0.1', () => { const { port } = server.address(); server.close(() => resolve(port)) })
})
const program = new URL(`${build}/bin/anvil`, folder).pathname
const anvil = spawn(program, ['--port', port, '--base-fee', '0', '--gas-price', '0', '--hardfork', 'osaka', '--steps-tracing', '--quiet'], { stdio: 'inherit' })
process.on('exit', () => anvil.kill())

const ask = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}' }
while (!(await fetch(`http://127.0.0.1:${port}`, ask).catch(() => null))) await new Promise((resolve) => setTimeout(resolve, 50))
const options = { pollingInterval: 50, cacheTimeout: -1 }
const there = new JsonRpcProvider(`http://127.0.0.1:${port}`, undefined, options)
const here = new JsonRpcProvider(rpc, undefined, options)

// A key of its own: its nonce is 0 on both, so its contracts have the same addresses.
const key = Wallet.createRandom().privateKey
const fees = { maxFeePerGas: 0n, maxPriorityFeePerGas: 0n }
const life = async (provider) => {
  await (await new Wallet(keys[6], provider).sendTransaction({ to: new Wallet(key).address, value: parseEther('1'), ...fees })).wait()
  const wallet = new Wallet(key, provider)
  const contract = await new ContractFactory(abi, bytecode, wallet).deploy(5, { gasLimit: 1000000, ...fees })
  await contract.waitForDeployment()
  const tally = new Contract(await contract.getAddress(), abi, wallet)
  const hashes = [contract.deploymentTransaction().hash]
  for (const by of [7, 0, 2000]) {
    const sent = await tally.count(by, { gasLimit: 200000, nonce: hashes.length, ...fees })
    await sent.wait().catch(() => {})
    hashes.push(sent.hash)
  }
  return hashes
}
const [mine, theirs] = [await life(here), await life(there)]

const steps = (trace) => trace.structLogs.map(({ pc, op, gas, gasCost, depth, stack }) => [pc, op, gas, gasCost, depth, stack])
// The gas of the outermost call is the transaction's here, as Geth has it; anvil takes off what it costs to begin.
const frame = ({ type, from, to, gasUsed, input, output, value, error, revertReason, calls }) =>
  ({ type, from, to, gasUsed, input, output, value, error, revertReason, calls: calls?.map(frame) })
for (const [index, name] of ['a creation', 'a call', 'a revert with a reason', 'a revert with a custom error'].entries()) {
  const trace = async (options) => Promise.all([[here, mine], [there, theirs]].map(([provider, hashes]) =>
    provider.send('debug_traceTransaction', [hashes[index], options])))
  const [ours, others] = await trace({ tracer: 'callTracer' })
  same(`callTracer, ${name}`, frame(ours), frame(others))
  const [here_, there_] = await trace({})
  same(`struct logs, ${name} (${here_.structLogs.length} steps)`, steps(here_), steps(there_))
  same(`gas and result, ${name}`, [here_.gas, here_.failed, here_.returnValue], [there_.gas, there_.failed, there_.returnValue])
  const [four, four_] = await trace({ tracer: '4byteTracer' })
  same(`4byteTracer, ${name}`, four, four_)
}
process.exit(0)
