// A Safe: a wallet of three owners of whom two must sign.
import { Contract, Wallet, ZeroAddress, concat, parseEther } from 'ethers'
import { accounts, artifact, check, checkAmount, checkRefused, deploy, final, provider, step } from '../lib/chain.js'

const [alice, bob, carol] = accounts
const contracts = (path) => artifact(`@safe-global/safe-smart-account/build/artifacts/contracts/${path}`)

// What owners sign, as EIP-712 wants it.
const SafeTx = [
  ['to', 'address'], ['value', 'uint256'], ['data', 'bytes'], ['operation', 'uint8'], ['safeTxGas', 'uint256'],
  ['baseGas', 'uint256'], ['gasPrice', 'uint256'], ['gasToken', 'address'], ['refundReceiver', 'address'],
  ['nonce', 'uint256'],
].map(([name, type]) => ({ name, type }))

export async function payFromSafe() {
  const safe = await createSafe()
  await pay(safe)
  await changeThreshold(safe)
  return safe
}

async function createSafe() {
  step('Safe: a wallet of Alice, Bob and Carol; two must sign')
  const singleton = await deploy('Safe', contracts('Safe.sol/Safe.json'))
  const factory = await deploy('SafeProxyFactory', contracts('proxies/SafeProxyFactory.sol/SafeProxyFactory.json'))
  const handler = await deploy('CompatibilityFallbackHandler', contracts('handler/CompatibilityFallbackHandler.sol/CompatibilityFallbackHandler.json'))
  const owners = accounts.slice(0, 3).map((owner) => owner.address)
  const setup = singleton.interface.encodeFunctionData('setup', [
    owners, 2, ZeroAddress, '0x', handler.target, ZeroAddress, 0, ZeroAddress,
  ])
  const receipt = await final(factory.createProxyWithNonce(singleton, setup, 1n))
  const created = receipt.logs.map((log) => factory.interface.parseLog(log)).find((event) => event?.name === 'ProxyCreation')
  const safe = new Contract(created.args.proxy, singleton.interface, alice)
  check('owners', (await safe.getOwners()).toArray(), owners)
  check('threshold', await safe.getThreshold(), 2n)
  await final(alice.sendTransaction({ to: safe, value: parseEther('3') }))
  checkAmount('ether of the safe', await provider.getBalance(safe), parseEther('3'))
  return safe
}

async function pay(safe) {
  step('Safe: pay 1 ether with one signature, then with two')
  const to = Wallet.createRandom().address
  const payment = await transaction(safe, { to, value: parseEther('1') })
  await checkRefused('one signature', 'GS020', safe.execTransaction, ...await signed(safe, payment, [alice]))
  await checkRefused('the same signature twice', 'GS026', safe.execTransaction, ...await signed(safe, payment, [alice, alice]))
  await checkRefused('a stranger', 'GS026', safe.execTransaction, ...await signed(safe, payment, [alice, Wallet.createRandom()]))
  // With a gas limit of its own a transaction is sent unasked; it fails, and has a receipt.
  const refused = safe.execTransaction(...await signed(safe, payment, [bob]), { gasLimit: 300_000 })
  const receipt = await final(refused).catch((error) => error.receipt)
  check('status of a transaction with one signature', receipt?.status, 0)
  checkAmount('ether of the safe', await provider.getBalance(safe), parseEther('3'))

  const executed = await final(safe.execTransaction(...await signed(safe, payment, [alice, carol])))
  check('event', executed.logs.map((log) => safe.interface.parseLog(log).name), ['ExecutionSuccess'])
  checkAmount('what was paid', await provider.getBalance(to), parseEther('1'))
  checkAmount('ether of the safe', await provider.getBalance(safe), parseEther('2'))
  await checkRefused('the same signatures again', 'GS026', safe.execTransaction, ...await signed(safe, payment, [alice, carol]))
}

async function changeThreshold(safe) {
  step('Safe: from now on all three must sign')
  const data = safe.interface.encodeFunctionData('changeThreshold', [3])
  const change = await transaction(safe, { to: safe.target, data })
  await final(safe.execTransaction(...await signed(safe, change, [bob, carol])))
  check('threshold', await safe.getThreshold(), 3n)
  const payment = await transaction(safe, { to: alice.address, value: parseEther('1') })
  await checkRefused('two signatures', 'GS020', safe.execTransaction, ...await signed(safe, payment, [alice, bob]))
  await final(safe.execTransaction(...await signed(safe, payment, [alice, bob, carol])))
  checkAmount('ether of the safe', await provider.getBalance(safe), parseEther('1'))
}

// The next transaction of the safe. Nothing is paid back to who sends it.
async function transaction(safe, { to, value = 0n, data = '0x' }) {
  return {
    to, value, data, operation: 0, safeTxGas: 0n, baseGas: 0n, gasPrice: 0n,
    gasToken: ZeroAddress, refundReceiver: ZeroAddress, nonce: await safe.nonce(),
  }
}

// The arguments of `execTransaction`: all but the nonce, and the signatures in the order of the owners' addresses.
async function signed(safe, message, owners) {
  const { chainId } = await provider.getNetwork()
  const domain = { chainId, verifyingContract: safe.target }
  const sorted = owners.toSorted((a, b) => (BigInt(a.address) < BigInt(b.address) ? -1 : 1))
  const signatures = await Promise.all(sorted.map((owner) => owner.signTypedData(domain, { SafeTx }, message)))
  const { nonce, ...rest } = message
  return [...Object.values(rest), concat(signatures)]
}
