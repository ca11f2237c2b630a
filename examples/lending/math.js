// The arithmetic of Aave V3: fractions of 10^27 (a ray) and of 10^4 (a percentage), rounded half up.

export const RAY = 10n ** 27n
const YEAR = 365n * 24n * 3600n

export function rayMul(a, b) {
  return (a * b + RAY / 2n) / RAY
}

export function rayDiv(a, b) {
  return (a * RAY + b / 2n) / b
}

export function percentMul(value, percentage) {
  return (value * percentage + 5_000n) / 10_000n
}

// What one unit of a supply becomes at this yearly rate.
export function linearInterest(rate, seconds) {
  return RAY + rate * seconds / YEAR
}

// What one unit of a debt becomes: the first terms of (1 + rate / year) to the power of the seconds.
export function compoundedInterest(rate, seconds) {
  if (seconds === 0n) {
    return RAY
  }
  const [one, two] = [seconds - 1n, seconds > 2n ? seconds - 2n : 0n]
  const square = rayMul(rate, rate) / (YEAR * YEAR)
  const cube = rayMul(square, rate) / YEAR
  return RAY + rate * seconds / YEAR + seconds * one * square / 2n + seconds * one * two * cube / 6n
}
