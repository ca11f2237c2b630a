// Uniswap V3: a pool of two tokens with a position over all prices. The swap is compared with the formula.
import { Contract, MaxUint256, encodeBytes32String, parseEther } from 'ethers'
import { accounts, artifact, check, checkAmount, deploy, final, step } from '../lib/chain.js'

const [alice, bob] = accounts
const periphery = (name, file = name) => artifact(`@uniswap/v3-periphery/artifacts/contracts/${file}.sol/${name}.json`)
const core = (name) => artifact(`@uniswap/v3-core/artifacts/contracts/${name}.sol/${name}.json`)

const FEE = 3000n // millionths of what goes in
const MAX_TICK = 887220n // the last one that a pool with this fee can use
const Q96 = 2n ** 96n // prices are square roots, as fractions of this
const Q128 = 2n ** 128n // fees per unit of liquidity are fractions of this

export async function tradeOnV3(weth, silver, copper) {
  step('Uniswap V3: factory, router, positions')
  const factory = await deploy('UniswapV3Factory', core('UniswapV3Factory'))
  const router = await deploy('SwapRouter', periphery('SwapRouter'), [factory.target, weth.target])
  const drawing = await deploy('NFTDescriptor', periphery('NFTDescriptor', 'libraries/NFTDescriptor'))
  const descriptor = await deploy(
    'NonfungibleTokenPositionDescriptor',
    periphery('NonfungibleTokenPositionDescriptor'),
    [weth.target, encodeBytes32String('ETH')],
    { NFTDescriptor: drawing },
  )
  const positions = await deploy(
    'NonfungiblePositionManager',
    periphery('NonfungiblePositionManager'),
    [factory.target, weth.target, descriptor.target],
  )

  const [token0, token1] = BigInt(silver.target) < BigInt(copper.target) ? [silver, copper] : [copper, silver]
  const pool = await createPool(factory, positions, token0, token1)
  const position = await mintPosition(positions, pool, token0, token1)
  const paid = await swap(router, pool, token0, token1)
  await collectFees(positions, pool, position, token0, paid)
}

async function createPool(factory, positions, token0, token1) {
  step('Uniswap V3: a pool, where one token is worth one of the other')
  await final(positions.createAndInitializePoolIfNecessary(token0, token1, FEE, Q96))
  const pool = new Contract(await factory.getPool(token0, token1, FEE), core('UniswapV3Pool').abi, alice)
  const { sqrtPriceX96, tick } = await pool.slot0()
  check('price and tick', [sqrtPriceX96, tick], [Q96, 0n])
  return pool
}

async function mintPosition(positions, pool, token0, token1) {
  step('Uniswap V3: Alice opens a position with 1000 of each')
  const amount = parseEther('1000')
  await final(token0.approve(positions, MaxUint256))
  await final(token1.approve(positions, MaxUint256))
  const receipt = await final(positions.mint({
    token0, token1, fee: FEE, tickLower: -MAX_TICK, tickUpper: MAX_TICK, amount0Desired: amount, amount1Desired: amount,
    amount0Min: amount, amount1Min: amount, recipient: alice, deadline: MaxUint256,
  }))
  const events = receipt.logs.filter((log) => log.address === positions.target).map((log) => positions.interface.parseLog(log))
  const { tokenId, liquidity } = events.find((event) => event.name === 'IncreaseLiquidity').args
  check('owner of the position', await positions.ownerOf(tokenId), alice.address)
  checkAmount('first token in the pool', await token0.balanceOf(pool), amount)
  checkAmount('second token in the pool', await token1.balanceOf(pool), amount)
  check('liquidity of the pool', await pool.liquidity(), liquidity)
  const uri = await positions.tokenURI(tokenId)
  const { name } = JSON.parse(Buffer.from(uri.split(',')[1], 'base64'))
  check('the position describes itself', [uri.split(',')[0], name.startsWith('Uniswap - 0.3%')], ['data:application/json;base64', true])
  return tokenId
}

// What comes out, in a pool whose liquidity is the same at all prices: the price falls by what goes in.
function amountOut(amountIn, liquidity, price) {
  const kept = amountIn * (1_000_000n - FEE) / 1_000_000n
  const next = ceilDivide(liquidity * Q96 * price, liquidity * Q96 + kept * price)
  return [liquidity * (price - next) / Q96, next]
}

function ceilDivide(number, divisor) {
  return (number + divisor - 1n) / divisor
}

async function swap(router, pool, token0, token1) {
  step('Uniswap V3: Bob swaps 50 of the first token')
  const paid = parseEther('50')
  const { sqrtPriceX96 } = await pool.slot0()
  const [expected, price] = amountOut(paid, await pool.liquidity(), sqrtPriceX96)
  const before = [await token0.balanceOf(bob), await token1.balanceOf(bob)]
  await final(token0.connect(bob).approve(router, paid))
  await final(router.connect(bob).exactInputSingle({
    tokenIn: token0, tokenOut: token1, fee: FEE, recipient: bob, deadline: MaxUint256,
    amountIn: paid, amountOutMinimum: expected, sqrtPriceLimitX96: 0n,
  }))
  checkAmount('first token that Bob paid', before[0] - await token0.balanceOf(bob), paid)
  checkAmount('second token that Bob got', await token1.balanceOf(bob) - before[1], expected)
  check('price', (await pool.slot0()).sqrtPriceX96, price)
  return paid
}

async function collectFees(positions, pool, position, token0, paid) {
  step('Uniswap V3: Alice collects the fees')
  const liquidity = await pool.liquidity()
  const fee = paid - paid * (1_000_000n - FEE) / 1_000_000n
  const perUnit = fee * Q128 / liquidity
  const before = await token0.balanceOf(alice)
  const all = 2n ** 128n - 1n
  await final(positions.collect({ tokenId: position, recipient: alice, amount0Max: all, amount1Max: all }))
  checkAmount('first token that Alice got', await token0.balanceOf(alice) - before, perUnit * liquidity / Q128)
}
