// Accounts that are contracts: a Safe with three owners, a smart account behind EntryPoint 0.8; and Multicall3.
import { connect } from '../lib/chain.js'
import { payFromAccount } from './account.js'
import { callMany } from './multicall.js'
import { payFromSafe } from './safe.js'

await connect()
const safe = await payFromSafe()
const { entryPoint, account } = await payFromAccount()
await callMany(safe, entryPoint, account)
console.log('\nAll balances are right.')
