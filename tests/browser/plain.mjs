// Without JavaScript every page shows the same, and search and paging work.

import assert from "node:assert/strict";
import { NARROW, Tab, assertShows, facts, ok, pages, textOf, withBrowser } from "./browser.mjs";
import { assertFits } from "./layout.mjs";

await withBrowser(async (browser) => {
  for (const viewport of [undefined, NARROW]) {
    const tab = await Tab.open(browser, { javaScriptEnabled: false, viewport });
    for (const { name, path, text, status } of pages()) {
      await tab.go(path, status ?? 200);
      assertShows(await textOf(tab.page), text, `${name} without JavaScript`);
      await assertFits(tab.page, `${name} without JavaScript`);
      tab.clean(`${name} without JavaScript`);
    }
    await tab.close();
    ok(`${pages().length} pages without JavaScript, ${viewport ? "narrow" : "wide"}`);
  }

  const tab = await Tab.open(browser, { javaScriptEnabled: false });
  await tab.go("/");
  const field = tab.page.getByRole("searchbox").first();
  await field.fill(facts.transactions.transfer);
  await tab.page.getByRole("button", { name: "Search" }).first().click();
  await tab.page.waitForURL(`**/tx/${facts.transactions.transfer}`);
  ok("search without JavaScript");

  const scripts = await tab.page.locator("script:not([src])").count();
  const handlers = await tab.page.locator("[onclick], [onload], [onerror], [style]").count();
  assert.deepEqual([scripts, handlers], [0, 0], "neither scripts nor styles stand in the page itself");
  tab.clean("search without JavaScript");
  await tab.close();
});
