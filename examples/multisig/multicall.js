// Multicall3: many questions in one call, many payments in one transaction.
import { Wallet, parseEther } from 'ethers'
import { check, checkAmount, checkRefused, deploy, final, provider, step } from '../lib/chain.js'

// viem has the bytecode, in a file that it does not offer by name.
const { multicall3Bytecode } = await import(new URL('constants/contracts.js', import.meta.resolve('viem')))

const Multicall3 = {
  bytecode: multicall3Bytecode,
  abi: [
    'function aggregate3((address target, bool allowFailure, bytes callData)[]) payable returns ((bool success, bytes returnData)[])',
    'function aggregate3Value((address target, bool allowFailure, uint256 value, bytes callData)[]) payable returns ((bool success, bytes returnData)[])',
    'function getChainId() view returns (uint256)',
    'function getEthBalance(address) view returns (uint256)',
  ],
}

export async function callMany(safe, entryPoint, account) {
  step('Multicall3: five questions in one call')
  const multicall = await deploy('Multicall3', Multicall3)
  await ask(multicall, safe, entryPoint, account)
  step('Multicall3: three payments in one transaction')
  await pay(multicall)
}

async function ask(multicall, safe, entryPoint, account) {
  const questions = [
    [multicall, 'getChainId', []],
    [multicall, 'getEthBalance', [safe.target]],
    [safe, 'getThreshold', []],
    [entryPoint, 'balanceOf', [account.target]],
    // Refused: nobody has signed.
    [safe, 'checkNSignatures(address,bytes32,bytes,uint256)', [safe.target, `0x${'00'.repeat(32)}`, '0x', 1]],
  ]
  const calls = questions.map(([contract, method, args]) => ({
    target: contract, allowFailure: true, callData: contract.interface.encodeFunctionData(method, args),
  }))
  const answers = await multicall.aggregate3.staticCall(calls)
  check('which succeed', answers.map((answer) => answer.success), [true, true, true, true, false])
  const found = answers.slice(0, 4).map(({ returnData }) => BigInt(returnData))
  const { chainId } = await provider.getNetwork()
  const expected = [chainId, parseEther('1'), 3n, await entryPoint.balanceOf(account)]
  check('chain, ether of the safe, its threshold, deposit of the account', found, expected)

  const strict = calls.map((call) => ({ ...call, allowFailure: false }))
  await checkRefused('all or nothing', 'Multicall3: call failed', multicall.aggregate3, strict)
}

async function pay(multicall) {
  const payments = ['0.1', '0.2', '0.3'].map((amount) => ({
    target: Wallet.createRandom().address, allowFailure: false, value: parseEther(amount), callData: '0x',
  }))
  await final(multicall.aggregate3Value(payments, { value: parseEther('0.6') }))
  for (const { target, value } of payments) {
    checkAmount('what was paid', await provider.getBalance(target), value)
  }
  checkAmount('what is left in the contract', await provider.getBalance(multicall), 0n)
  await checkRefused('payments that do not add up', 'Multicall3: value mismatch', multicall.aggregate3Value, payments, { value: parseEther('0.7') })
}
