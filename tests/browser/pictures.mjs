// The pictures of the README: the overview, a block and the validators, small enough for a repository.

import assert from "node:assert/strict";
import { mkdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { Tab, facts, ok, withBrowser } from "./browser.mjs";

const MOST_BYTES = 150_000;
const folder = process.env.SCREENSHOTS;
assert.ok(folder, "SCREENSHOTS names a folder");
await mkdir(folder, { recursive: true });

/** The number of the last block with some transactions: one with none makes no picture. */
async function busyBlock() {
  const ask = async (number) => {
    const call = { jsonrpc: "2.0", id: 1, method: "eth_getBlockByNumber", params: [number, false] };
    const headers = { "content-type": "application/json" };
    const answer = await fetch(facts.rpc, { method: "POST", headers, body: JSON.stringify(call) });
    return (await answer.json()).result;
  };
  let block = await ask("latest");
  while (block.transactions.length < 4) {
    assert.notEqual(block.number, "0x0", "a block has four transactions");
    block = await ask(`0x${(Number(block.number) - 1).toString(16)}`);
  }
  return Number(block.number);
}

await withBrowser(async (browser) => {
  const tab = await Tab.open(browser, { viewport: { width: 1120, height: 760 } });
  for (const [name, path] of [
    ["home", "/"],
    ["block", `/block/${await busyBlock()}`],
    ["validators", "/validators"],
  ]) {
    await tab.go(path);
    const file = join(folder, `${name}.png`);
    await tab.page.screenshot({ path: file });
    const { size } = await stat(file);
    assert.ok(size < MOST_BYTES, `${name}.png has ${size} bytes, at most ${MOST_BYTES} are wanted`);
    tab.clean(path);
    ok(`${name}.png, ${size} bytes`);
  }
  await tab.close();
});
