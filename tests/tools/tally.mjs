// Compiles Tally.sol with solc from npm, and says where the network is.
import { readFileSync } from 'node:fs'
import solc from 'solc'

const file = new URL('Tally.sol', import.meta.url)
const input = {
  language: 'Solidity',
  sources: { 'Tally.sol': { content: readFileSync(file, 'utf8') } },
  settings: {
    evmVersion: 'shanghai',
    optimizer: { enabled: true },
    outputSelection: { '*': { '*': ['abi', 'evm.bytecode.object'] } },
  },
}
const output = JSON.parse(solc.compile(JSON.stringify(input)))
for (const error of output.errors ?? []) if (error.severity === 'error') throw new Error(error.formattedMessage)
const compiled = output.contracts['Tally.sol'].Tally

export const abi = compiled.abi
export const bytecode = '0x' + compiled.evm.bytecode.object

const variable = (name) => {
  if (!process.env[name]) throw new Error(`${name} is not set`)
  return process.env[name]
}
export const rpc = variable('RPC_URL')
export const websocket = rpc.replace('http', 'ws')
export const keys = variable('PRIVATE_KEYS').split(',')

// One line for each thing that was checked; the first that is wrong ends the process.
export const same = (what, got, expected) => {
  const text = (value) => JSON.stringify(value, (_, part) => (typeof part === 'bigint' ? `${part}` : part))
  if (text(got) !== text(expected)) throw new Error(`${what}: expected ${text(expected)}, got ${text(got)}`)
  console.log(`ok  ${what}`)
}
export const fails = async (what, part, attempt) => {
  const error = await attempt().then(
    (value) => new Error(`it did not fail, but gave ${value}`),
    (error) => error,
  )
  const seen = [error.message, error.shortMessage, error.reason, error.revert?.name, error.details].join(' ')
  if (!seen.includes(part)) throw new Error(`${what}: expected ${part}, got ${seen}`)
  console.log(`ok  ${what}`)
}
