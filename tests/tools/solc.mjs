#!/usr/bin/env node
// The compiler from npm in the dress of the native one, as far as forge asks: --version and --standard-json.
import { readFileSync } from 'node:fs'
import solc from 'solc'

if (process.argv.includes('--version')) {
  console.log(`solc, the solidity compiler commandline interface\nVersion: ${solc.version().replace('.Emscripten.clang', '.Linux.g++')}`)
} else if (process.argv.includes('--standard-json')) {
  process.stdout.write(solc.compile(readFileSync(0, 'utf8')))
} else {
  console.error(`solc.mjs knows --version and --standard-json, got ${process.argv.slice(2).join(' ')}`)
  process.exit(1)
}
