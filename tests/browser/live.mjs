// The overview follows the chain without being loaded again, over server-sent events; after a break it follows again.

import assert from "node:assert/strict";
import { Tab, facts, ok, until, withBrowser } from "./browser.mjs";

const spare = [...facts.spare];

/** Sends a transfer that was signed before; its hash. */
async function send() {
  const { hash, raw } = spare.shift();
  const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "eth_sendRawTransaction", params: [raw] });
  const answer = await fetch(facts.rpc, { method: "POST", headers: { "content-type": "application/json" }, body });
  assert.equal((await answer.json()).result, hash, "the node takes the transfer");
  return hash;
}

const shown = (page) => page.locator("[data-head]").first().getAttribute("data-head").then(Number);
const link = (page, hash) => page.locator(`main a[href="/tx/${hash}"]`).first();

await withBrowser(async (browser) => {
  const tab = await Tab.open(browser);
  const streams = [];
  tab.page.on("response", (answer) => {
    if (new URL(answer.url()).pathname === "/live") streams.push(answer);
  });
  await tab.go("/");
  const stream = await until("the page listens at /live", async () => streams[0]);
  assert.equal(stream.status(), 200);
  assert.match((await stream.allHeaders())["content-type"] ?? "", /^text\/event-stream/, "/live is a stream of events");
  ok("the overview listens");

  await tab.page.evaluate(() => (globalThis.loadedOnce = true));
  const before = await shown(tab.page);
  const first = await send();
  await link(tab.page, first).waitFor({ state: "attached" });
  ok("a new transaction appears by itself");
  await until("the number of the last block rises, and the block is in the list", async () => {
    const head = await shown(tab.page);
    return head > before && (await tab.page.locator(`main a[href="/block/${head}"]`).count()) > 0;
  });
  ok("a new block appears by itself");
  assert.equal(await tab.page.evaluate(() => globalThis.loadedOnce), true, "the page was not loaded again");

  const second = await send();
  await link(tab.page, second).waitFor({ state: "attached" });
  ok("and the next one");

  // Two who look at once see the same.
  const other = await Tab.open(browser);
  await other.go("/");
  const third = await send();
  await Promise.all([tab, other].map(({ page }) => link(page, third).waitFor({ state: "attached" })));
  ok("both of two windows follow");
  other.clean("the second window");
  await other.close();

  assert.equal(await tab.page.evaluate(() => globalThis.loadedOnce), true, "the page was not loaded again");
  tab.clean("the overview");
  await tab.close();

  // What happens while there is no network is no fault of the page: the list of faults is left aside here.
  const broken = await Tab.open(browser);
  await broken.go("/");
  await broken.context.setOffline(true);
  const missed = await send();
  await broken.context.setOffline(false);
  await link(broken.page, missed).waitFor({ state: "attached", timeout: 30_000 });
  ok("after a break in the network the page catches up");
  await broken.close();
});
