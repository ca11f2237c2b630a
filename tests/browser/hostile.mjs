// What others wrote is shown as it is and does nothing: names of tokens, reasons of reverts, data of transactions.
// A browser that ran any of it would open a dialog; the tab's list of faults has it then.

import assert from "node:assert/strict";
import { NARROW, Tab, WIDE, assertShows, facts, ok, textOf, withBrowser } from "./browser.mjs";
import { assertFits } from "./layout.mjs";

const { addresses, transactions, hostileToken, wideToken } = facts;

/** Elements that only hostile text could have made. */
const PLANTED = "img[src='x'], svg[onload], script:not([src]), a[href^='javascript:'], [onerror], [onload], [onclick]";

const places = [
  [`/token/${addresses.hostileToken}`, [hostileToken.name, hostileToken.symbol]],
  [`/address/${addresses.hostileToken}`, []],
  [`/address/${addresses.hostileToken}/contract`, []],
  [`/address/${addresses.holder}/tokens`, [hostileToken.symbol]],
  [`/tx/${transactions.hostileTransfer}`, []],
  [`/tx/${transactions.hostileReverted}`, ["<svg onload=alert("]],
  [`/tx/${transactions.hostileInput}`, [facts.hostileInput.slice(2, 40)]],
  [`/token/${addresses.wideToken}`, ["WWWWWWWW"]],
  [`/address/${addresses.wideToken}`, []],
  [`/address/${addresses.wideToken}/contract`, []],
  [`/tx/${transactions.wideTransfer}`, []],
  [`/tx/${transactions.wideReverted}`, [wideToken.reason]],
  ["/txs", []],
  ["/", []],
];

await withBrowser(async (browser) => {
  for (const viewport of [WIDE, NARROW]) {
    const tab = await Tab.open(browser, { viewport });
    for (const [path, texts] of places) {
      await tab.go(path);
      const text = await textOf(tab.page);
      for (const wanted of texts) assertShows(text, wanted, path);
      assert.equal(await tab.page.locator(PLANTED).count(), 0, `nothing of what others wrote became part of ${path}`);
      await assertFits(tab.page, `${path} at ${viewport.width} px`);
      tab.clean(path);
    }
    await tab.close();
    ok(`${places.length} pages with hostile text at ${viewport.width} px`);
  }

  // Scripts off: what is shown is in the page as text, too, not only harmless by the policy.
  const answer = await fetch(new URL(`/token/${addresses.hostileToken}`, facts.explorer));
  const source = await answer.text();
  assert.ok(source.includes("&lt;script&gt;alert("), "the name is escaped");
  assert.ok(!source.includes("<script>alert("), "and nowhere written as it is");
  ok("a hostile name is escaped");

  // Text that turns the direction of writing stays within its own element.
  const tab = await Tab.open(browser);
  await tab.go(`/token/${addresses.wideToken}`);
  const loose = await tab.page.evaluate(() => {
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const found = [];
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      if (!node.data.includes("\u202e")) continue;
      const kept = node.parentElement.closest("bdi, [dir=auto]");
      const style = getComputedStyle(node.parentElement).unicodeBidi;
      if (!kept && !/isolate|plaintext/.test(style)) found.push(node.parentElement.outerHTML.slice(0, 80));
    }
    return found;
  });
  assert.deepEqual(loose, [], "characters that turn the direction of text are left out or kept apart");
  ok("direction of text");
  tab.clean("a token with a long name");
  await tab.close();
});
