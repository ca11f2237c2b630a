// Verifies answers of eth_getProof with EthereumJS' trie: against the state root of a header, and that root alone.
import { MerklePatriciaTrie, verifyMPTWithMerkleProof } from '@ethereumjs/mpt'
import { decodeRlp, getBytes, keccak256, toBeHex, zeroPadValue } from 'ethers'

const EMPTY_ROOT = '0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421'

// The value that a proof shows under a key, as hex; null where it shows that there is none. Throws if it is no proof.
const shown = async (root, key, proof) => {
  // A trie without anything needs no node to prove that.
  if (proof.length === 0 && root === EMPTY_ROOT) return null
  const trie = new MerklePatriciaTrie({ useKeyHashing: true })
  const value = await verifyMPTWithMerkleProof(trie, getBytes(root), getBytes(key), proof.map((node) => getBytes(node)))
  return value && '0x' + Buffer.from(value).toString('hex')
}

// What the answer says of an account and its slots, after its proofs have shown the same.
export const verified = async (stateRoot, answer) => {
  const account = await shown(stateRoot, answer.address, answer.accountProof)
  const [nonce, balance, storageHash, codeHash] = account
    ? decodeRlp(account)
    : ['0x', '0x', EMPTY_ROOT, keccak256('0x')]
  const number = (bytes) => (bytes === '0x' ? 0n : BigInt(bytes))
  const told = [BigInt(answer.nonce), BigInt(answer.balance), answer.storageHash, answer.codeHash].join()
  const proven = [number(nonce), number(balance), storageHash, codeHash].join()
  if (told !== proven) throw new Error(`the proof of ${answer.address} shows ${proven}, the answer tells ${told}`)
  const slots = []
  for (const { key, value, proof } of answer.storageProof) {
    const leaf = await shown(storageHash, zeroPadValue(toBeHex(BigInt(key)), 32), proof)
    const held = leaf ? number(decodeRlp(leaf)) : 0n
    if (held !== BigInt(value)) throw new Error(`the proof of slot ${key} shows ${held}, the answer tells ${value}`)
    slots.push(held)
  }
  return { exists: account !== null, nonce: number(nonce), balance: number(balance), codeHash, slots }
}
