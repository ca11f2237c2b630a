// Uniswap V2 and V3 with two tokens and wrapped ether.
import { parseEther } from 'ethers'
import { accounts, artifact, check, checkAmount, connect, deploy, final, provider, step } from '../lib/chain.js'
import { tradeOnV2 } from './v2.js'
import { tradeOnV3 } from './v3.js'

const [alice, bob] = accounts

await connect()
const weth = await wrapEther()
await tradeOnV2(weth, await newToken('Gold'))
await tradeOnV3(weth, await newToken('Silver'), await newToken('Copper'))
console.log('\nAll balances are right.')

async function wrapEther() {
  step('WETH9: ether as a token')
  const weth = await deploy('WETH9', artifact('canonical-weth/build/contracts/WETH9.json'))
  await final(weth.connect(bob).deposit({ value: parseEther('3') }))
  checkAmount('wrapped ether of Bob', await weth.balanceOf(bob), parseEther('3'))
  const before = await provider.getBalance(bob)
  const receipt = await final(weth.connect(bob).withdraw(parseEther('1')))
  checkAmount('what Bob got back', await provider.getBalance(bob) - before + receipt.fee, parseEther('1'))
  checkAmount('wrapped ether of Bob', await weth.balanceOf(bob), parseEther('2'))
  checkAmount('ether in the contract', await provider.getBalance(weth), parseEther('2'))
  return weth
}

// A plain ERC-20: a million for Alice, ten thousand of them for Bob.
async function newToken(name) {
  step(`ERC-20: ${name}`)
  const token = await deploy(name, artifact('@uniswap/v2-core/build/ERC20.json'), [parseEther('1000000')])
  await final(token.transfer(bob, parseEther('10000')))
  check(`${name} of Alice and Bob`, [await token.balanceOf(alice), await token.balanceOf(bob)], [parseEther('990000'), parseEther('10000')])
  return token
}
