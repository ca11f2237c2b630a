// A market of Aave V3: Alice supplies dollars, Bob borrows some of them against gold, Carol liquidates him.
import { Contract, MaxUint256, parseUnits } from 'ethers'
import { accounts, check, checkAmount, checkRefused, connect, final, provider, step, until } from '../lib/chain.js'
import { deployMarket, newPrice, newToken } from './market.js'
import { RAY, compoundedInterest, linearInterest, percentMul, rayDiv, rayMul } from './math.js'

const [, alice, bob, carol] = accounts
const VARIABLE_RATE = 2
// Numbers of Aave's errors.
const [COLLATERAL_CANNOT_COVER_NEW_BORROW, HEALTH_FACTOR_NOT_BELOW_THRESHOLD] = ['36', '45']

// Dollars are lent out: at 80% of use for 40% a year, of which a tenth is the market's. Gold is security for three
// quarters of its value, until the debt is four fifths of it; who liquidates then gets 5% more than they pay.
const curve = { optimalUsage: RAY * 8n / 10n, slopeBelow: RAY * 4n / 10n, slopeAbove: RAY, reserveFactor: 1_000n }
const collateral = { loanToValue: 7_500n, threshold: 8_000n, bonus: 10_500n }

const usd = (amount) => parseUnits(amount, 6)
const ounces = (amount) => parseUnits(amount, 18)

await connect()
step('Two tokens with prices: dollars for 1, gold for 2000 an ounce')
const dollars = await newToken('Dollars of a bank', 'USD', 6)
const gold = await newToken('Gold in a vault', 'GOLD', 18)
const assets = [{ token: dollars, price: await newPrice('1') }, { token: gold, price: await newPrice('2000'), collateral }]

step('The market')
const { pool, oracle } = await deployMarket(assets, curve)
// What is supplied and what is owed are tokens themselves, whose balances grow.
const growing = ['balanceOf', 'scaledBalanceOf'].map((name) => `function ${name}(address) view returns (uint256)`)
const { aTokenAddress, variableDebtTokenAddress } = await pool.getReserveData(dollars)
const claims = new Contract(aTokenAddress, growing, provider)
const debts = claims.attach(variableDebtTokenAddress)
const pledges = claims.attach((await pool.getReserveData(gold)).aTokenAddress)

await supply()
await borrow()
await interest()
await repay()
await liquidate()
await leave()
console.log('\nAll balances are right.')

async function supply() {
  step('Alice supplies 10000 dollars, Bob 5 ounces of gold')
  for (const [who, token, amount] of [[alice, dollars, usd('10000')], [bob, gold, ounces('5')]]) {
    await final(token['mint(address,uint256)'](who, amount))
    await final(token.connect(who).approve(pool, MaxUint256))
    await final(pool.connect(who).supply(token, amount, who, 0))
  }
  checkAmount('claims of Alice', await claims.balanceOf(alice), usd('10000'), 6)
  checkAmount('pledges of Bob', await pledges.balanceOf(bob), ounces('5'))
  checkAmount('dollars of Alice', await dollars.balanceOf(alice), 0n, 6)
}

async function borrow() {
  step('Bob borrows 7000 dollars; more than 7500 is refused')
  const method = pool.connect(bob).borrow
  await checkRefused('8000 dollars', COLLATERAL_CANNOT_COVER_NEW_BORROW, method, dollars, usd('8000'), VARIABLE_RATE, 0, bob)
  await final(method(dollars, usd('7000'), VARIABLE_RATE, 0, bob))
  checkAmount('dollars of Bob', await dollars.balanceOf(bob), usd('7000'), 6)
  const { currentVariableBorrowRate, currentLiquidityRate } = await pool.getReserveData(dollars)
  const use = RAY * 7n / 10n
  const rate = rayDiv(rayMul(curve.slopeBelow, use), curve.optimalUsage)
  checkAmount('rate that Bob pays', currentVariableBorrowRate, rate, 27)
  checkAmount('rate that Alice gets', currentLiquidityRate, percentMul(rayMul(rate, use), 10_000n - curve.reserveFactor), 27)
}

// What a debt and a claim grow to from the last change of the reserve to a block, as factors.
function growth(reserve, { timestamp }) {
  const seconds = BigInt(timestamp) - reserve.lastUpdateTimestamp
  return {
    debt: rayMul(compoundedInterest(reserve.currentVariableBorrowRate, seconds), reserve.variableBorrowIndex),
    claim: rayMul(linearInterest(reserve.currentLiquidityRate, seconds), reserve.liquidityIndex),
  }
}

