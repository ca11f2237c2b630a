// Deploys a market of Aave V3 with its admin, prices, pool and reserves, as Aave's own deployment does.
import { createRequire } from 'node:module'
import { Contract, ZeroAddress, parseUnits } from 'ethers'
import { accounts, deploy, final } from '../lib/chain.js'

const require = createRequire(import.meta.url)
const [admin] = accounts

// The package has its bytecode in classes for an older ethers. What is needed of them are two fields and, where the
// bytecode leaves the addresses of libraries open, the function that writes them into it.
function aave(path, libraries) {
  const name = path.split('/').pop()
  const { [`${name}__factory`]: made } = require(`@aave/core-v3/dist/types/factories/${path}__factory.js`)
  return { abi: made.abi, bytecode: libraries ? made.linkBytecode(libraries) : made.bytecode }
}

function deployAave(path, args, libraries) {
  return deploy(path.split('/').pop(), aave(path, libraries), args)
}

export function newToken(name, symbol, decimals) {
  return deployAave('mocks/tokens/MintableERC20', [name, symbol, decimals])
}

// A source of prices that always tells the same, in dollars with 8 decimals.
export function newPrice(dollars) {
  return deployAave('mocks/oracle/CLAggregators/MockAggregator', [parseUnits(dollars, 8)])
}

// `assets` are `{ token, price, collateral }`; those without `collateral` can be borrowed.
export async function deployMarket(assets, curve) {
  const addresses = await deployAave('protocol/configuration/PoolAddressesProvider', ['Consortium market', admin.address])
  await final(addresses.setACLAdmin(admin))
  const roles = await deployAave('protocol/configuration/ACLManager', [addresses.target])
  await final(addresses.setACLManager(roles))
  await final(roles.addPoolAdmin(admin))

  const tokens = assets.map(({ token }) => token.target)
  const sources = assets.map(({ price }) => price.target)
  const unit = parseUnits('1', 8)
  const oracle = await deployAave('misc/AaveOracle', [addresses.target, tokens, sources, ZeroAddress, ZeroAddress, unit])
  await final(addresses.setPriceOracle(oracle))

  const pool = await deployPool(addresses)
  const configurator = await deployConfigurator(addresses)
  await openReserves(addresses, pool, configurator, assets, curve)
  return { pool, oracle }
}

// Pool and configurator are proxies, which the provider of addresses makes for the implementations that it is told.
async function deployPool(addresses) {
  const libraries = await deployLibraries()
  const pool = await deployAave('protocol/pool/Pool', [addresses.target], libraries)
  await final(pool.initialize(addresses))
  await final(addresses.setPoolImpl(pool))
  return new Contract(await addresses.getPool(), pool.interface, admin)
}

async function deployConfigurator(addresses) {
  const logic = await deployLibrary('ConfiguratorLogic')
  const configurator = await deployAave('protocol/pool/PoolConfigurator', [], logic)
  await final(configurator.initialize(addresses))
  await final(addresses.setPoolConfiguratorImpl(configurator))
  return new Contract(await addresses.getPoolConfigurator(), configurator.interface, admin)
}

// Returns the address of a library under the name that the bytecode of others has for it.
async function deployLibrary(name, libraries) {
  const { target } = await deployAave(`protocol/libraries/logic/${name}`, [], libraries)
  return { [`contracts/protocol/libraries/logic/${name}.sol:${name}`]: target }
}

async function deployLibraries() {
  const borrow = await deployLibrary('BorrowLogic')
  const libraries = { ...borrow, ...(await deployLibrary('FlashLoanLogic', borrow)) }
  for (const name of ['BridgeLogic', 'EModeLogic', 'LiquidationLogic', 'PoolLogic', 'SupplyLogic']) {
    Object.assign(libraries, await deployLibrary(name))
  }
  return libraries
}

async function openReserves(addresses, pool, configurator, assets, curve) {
  const aToken = await deployAave('protocol/tokenization/AToken', [pool.target])
  const stableDebt = await deployAave('protocol/tokenization/StableDebtToken', [pool.target])
  const variableDebt = await deployAave('protocol/tokenization/VariableDebtToken', [pool.target])
  const { optimalUsage, slopeBelow, slopeAbove, reserveFactor } = curve
  const strategy = await deployAave('protocol/pool/DefaultReserveInterestRateStrategy', [
    addresses.target, optimalUsage, 0n, slopeBelow, slopeAbove, 0n, 0n, 0n, 0n, 0n,
  ])
  const inputs = await Promise.all(assets.map(async ({ token }) => {
    const symbol = await token.symbol()
    return {
      aTokenImpl: aToken, stableDebtTokenImpl: stableDebt, variableDebtTokenImpl: variableDebt,
      underlyingAssetDecimals: await token.decimals(), interestRateStrategyAddress: strategy, underlyingAsset: token,
      treasury: admin, incentivesController: ZeroAddress,
      aTokenName: `Supplied ${symbol}`, aTokenSymbol: `a${symbol}`,
      variableDebtTokenName: `Borrowed ${symbol}`, variableDebtTokenSymbol: `d${symbol}`,
      stableDebtTokenName: `Borrowed ${symbol} at a stable rate`, stableDebtTokenSymbol: `s${symbol}`, params: '0x',
    }
  }))
  await final(configurator.initReserves(inputs))
  for (const { token, collateral } of assets) {
    if (collateral) {
      const { loanToValue, threshold, bonus } = collateral
      await final(configurator.configureReserveAsCollateral(token, loanToValue, threshold, bonus))
    } else {
      await final(configurator.setReserveBorrowing(token, true))
      await final(configurator.setReserveFactor(token, reserveFactor))
    }
  }
}
