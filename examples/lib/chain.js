// What the examples share: accounts on a chain, contracts from npm packages, and checks of what came out.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { Contract, ContractFactory, HDNodeWallet, JsonRpcProvider, Wallet, formatUnits, getBytes } from 'ethers'

const url = process.env.RPC_URL ?? 'http://127.0.0.1:8545'
const patience = 60_000

// An estimate holds for the second of the latest block. Contracts that keep books over time, such as pools and markets,
// need more gas when the transaction's block has another one: what is allowed here is half as much again.
class Provider extends JsonRpcProvider {
  async estimateGas(transaction) {
    return (await super.estimateGas(transaction)) * 3n / 2n
  }
}

// Blocks come sooner than the quarter of a second for which ethers would remember answers.
export const provider = new Provider(url, undefined, { pollingInterval: 50, cacheTimeout: -1 })

process.on('uncaughtException', (error) => {
  console.error(`\nFAILED: ${error.stack ?? error}`)
  process.exit(1)
})

// The accounts of PRIVATE_KEYS (with commas in between), or else those of `assent devnet`, whose keys everybody knows.
export const accounts = privateKeys().map((key) => new Wallet(key, provider))

function privateKeys() {
  if (!process.env.PRIVATE_KEYS) {
    const words = 'test test test test test test test test test test test junk'
    return [0, 1, 2, 3].map((index) => HDNodeWallet.fromPhrase(words, '', `m/44'/60'/0'/0/${index}`).privateKey)
  }
  const keys = process.env.PRIVATE_KEYS.split(',').slice(0, 4)
  if (keys.length < 4 || !keys.every((key) => /^0x[0-9a-f]{64}$/i.test(key))) {
    throw new Error('PRIVATE_KEYS: expected four private keys in hex, each with 0x in front, with commas in between')
  }
  return keys
}

// Says which chain this is. Ends the program where there is none, or nothing to spend on it.
export async function connect() {
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'eth_chainId', params: [] })
  const headers = { 'content-type': 'application/json' }
  await fetch(url, { method: 'POST', headers, body }).catch(() => {
    throw new Error(`no node answers at ${url}: start one with "assent devnet", or set RPC_URL`)
  })
  const { chainId } = await provider.getNetwork()
  console.log(`Chain ${chainId} at ${url}, block ${await provider.getBlockNumber()}`)
  for (const { address } of accounts) {
    if (await provider.getBalance(address) === 0n) {
      throw new Error(`${address} owns nothing on this chain: set PRIVATE_KEYS to the keys of four accounts with funds`)
    }
  }
}

let steps = 0

// Says what comes next.
export function step(text) {
  steps += 1
  console.log(`\n${steps}. ${text}`)
}

// Prints what was found, and throws unless it is what was expected.
export function check(what, found, expected) {
  if (show(found) !== show(expected)) {
    throw new Error(`${what}: expected ${show(expected)}, got ${show(found)}`)
  }
  console.log(`   ok  ${what}: ${show(found)}`)
}

// Like `check`, for an amount of ether or of a token.
export function checkAmount(what, found, expected, decimals = 18) {
  if (found !== expected) {
    throw new Error(`${what}: expected ${expected} base units, got ${found} (${found - expected} more)`)
  }
  console.log(`   ok  ${what}: ${formatUnits(found, decimals)}`)
}

// Throws unless a method of a contract is refused with these arguments for this reason: the reason string, or the name of
// the custom error or one of its arguments. It is called and not sent, as a wallet does beforehand.
export async function checkRefused(what, reason, method, ...args) {
  const error = await method.staticCall(...args).then(() => undefined, (thrown) => thrown)
  const given = error?.revert ? [error.revert.name, ...error.revert.args] : [error?.message ?? 'no refusal']
  if (!given.includes(reason)) {
    throw new Error(`${what}: expected to be refused with "${reason}", got ${show(given)}`, { cause: error })
  }
  console.log(`   ok  ${what}: refused with "${reason}"`)
}

function show(value) {
  if (Array.isArray(value)) {
    return `[${value.map(show).join(', ')}]`
  }
  return typeof value === 'bigint' ? value.toString() : JSON.stringify(value)
}

// Waits until a transaction is final, and returns its receipt. Throws when the transaction failed.
export async function final(transaction) {
  return (await transaction).wait(1, patience)
}

// Waits until a condition holds. Time passes on a chain from block to block, and an idle chain makes few blocks: in
// between, a transaction that does nothing else makes one.
export async function until(what, condition) {
  const deadline = Date.now() + patience
  while (!(await condition())) {
    if (Date.now() > deadline) {
      throw new Error(`${what}: not within ${patience / 1000} seconds`)
    }
    await final(accounts[0].sendTransaction({ to: accounts[0].address }))
  }
}

// A compiled contract in an npm package, as Hardhat, Truffle and Waffle write it.
export function artifact(path) {
  return JSON.parse(readFileSync(createRequire(import.meta.url).resolve(path), 'utf8'))
}

// Deploys a contract from the first account. `libraries` has the addresses that the bytecode leaves open, by name.
export async function deploy(name, { abi, bytecode, linkReferences }, args = [], libraries = {}) {
  const factory = new ContractFactory(abi, link(bytecode, linkReferences, libraries), accounts[0])
  const contract = await factory.deploy(...args)
  const receipt = await final(contract.deploymentTransaction())
  const size = getBytes(await provider.getCode(contract)).length
  console.log(`   ${name} is at ${contract.target} (${size} bytes, ${receipt.gasUsed} gas)`)
  return new Contract(contract.target, abi, accounts[0])
}

// Writes the addresses of libraries into the places that the compiler left for them.
function link(bytecode, linkReferences, libraries) {
  let linked = bytecode
  for (const [name, places] of Object.values(linkReferences ?? {}).flatMap(Object.entries)) {
    for (const { start, length } of places) {
      const [from, to] = [2 + 2 * start, 2 + 2 * (start + length)]
      linked = linked.slice(0, from) + libraries[name].target.slice(2) + linked.slice(to)
    }
  }
  return linked
}