async function interest() {
  step('Seconds pass')
  const reserve = await pool.getReserveData(dollars)
  let block
  await until('three seconds later', async () => {
    block = await provider.getBlock('latest')
    return BigInt(block.timestamp) >= reserve.lastUpdateTimestamp + 3n
  })
  const now = { blockTag: block.number }
  const { debt, claim } = growth(reserve, block)
  const [owed, owned] = [await debts.balanceOf(bob, now), await claims.balanceOf(alice, now)]
  checkAmount('debt of Bob', owed, rayMul(await debts.scaledBalanceOf(bob, now), debt), 6)
  checkAmount('claims of Alice', owned, rayMul(await claims.scaledBalanceOf(alice, now), claim), 6)
  check('both have grown', [owed > usd('7000'), owned > usd('10000')], [true, true])
}

// The block of a transaction that Bob or Carol pays back with, and what the debt is worth in it.
async function afterPayment(transaction) {
  const before = await pool.getReserveData(dollars)
  const scaled = await debts.scaledBalanceOf(bob)
  const receipt = await final(transaction())
  const { debt } = growth(before, await receipt.getBlock())
  const after = await pool.getReserveData(dollars)
  checkAmount('index of debts', after.variableBorrowIndex, debt, 27)
  return { scaled, debt }
}

async function repay() {
  step('Bob pays 3000 dollars back')
  await final(dollars.connect(bob).approve(pool, MaxUint256))
  const { scaled, debt } = await afterPayment(() => pool.connect(bob).repay(dollars, usd('3000'), VARIABLE_RATE, bob))
  checkAmount('dollars of Bob', await dollars.balanceOf(bob), usd('4000'), 6)
  const left = await debts.scaledBalanceOf(bob)
  check('debt of Bob without interest', left, scaled - rayDiv(usd('3000'), debt))
}

async function liquidate() {
  step('Gold falls to 900; Carol pays 1000 dollars of what Bob owes and takes gold for it')
  await final(dollars['mint(address,uint256)'](carol, usd('1000')))
  await final(dollars.connect(carol).approve(pool, MaxUint256))
  const method = pool.connect(carol).liquidationCall
  const call = [gold, dollars, bob, usd('1000'), false]
  await checkRefused('liquidation while Bob is healthy', HEALTH_FACTOR_NOT_BELOW_THRESHOLD, method, ...call)
  await final(oracle.setAssetSources([gold], [await newPrice('900')]))
  const { healthFactor } = await pool.getUserAccountData(bob)
  check('Bob is healthy', healthFactor >= parseUnits('1', 18), false)

  const { scaled, debt } = await afterPayment(() => method(...call))
  const taken = percentMul(ounces('1000') / 900n, collateral.bonus)
  checkAmount('gold of Carol', await gold.balanceOf(carol), taken)
  checkAmount('dollars of Carol', await dollars.balanceOf(carol), 0n, 6)
  checkAmount('pledges of Bob', await pledges.balanceOf(bob), ounces('5') - taken)
  check('debt of Bob without interest', await debts.scaledBalanceOf(bob), scaled - rayDiv(usd('1000'), debt))
}

async function leave() {
  step('Bob pays everything and takes his gold, Alice takes her dollars')
  const gilded = await pledges.balanceOf(bob)
  const { scaled, debt } = await afterPayment(() => pool.connect(bob).repay(dollars, MaxUint256, VARIABLE_RATE, bob))
  const had = await dollars.balanceOf(bob)
  checkAmount('dollars of Bob', had, usd('4000') - rayMul(scaled, debt), 6)
  checkAmount('debt of Bob', await debts.balanceOf(bob), 0n, 6)
  await final(pool.connect(bob).withdraw(gold, MaxUint256, bob))
  checkAmount('gold of Bob', await gold.balanceOf(bob), gilded)

  const owned = await claims.scaledBalanceOf(alice)
  await final(pool.connect(alice).withdraw(dollars, MaxUint256, alice))
  const { liquidityIndex } = await pool.getReserveData(dollars)
  const got = await dollars.balanceOf(alice)
  checkAmount('dollars of Alice', got, rayMul(owned, liquidityIndex), 6)
  check('claims of Alice', await claims.balanceOf(alice), 0n)
  // Bob borrowed 7000, paid 3000 and 4000 less what he has left; Carol paid 1000 for him.
  const interest = usd('1000') - had
  checkAmount('what is left for the market of the interest', await dollars.balanceOf(claims), interest - (got - usd('10000')), 6)
}
