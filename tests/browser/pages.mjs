// Every page, wide and narrow, light and dark: it shows what it should, fits into the window, can be read, is labelled,
// and nothing out of order happens. Leaves a picture of each in SCREENSHOTS.

import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import assert from "node:assert/strict";
import { NARROW, Tab, WIDE, assertShows, ok, pages, textOf, withBrowser } from "./browser.mjs";
import { assertContrast, assertFits, assertLabelled } from "./layout.mjs";

const folder = process.env.SCREENSHOTS;
assert.ok(folder, "SCREENSHOTS names a folder");
await mkdir(folder, { recursive: true });

const looks = [
  { look: "wide-light", viewport: WIDE, colorScheme: "light" },
  { look: "wide-dark", viewport: WIDE, colorScheme: "dark" },
  { look: "narrow-light", viewport: NARROW, colorScheme: "light" },
  { look: "narrow-dark", viewport: NARROW, colorScheme: "dark" },
];

await withBrowser(async (browser) => {
  const grounds = new Map();
  for (const { look, ...options } of looks) {
    const tab = await Tab.open(browser, options);
    const titles = new Set();
    for (const { name, path, text, status } of pages()) {
      const where = `${name} (${path}), ${look}`;
      await tab.go(path, status ?? 200);
      assertShows(await textOf(tab.page), text, where);
      await assertFits(tab.page, where);
      await assertContrast(tab.page, where);
      await assertLabelled(tab.page, where);
      await tab.page.screenshot({ path: join(folder, `${name}-${look}.png`), fullPage: true, timeout: 30_000 });
      titles.add(await tab.page.title());
      tab.clean(where);
    }
    assert.ok(titles.size > pages().length / 2, `pages have titles of their own, not ${[...titles].join(", ")}`);
    grounds.set(look, await tab.page.evaluate(() => getComputedStyle(document.body).backgroundColor));
    ok(`${pages().length} pages ${look}`);
    await tab.close();
  }
  assert.notEqual(grounds.get("wide-light"), grounds.get("wide-dark"), "the dark page has another ground");
  ok("light and dark differ");
});
