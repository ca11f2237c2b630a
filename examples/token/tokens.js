// An ERC-20, an ERC-721 and an ERC-1155: deploy, mint, transfer, with and without permission.
import { Signature, parseEther } from 'ethers'
import { accounts, check, checkAmount, checkRefused, deploy, final, provider, step } from '../lib/chain.js'

const [alice, bob, carol] = accounts

// The ERC-20 keeps its balances for the vote: 600 of Alice, 300 of Bob, 100 of Carol.
export async function shares(contracts) {
  step('ERC-20: shares')
  const share = await deploy('Share', contracts.Share, [alice.address])
  const minted = await final(share.mint(alice, parseEther('1000')))
  check('events of the mint', minted.logs.map((log) => share.interface.parseLog(log).name), ['Transfer'])
  await final(share.transfer(bob, parseEther('350')))
  checkAmount('balance of Alice', await share.balanceOf(alice), parseEther('650'))
  checkAmount('balance of Bob', await share.balanceOf(bob), parseEther('350'))
  await checkRefused('a mint by Bob', 'OwnableUnauthorizedAccount', share.connect(bob).mint, bob, 1n)
  await checkRefused('more than Bob has', 'ERC20InsufficientBalance', share.connect(bob).transfer, alice, parseEther('351'))

  step('ERC-20: an allowance by transaction, another by signature')
  await final(share.connect(bob).approve(carol, parseEther('60')))
  await final(share.connect(carol).transferFrom(bob, carol, parseEther('50')))
  checkAmount('what Carol may still take from Bob', await share.allowance(bob, carol), parseEther('10'))
  const signature = await permit(share, alice, carol, parseEther('50'))
  const { v, r, s } = Signature.from(signature)
  await final(share.connect(carol).permit(alice, carol, parseEther('50'), 2n ** 64n, v, r, s))
  await final(share.connect(carol).transferFrom(alice, carol, parseEther('50')))
  checkAmount('balance of Alice', await share.balanceOf(alice), parseEther('600'))
  checkAmount('balance of Bob', await share.balanceOf(bob), parseEther('300'))
  checkAmount('balance of Carol', await share.balanceOf(carol), parseEther('100'))
  checkAmount('all shares', await share.totalSupply(), parseEther('1000'))
  const transfers = await share.queryFilter(share.filters.Transfer(null, carol))
  check('transfers to Carol in the logs', transfers.map((log) => log.args.from), [bob.address, alice.address])
  return share
}

// Signs, without a transaction, that the spender may take an amount (EIP-2612).
async function permit(share, owner, spender, value) {
  const { chainId } = await provider.getNetwork()
  const domain = { name: await share.name(), version: '1', chainId, verifyingContract: share.target }
  const types = { Permit: ['address owner', 'address spender', 'uint256 value', 'uint256 nonce', 'uint256 deadline'].map(field) }
  const nonce = await share.nonces(owner)
  return owner.signTypedData(domain, types, { owner: owner.address, spender: spender.address, value, nonce, deadline: 2n ** 64n })
}

function field(text) {
  const [type, name] = text.split(' ')
  return { name, type }
}

export async function deeds(contracts) {
  step('ERC-721: deeds')
  const deed = await deploy('Deed', contracts.Deed, [alice.address])
  await final(deed.mint(alice, 1n))
  await final(deed.mint(bob, 2n))
  await final(deed['safeTransferFrom(address,address,uint256)'](alice, carol, 1n))
  check('owner of deed 1', await deed.ownerOf(1n), carol.address)
  check('owner of deed 2', await deed.ownerOf(2n), bob.address)
  check('deeds of Alice, Bob, Carol', await Promise.all([alice, bob, carol].map((who) => deed.balanceOf(who))), [0n, 1n, 1n])
  await checkRefused('a deed that exists', 'ERC721InvalidSender', deed.mint, alice, 1n)
  await checkRefused("Bob's deed, taken by Alice", 'ERC721InsufficientApproval', deed.transferFrom, bob, alice, 2n)
  await final(deed.connect(bob).approve(alice, 2n))
  await final(deed.transferFrom(bob, alice, 2n))
  check('owner of deed 2 after approval', await deed.ownerOf(2n), alice.address)
  await checkRefused('a contract that cannot hold deeds', 'ERC721InvalidReceiver', deed.mint, deed, 3n)
}

export async function goods(contracts) {
  step('ERC-1155: goods')
  const good = await deploy('Goods', contracts.Goods, [alice.address])
  await final(good.mint(alice, [1n, 2n, 3n], [100n, 50n, 1n]))
  await final(good.safeBatchTransferFrom(alice, bob, [1n, 3n], [40n, 1n], '0x'))
  const who = [alice, alice, alice, bob, bob, bob]
  check('goods of Alice and Bob', (await good.balanceOfBatch(who, [1n, 2n, 3n, 1n, 2n, 3n])).toArray(), [60n, 50n, 0n, 40n, 0n, 1n])
  await checkRefused('goods of Bob, taken by Carol', 'ERC1155MissingApprovalForAll', good.connect(carol).safeTransferFrom, bob, carol, 1n, 1n, '0x')
  await final(good.connect(bob).setApprovalForAll(carol, true))
  await final(good.connect(carol).safeTransferFrom(bob, carol, 1n, 15n, '0x'))
  check('good 1 of Bob and Carol', (await good.balanceOfBatch([bob, carol], [1n, 1n])).toArray(), [25n, 15n])
}
