// What is not there, and paths that make no sense: a page of the explorer with the right status that helps on.

import assert from "node:assert/strict";
import { NARROW, Tab, facts, ok, textOf, withBrowser } from "./browser.mjs";
import { assertContrast, assertFits, assertLabelled } from "./layout.mjs";

const hash = `0x${"34".repeat(32)}`;
const unknown = [
  ["/block/999999999", 404],
  [`/block/${hash}`, 404],
  [`/tx/${hash}`, 404],
  ["/validator/99", 404],
  ["/nothing/here", 404],
  ["/favicon.txt", 404],
  ["/block/abc", 400, 404],
  ["/block/-1", 400, 404],
  ["/block/99999999999999999999999999", 400, 404],
  ["/tx/0x12", 400, 404],
  ["/tx/%3Cscript%3Ealert('path')%3C%2Fscript%3E", 400, 404],
  ["/address/0x12", 400, 404],
  ["/address/0xzz00000000000000000000000000000000000000", 400, 404],
  ["/address/%22%3E%3Cimg%20src=x%20onerror=alert(5)%3E", 400, 404],
  [`/token/${facts.addresses.empty}`, 200, 404],
  [`/token/${facts.addresses.counter}`, 200, 404],
  ["/validator/node0x", 400, 404],
  ["/validator/-1", 400, 404],
  ["/blocks?before=abc", 400, 404],
  ["/blocks?before=-5", 400, 404],
  ["/blocks?before=99999999999999999999999999", 400, 404],
  ["/txs?before=nonsense%00", 400, 404],
  [`/address/${facts.addresses.sender}?before=nonsense`, 400, 404],
  ["/blocks?before=0", 200, 400, 404],
];

await withBrowser(async (browser) => {
  const tab = await Tab.open(browser, { viewport: NARROW });
  for (const [path, ...statuses] of unknown) {
    // Which of the two is a matter of taste; that it is asked for first is not.
    const told = await fetch(new URL(path, facts.explorer), { redirect: "manual" });
    await told.text();
    assert.ok(statuses.includes(told.status), `${path} is answered with ${told.status}, expected ${statuses}`);
    await tab.go(path, told.status);
    const text = await textOf(tab.page);
    assert.ok(text.length > 100, `${path} is answered with advice, not with "${text}"`);
    const ways = await tab.page.locator("main a[href]").count();
    assert.ok(ways > 0, `${path}: there is a way to go on from the page`);
    await assertFits(tab.page, path);
    await assertContrast(tab.page, path);
    await assertLabelled(tab.page, path);
    tab.clean(path);
    ok(`${path.slice(0, 50)} -> ${told.status}`);
  }
  // A path that goes up leads nowhere else.
  const up = await fetch(new URL("/assets/%2e%2e%2f%2e%2e%2fetc%2fpasswd", facts.explorer));
  assert.doesNotMatch(await up.text(), /root:/);
  assert.equal(up.status, 404);
  ok("no file of the machine is served");
  await tab.close();
});
