// The one search field: block number, hash, address, validator; and what cannot be found is answered with advice.

import assert from "node:assert/strict";
import { Tab, assertShows, facts, ok, textOf, withBrowser } from "./browser.mjs";
import { assertFits } from "./layout.mjs";

const { addresses, transactions, block, validators } = facts;
const nobody = `0x${"12".repeat(32)}`;

/** What is looked for, and the path where the answer is. */
const found = [
  [String(block.number), `/block/${block.number}`],
  ["0", "/block/0"],
  [`  ${block.number}  `, `/block/${block.number}`],
  [block.hash, `/block/`],
  [transactions.transfer, `/tx/${transactions.transfer}`],
  [transactions.transfer.toUpperCase().replace("0X", "0x"), `/tx/${transactions.transfer}`],
  [addresses.token, `/address/${addresses.token}`],
  [addresses.token.toUpperCase().replace("0X", "0x"), `/address/${addresses.token}`],
  [addresses.empty, `/address/${addresses.empty}`],
  [validators[1], "/validator/1"],
];

/** What is nowhere. Each is answered with a page that says so, names what was looked for, and offers the field again. */
const missing = [
  "garbage",
  "999999999",
  "123456789012345678901234567890",
  "-1",
  "0x",
  nobody,
  "<script>alert('search')</script>",
  "' OR 1=1 --",
  "\"><img src=x onerror=alert(4)>",
  "../../etc/passwd",
  "%00%ff%",
  "ключ 鍵 🔑",
];

await withBrowser(async (browser) => {
  const tab = await Tab.open(browser);
  for (const [words, path] of found) {
    await tab.go("/");
    const field = tab.page.getByRole("searchbox").first();
    await field.fill(words);
    await Promise.all([tab.page.waitForURL(/\/(block|tx|address|validator)\//), field.press("Enter")]);
    const at = new URL(tab.page.url()).pathname.toLowerCase();
    assert.ok(at.startsWith(path.toLowerCase()), `${words} leads to ${path}, not to ${at}`);
    tab.clean(`the search for ${words}`);
    ok(`search finds ${words.trim().slice(0, 20)}`);
  }
  assertShows(await textOf(tab.page), validators[1], "the page of a validator");

  for (const words of missing) {
    await tab.go(`/search?q=${encodeURIComponent(words)}`, 404);
    const text = await textOf(tab.page);
    assertShows(text, /block/i, `the answer to ${words}`);
    // What is long is shortened, and numbers may stand in groups.
    assertShows(text.replaceAll(",", ""), words.trim().slice(0, 10), `the answer to ${words}`);
    assert.ok((await tab.page.getByRole("searchbox").count()) > 0, "the field is offered again");
    await assertFits(tab.page, `the answer to ${words}`);
    tab.clean(`the search for ${words}`);
    ok(`search does not find ${words.slice(0, 20)}`);
  }

  // Nothing, and far too much: whatever the status, a page with advice.
  for (const words of ["", "   ", "9".repeat(4_000), "x".repeat(4_000)]) {
    const answer = await tab.page.goto(new URL(`/search?q=${encodeURIComponent(words)}`, facts.explorer).href);
    assert.ok([200, 400, 404].includes(answer.status()), `${words.length} characters: ${answer.status()}`);
    await assertFits(tab.page, `the answer to ${words.length} characters`);
    assert.ok((await tab.page.getByRole("searchbox").count()) > 0, "the field is offered again");
  }
  ok("search for nothing and for too much");
  await tab.close();
});
