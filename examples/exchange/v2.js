// Uniswap V2: a pool of a token and ether. Every amount is compared with the formula.
import { MaxUint256, ZeroAddress, keccak256, parseEther } from 'ethers'
import { Contract, getCreate2Address, solidityPackedKeccak256 } from 'ethers'
import { accounts, artifact, check, checkAmount, checkRefused, deploy, final, provider, step } from '../lib/chain.js'

const [alice, bob] = accounts
const Pair = artifact('@uniswap/v2-core/build/UniswapV2Pair.json')
// A pool keeps this much of its first liquidity for ever.
const MINIMUM_LIQUIDITY = 1000n

export async function tradeOnV2(weth, gold) {
  step('Uniswap V2: factory and router')
  const factory = await deploy('UniswapV2Factory', artifact('@uniswap/v2-core/build/UniswapV2Factory.json'), [ZeroAddress])
  const router = await deploy('UniswapV2Router02', artifact('@uniswap/v2-periphery/build/UniswapV2Router02.json'), [factory.target, weth.target])

  const pair = await addLiquidity(factory, router, weth, gold)
  await swapEther(router, pair, weth, gold)
  await swapGold(router, pair, weth, gold)
  await removeLiquidity(router, pair, weth, gold)
}

// What comes out for an amount that goes in: three parts in a thousand stay with the pool.
function amountOut(amountIn, reserveIn, reserveOut) {
  const kept = amountIn * 997n
  return kept * reserveOut / (reserveIn * 1000n + kept)
}

function squareRoot(number) {
  let root = number
  for (let next = (root + 1n) / 2n; next < root; next = (root + number / root) / 2n) {
    root = next
  }
  return root
}

// What the pool has of gold and of wrapped ether.
async function reserves(pair, gold) {
  const [first, second] = await pair.getReserves()
  return await pair.token0() === gold.target ? [first, second] : [second, first]
}

async function addLiquidity(factory, router, weth, gold) {
  step('Uniswap V2: Alice adds 5000 gold and 10 ether')
  const [goldIn, etherIn] = [parseEther('5000'), parseEther('10')]
  await final(gold.approve(router, MaxUint256))
  await final(router.addLiquidityETH(gold, goldIn, goldIn, etherIn, alice, MaxUint256, { value: etherIn }))

  const pair = new Contract(await factory.getPair(gold, weth), Pair.abi, alice)
  const [low, high] = [gold.target, weth.target].sort((a, b) => (BigInt(a) < BigInt(b) ? -1 : 1))
  const salt = solidityPackedKeccak256(['address', 'address'], [low, high])
  check('address of the pair', pair.target, getCreate2Address(factory.target, salt, keccak256(`0x${Pair.bytecode}`)))
  check('gold and ether in the pair', await reserves(pair, gold), [goldIn, etherIn])
  checkAmount('liquidity of Alice', await pair.balanceOf(alice), squareRoot(goldIn * etherIn) - MINIMUM_LIQUIDITY)
  return pair
}

async function swapEther(router, pair, weth, gold) {
  step('Uniswap V2: Bob buys gold with 1 ether')
  const [goldThere, etherThere] = await reserves(pair, gold)
  const [paid, expected] = [parseEther('1'), amountOut(parseEther('1'), etherThere, goldThere)]
  const before = [await gold.balanceOf(bob), await provider.getBalance(bob)]
  check('what the router promises', await router.getAmountsOut(paid, [weth, gold]).then((amounts) => amounts[1]), expected)
  const swap = router.connect(bob).swapExactETHForTokens
  await checkRefused('a swap for more than that', 'UniswapV2Router: INSUFFICIENT_OUTPUT_AMOUNT', swap, expected + 1n, [weth, gold], bob, MaxUint256, { value: paid })
  const receipt = await final(swap(expected, [weth, gold], bob, MaxUint256, { value: paid }))
  checkAmount('gold that Bob got', await gold.balanceOf(bob) - before[0], expected)
  checkAmount('ether that Bob paid', before[1] - await provider.getBalance(bob) - receipt.fee, paid)
  check('gold and ether in the pair', await reserves(pair, gold), [goldThere - expected, etherThere + paid])
}

async function swapGold(router, pair, weth, gold) {
  step('Uniswap V2: Bob sells 200 gold')
  const [goldThere, etherThere] = await reserves(pair, gold)
  const [paid, expected] = [parseEther('200'), amountOut(parseEther('200'), goldThere, etherThere)]
  const before = await weth.balanceOf(bob)
  await final(gold.connect(bob).approve(router, paid))
  await final(router.connect(bob).swapExactTokensForTokens(paid, expected, [gold, weth], bob, MaxUint256))
  checkAmount('wrapped ether that Bob got', await weth.balanceOf(bob) - before, expected)
  check('gold and ether in the pair', await reserves(pair, gold), [goldThere + paid, etherThere - expected])
}

async function removeLiquidity(router, pair, weth, gold) {
  step('Uniswap V2: Alice removes half of her liquidity, as tokens')
  const [goldThere, etherThere] = await reserves(pair, gold)
  const liquidity = await pair.balanceOf(alice) / 2n
  const total = await pair.totalSupply()
  const before = [await gold.balanceOf(alice), await weth.balanceOf(alice)]
  await final(pair.approve(router, liquidity))
  await final(router.removeLiquidity(gold, weth, liquidity, 0n, 0n, alice, MaxUint256))
  const [goldBack, etherBack] = [liquidity * goldThere / total, liquidity * etherThere / total]
  checkAmount('gold that Alice got', await gold.balanceOf(alice) - before[0], goldBack)
  checkAmount('wrapped ether that Alice got', await weth.balanceOf(alice) - before[1], etherBack)
  checkAmount('liquidity that is left', await pair.totalSupply(), total - liquidity)
  check('gold and ether in the pair', await reserves(pair, gold), [goldThere - goldBack, etherThere - etherBack])
}
