// Tokens of OpenZeppelin, and a vote about the treasury.
import { connect } from '../lib/chain.js'
import { compile } from './compile.js'
import { govern } from './governor.js'
import { deeds, goods, shares } from './tokens.js'

await connect()
console.log('Compiling tokens.sol')
const contracts = compile('tokens.sol')
const share = await shares(contracts)
await deeds(contracts)
await goods(contracts)
await govern(contracts, share)
console.log('\nAll balances are right.')
