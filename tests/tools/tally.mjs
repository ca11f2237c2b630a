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
    outputSelection: { '*': { '*': ['abi', 'evm.bytecode.object', 'evm.deployedBytecode.object'] } },
  },
}
const output = JSON.parse(solc.compile(JSON.stringify(input)))
for (const error of output.errors ?? []) if (error.severity === 'error') throw new Error(error.formattedMessage)
const compiled = output.contracts['Tally.sol'].Tally

export const abi = compiled.abi
export const bytecode = '0x' + compiled.evm.bytecode.object
export const deployedBytecode = '0x' + compiled.evm.deployedBytecode.object

const variable = (name) => {
  if (!process.env[name]) throw new Error(`${name} is not set`)
  return process.env[name]
}
export const rpc = variable('RPC_URL')
export const websocket = variable('WS_URL')
export const keys = variable('PRIVATE_KEYS').split(',')

// What is signed for `countFor`.
export const typed = (address, chainId, who, by, nonce) => ({
  domain: { name: 'Tally', version: '1', chainId, verifyingContract: address },
  types: { Count: [{ name: 'who', type: 'address' }, { name: 'by', type: 'uint256' }, { name: 'nonce', type: 'uint256' }] },
  primaryType: 'Count',
  message: { who, by, nonce },
})

// A method as it is, without a library: the whole answer.
export const ask = async (method, params = []) => {
  const body = JSON.stringify(Array.isArray(method) ? method : { jsonrpc: '2.0', id: 1, method, params })
  const answer = await fetch(rpc, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
  return answer.json()
}

export { fails, same, until } from './checks.mjs'
