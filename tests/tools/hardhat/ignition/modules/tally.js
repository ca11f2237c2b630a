// What Ignition deploys and then calls.
import { buildModule } from '@nomicfoundation/hardhat-ignition/modules'

export default buildModule('Tally', (module) => {
  const tally = module.contract('Tally', [module.getParameter('start', 5n)])
  module.call(tally, 'count', [7n])
  return { tally }
})
