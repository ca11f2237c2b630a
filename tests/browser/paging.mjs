// From page to page through everything that an address did: each transaction once, the newest first, none left out.

import assert from "node:assert/strict";
import { Tab, facts, ok, until, withBrowser } from "./browser.mjs";
import { assertFits } from "./layout.mjs";

const { address, count } = facts.crowd;

/** Follows the links to older entries from within the page, over `most` pages; what each of them lists. */
async function collect(page, start, kind, most) {
  return page.evaluate(
    async ({ start, kind, most }) => {
      const lists = [];
      for (let at = start; at && lists.length < most; ) {
        const answer = await fetch(at);
        if (!answer.ok) throw new Error(`${at} is answered with ${answer.status}`);
        const document = new DOMParser().parseFromString(await answer.text(), "text/html");
        const rows = [...document.querySelectorAll("main tbody tr")];
        const first = (row) => row.querySelector(`a[href^="/${kind}/"]`)?.getAttribute("href");
        lists.push(rows.map(first).filter(Boolean));
        at = document.querySelector('main a[rel~="next"]')?.getAttribute("href");
        if (at) at = new URL(at, new URL(answer.url)).href;
      }
      return lists;
    },
    { start, kind, most },
  );
}

await withBrowser(async (browser) => {
  const tab = await Tab.open(browser);
  const start = Date.now();
  await tab.go(`/address/${address}`);
  assert.ok(Date.now() - start < 5_000, "the page of a busy address comes soon");
  const lists = await collect(tab.page, `/address/${address}`, "tx", 10_000);
  const all = lists.flat();
  assert.equal(new Set(all).size, count, "each transaction of the address is listed");
  assert.equal(all.length, count, "and none of them twice");
  const longest = Math.max(...lists.map((list) => list.length));
  assert.ok(longest <= 200, `a page lists ${longest} transactions`);
  ok(`${count} transactions of an address on ${lists.length} pages`);

  // As a reader does it: older, older, back, newest.
  const listed = () => tab.page.locator('main tbody a[href^="/tx/"]').first().getAttribute("href");
  const first = await listed();
  for (const page of [1, 2]) {
    const before = tab.page.url();
    await tab.page.getByRole("link", { name: /older/i }).first().click();
    await until("the next page", async () => tab.page.url() !== before);
    assert.equal(await listed(), lists[page][0], `page ${page + 1} begins where the last one ended`);
    await assertFits(tab.page, `page ${page + 1}`);
  }
  await tab.page.goBack();
  assert.equal(await listed(), lists[1][0], "the browser's way back works");
  await tab.page.getByRole("link", { name: /newest/i }).first().click();
  await until("the first page", async () => (await listed()) === first);
  ok("older, back, newest");

  const blocks = (await collect(tab.page, "/blocks", "block", 5)).flat().map((href) => Number(href.slice(7)));
  assert.ok(blocks.length > 20, "there are several pages of blocks");
  assert.ok(blocks.every((block, i) => i === 0 || block === blocks[i - 1] - 1), "blocks come one after the other");
  ok(`${blocks.length} blocks, one after the other`);

  const latest = (await collect(tab.page, "/txs", "tx", 5)).flat();
  assert.equal(new Set(latest).size, latest.length, "no transaction is listed twice");
  assert.ok(latest.length > 20, "there are several pages of transactions");
  ok(`${latest.length} transactions, none twice`);
  tab.clean("paging");
  await tab.close();
});
