// A project of Hardhat 3 as its users have it, with the network of RPC_URL. The compiler is npm's, because Hardhat's own
// would be fetched from elsewhere.
import { fileURLToPath } from 'node:url'
import ethers from '@nomicfoundation/hardhat-ethers'
import ignition from '@nomicfoundation/hardhat-ignition-ethers'

export default {
  plugins: [ethers, ignition],
  solidity: {
    version: '0.8.30',
    path: fileURLToPath(import.meta.resolve('solc/soljson.js')),
    settings: { evmVersion: 'shanghai', optimizer: { enabled: true } },
  },
  networks: {
    assent: { type: 'http', chainType: 'l1', url: process.env.RPC_URL, accounts: process.env.PRIVATE_KEYS.split(',') },
  },
}
