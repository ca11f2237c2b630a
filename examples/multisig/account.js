// ERC-4337: an account that is a contract. Its owner signs operations and sends no transaction; whoever sends them is
// paid by the account.
import { Contract, Wallet, concat, parseEther, toBeHex } from 'ethers'
import { accounts, artifact, check, checkAmount, checkRefused, deploy, final, provider, step } from '../lib/chain.js'

const [alice, , carol] = accounts
const contracts = (name) => artifact(`@account-abstraction/contracts/artifacts/${name}.json`)

const GWEI = 10n ** 9n

// What the owner signs, as EIP-712 wants it.
const PackedUserOperation = [
  ['sender', 'address'], ['nonce', 'uint256'], ['initCode', 'bytes'], ['callData', 'bytes'], ['accountGasLimits', 'bytes32'],
  ['preVerificationGas', 'uint256'], ['gasFees', 'bytes32'], ['paymasterAndData', 'bytes'],
].map(([name, type]) => ({ name, type }))

export async function payFromAccount() {
  step('EntryPoint 0.8 and the address of an account that is not there yet')
  const entryPoint = await deploy('EntryPoint', contracts('EntryPoint'))
  const factory = await deploy('SimpleAccountFactory', contracts('SimpleAccountFactory'), [entryPoint.target])
  // The owner has a key and nothing else.
  const owner = Wallet.createRandom()
  const address = await factory.getFunction('getAddress(address,uint256)')(owner, 0)
  const account = new Contract(address, contracts('SimpleAccount').abi, provider)
  await final(entryPoint.depositTo(account, { value: parseEther('1') }))
  await final(alice.sendTransaction({ to: account, value: parseEther('2') }))
  check('code of the account', await provider.getCode(account), '0x')

  await create(entryPoint, factory, account, owner)
  await batch(entryPoint, account, owner)
  return { entryPoint, account }
}

async function create(entryPoint, factory, account, owner) {
  step('The first operation creates the account and pays 0.5 ether')
  const to = Wallet.createRandom().address
  const create = factory.interface.encodeFunctionData('createAccount', [owner.address, 0])
  const operation = await prepare(entryPoint, account, 'execute', [to, parseEther('0.5'), '0x'])
  operation.initCode = concat([factory.target, create])
  await send(entryPoint, account, await signed(entryPoint, operation, owner))
  checkAmount('what was paid', await provider.getBalance(to), parseEther('0.5'))
  checkAmount('ether of the account', await provider.getBalance(account), parseEther('1.5'))
  check('owner', await account.owner(), owner.address)
}

async function batch(entryPoint, account, owner) {
  step('The second operation pays two at once; a stranger cannot sign it')
  const [first, second] = [Wallet.createRandom().address, Wallet.createRandom().address]
  const calls = [[first, parseEther('0.25'), '0x'], [second, parseEther('0.75'), '0x']]
  const operation = await prepare(entryPoint, account, 'executeBatch', [calls])
  const forged = await signed(entryPoint, operation, Wallet.createRandom())
  await checkRefused('an operation that a stranger signed', 'AA24 signature error', entryPoint.connect(carol).handleOps, [forged], carol)
  const operations = await signed(entryPoint, operation, owner)
  await send(entryPoint, account, operations)
  checkAmount('what the first got', await provider.getBalance(first), parseEther('0.25'))
  checkAmount('what the second got', await provider.getBalance(second), parseEther('0.75'))
  checkAmount('ether of the account', await provider.getBalance(account), parseEther('0.5'))
  await checkRefused('the same operation again', 'AA25 invalid account nonce', entryPoint.connect(carol).handleOps, [operations], carol)
}

async function prepare(entryPoint, account, method, args) {
  return {
    sender: account.target,
    nonce: await entryPoint.getNonce(account, 0),
    initCode: '0x',
    callData: account.interface.encodeFunctionData(method, args),
    accountGasLimits: halves(500_000n, 200_000n),
    preVerificationGas: 50_000n,
    gasFees: halves(GWEI, GWEI),
    paymasterAndData: '0x',
  }
}

// Two numbers in one word: gas for verification and for the call, or priority fee and fee at most.
function halves(high, low) {
  return concat([toBeHex(high, 16), toBeHex(low, 16)])
}

async function signed(entryPoint, operation, signer) {
  const { chainId } = await provider.getNetwork()
  const domain = { name: 'ERC4337', version: '1', chainId, verifyingContract: entryPoint.target }
  const signature = await signer.signTypedData(domain, { PackedUserOperation }, operation)
  return { ...operation, signature }
}

// Carol sends the operation; what it costs goes from the account's deposit to whom she names.
async function send(entryPoint, account, operation) {
  const beneficiary = Wallet.createRandom().address
  const deposit = await entryPoint.balanceOf(account)
  const receipt = await final(entryPoint.connect(carol).handleOps([operation], beneficiary))
  const events = receipt.logs.map((log) => entryPoint.interface.parseLog(log))
  const { success, actualGasCost } = events.find((event) => event?.name === 'UserOperationEvent').args
  check('success of the operation', success, true)
  checkAmount('what Carol gets for sending it', await provider.getBalance(beneficiary), actualGasCost)
  checkAmount('deposit of the account', await entryPoint.balanceOf(account), deposit - actualGasCost)
}
