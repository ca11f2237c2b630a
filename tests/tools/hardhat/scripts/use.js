// The plugins of Hardhat against the network: deploy, send, wait, events, reverts, types of transactions, Ignition.
import { readFileSync } from 'node:fs'
import { network } from 'hardhat'
import tallyModule from '../ignition/modules/tally.js'
import { fails, same } from '../../checks.mjs'

const { ethers, ignition, provider, networkName } = await network.create()
same('the network', networkName, 'assent')
const signers = await ethers.getSigners()
const wallet = signers[7]
same('an account for each key', signers.length, process.env.PRIVATE_KEYS.split(',').length)

const tally = await ethers.deployContract('Tally', [5], wallet)
await tally.waitForDeployment()
const birth = (await tally.deploymentTransaction().wait()).blockNumber
same('deploy', await tally.total(), 5n)

const receipt = await (await tally.count(7)).wait()
same('send and wait', [receipt.status, await tally.total()], [1, 12n])
const events = await tally.queryFilter(tally.filters.Counted(wallet.address), birth)
same('events', events.map((event) => event.args.total), [12n])
same('an old block', await tally.total({ blockTag: receipt.blockNumber - 1 }), 5n)

await fails('revert with a reason', 'nothing to count', () => tally.count(0))
const refused = await tally.count(1001).catch((error) => error)
const { name, args } = tally.interface.parseError(refused.data)
same('revert with a custom error', [name, args.toArray()], ['TooMuch', [1000n, 1001n]])
await fails('panic', 'division or modulo by zero', () => tally.share(0))

for (const [type, fees] of [{ gasPrice: 0 }, { gasPrice: 0, accessList: [] }, { maxFeePerGas: 0, maxPriorityFeePerGas: 0 }].entries()) {
  const sent = await wallet.sendTransaction({ to: ethers.ZeroAddress, value: 1, ...fees })
  same(`a transaction of type ${type}`, [(await sent.wait()).status, sent.type], [1, type])
}
same('a gas estimate', await provider.request({ method: 'eth_estimateGas', params: [{ from: wallet.address, to: ethers.ZeroAddress }] }), '0x5208')

const deployed = await ignition.deploy(tallyModule, { deploymentId: 'script', parameters: { Tally: { start: 100n } }, defaultSender: signers[8].address })
same('Ignition from a script', await deployed.tally.total(), 107n)

const addresses = JSON.parse(readFileSync(new URL(`../ignition/deployments/chain-${(await ethers.provider.getNetwork()).chainId}/deployed_addresses.json`, import.meta.url)))
const byCommand = await ethers.getContractAt('Tally', addresses['Tally#Tally'])
same('Ignition from the command line', await byCommand.total(), 12n)
