// Holders of shares vote about the treasury: propose, vote, queue, execute.
import { id, parseEther } from 'ethers'
import { accounts, check, checkAmount, checkRefused, deploy, final, provider, step, until } from '../lib/chain.js'

const [alice, bob, carol, supplier] = accounts
const [AGAINST, FOR] = [0, 1]
const [ACTIVE, DEFEATED, SUCCEEDED, QUEUED, EXECUTED] = [1n, 3n, 4n, 5n, 7n]

// Seconds before the vote begins, while it lasts, and between decision and execution. A real council takes days.
const [votingDelay, votingPeriod, timelock] = [1, 6, 2]

export async function govern(contracts, share) {
  step('Governor: a council of those who have shares, and a treasury that obeys it')
  const treasury = await deploy('Treasury', contracts.Treasury, [timelock, alice.address])
  const council = await deploy('Council', contracts.Council, [share.target, treasury.target, votingDelay, votingPeriod])
  for (const role of ['PROPOSER_ROLE', 'CANCELLER_ROLE', 'EXECUTOR_ROLE']) {
    await final(treasury.grantRole(await treasury[role](), council))
  }
  await final(treasury.renounceRole(await treasury.DEFAULT_ADMIN_ROLE(), alice))
  await final(alice.sendTransaction({ to: treasury, value: parseEther('5') }))
  for (const voter of [alice, bob, carol]) {
    await final(share.connect(voter).delegate(voter))
  }
  checkAmount('votes of Alice', await share.getVotes(alice), parseEther('600'))

  step('Governor: two proposals')
  const pay = { text: 'Pay the supplier 2 ether', action: [[supplier.address], [parseEther('2')], ['0x']] }
  const payAgain = { ...pay, text: 'Pay the supplier again' }
  for (const proposal of [pay, payAgain]) {
    await final(council.propose(...proposal.action, proposal.text))
    proposal.id = await council.hashProposal(...proposal.action, id(proposal.text))
  }
  await until('the beginning of the votes', async () => await council.state(payAgain.id) === ACTIVE)
  await vote(council, pay.id, payAgain.id)
  await until('the end of the votes', async () => await council.state(payAgain.id) !== ACTIVE)
  check('state of the first', await council.state(pay.id), SUCCEEDED)
  check('state of the second, which too few voted for', await council.state(payAgain.id), DEFEATED)

  step('Governor: queue the first, wait for the timelock, execute it')
  await execute(council, pay)
  checkAmount('what the treasury has left', await provider.getBalance(treasury), parseEther('3'))
  const late = [...payAgain.action, id(payAgain.text)]
  await checkRefused('queueing the second', 'GovernorUnexpectedProposalState', council.queue, ...late)
}

// A proposal needs half of the shares.
async function vote(council, first, second) {
  await final(council.castVote(first, FOR))
  await final(council.connect(bob).castVote(first, AGAINST))
  await final(council.connect(carol).castVoteWithReason(first, FOR, 'They delivered'))
  await final(council.connect(bob).castVote(second, FOR))
  await checkRefused('a second vote of Bob', 'GovernorAlreadyCastVote', council.connect(bob).castVote, first, FOR)
  const votes = await council.proposalVotes(first)
  check('votes against, for, abstaining', votes.toArray(), [parseEther('300'), parseEther('700'), 0n])
}

async function execute(council, { text, action, id: proposal }) {
  await final(council.queue(...action, id(text)))
  check('state', await council.state(proposal), QUEUED)
  const ready = await council.proposalEta(proposal)
  await until('the end of the timelock', async () => BigInt((await provider.getBlock('latest')).timestamp) >= ready)
  const before = await provider.getBalance(supplier)
  await final(council.execute(...action, id(text)))
  check('state', await council.state(proposal), EXECUTED)
  checkAmount('what the supplier got', await provider.getBalance(supplier) - before, parseEther('2'))
}
