// What all programs check with.

// One line for each thing that was checked; the first that is wrong ends the process.
export const same = (what, got, expected) => {
  const text = (value) => JSON.stringify(value, (_, part) => (typeof part === 'bigint' ? `${part}` : part))
  if (text(got) !== text(expected)) throw new Error(`${what}: expected ${text(expected)}, got ${text(got)}`)
  console.log(`ok  ${what}`)
}
export const fails = async (what, part, attempt) => {
  const error = await attempt().then(
    (value) => new Error(`it did not fail, but gave ${value}`),
    (error) => error,
  )
  const seen = [error.message, error.shortMessage, error.reason, error.revert?.name, error.details].join(' ')
  if (!seen.includes(part)) throw new Error(`${what}: expected ${part}, got ${seen}`)
  console.log(`ok  ${what}`)
}

// Looks again and again until there is something to see; what it saw.
export const until = async (what, look, limit = 30_000) => {
  const end = Date.now() + limit
  for (;;) {
    const seen = await look()
    if (seen !== undefined && seen !== null && seen !== false) return seen
    if (Date.now() > end) throw new Error(`waited ${limit} ms in vain: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
