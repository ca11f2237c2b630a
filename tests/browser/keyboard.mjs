// Everything that a mouse does on these pages, the keyboard does: in the order of the page, with a focus that can be seen.

import assert from "node:assert/strict";
import { NARROW, Tab, WIDE, facts, ok, pages, withBrowser } from "./browser.mjs";
import { focus } from "./layout.mjs";

const MOST = 400;

await withBrowser(async (browser) => {
  for (const viewport of [WIDE, NARROW]) {
    const tab = await Tab.open(browser, { viewport });
    for (const name of ["home", "block", "transaction", "address", "contract", "validators", "network"]) {
      const { path } = pages().find((page) => page.name === name);
      await tab.go(path);
      const passed = [];
      for (let step = 0; step < MOST; step += 1) {
        await tab.page.keyboard.press("Tab");
        const at = await focus(tab.page);
        if (!at) break;
        assert.ok(at.seen, `the focus can be seen on ${at.tag} "${at.text}" of ${path}`);
        passed.push(at);
      }
      assert.match(passed[0]?.text ?? "", /skip|content/i, `the first stop of ${path} leads past the navigation`);
      assert.ok(passed.some((at) => at.tag === "input" && at.name === "q"), `the search is reached on ${path}`);
      const reached = new Set(passed.map((at) => at.href).filter(Boolean));
      const all = await tab.page.evaluate(() =>
        [...document.querySelectorAll("a[href]")]
          // What is live may have changed on the way.
          .filter((a) => a.checkVisibility() && !a.closest("[data-live], footer"))
          .map((a) => a.getAttribute("href")),
      );
      const missed = all.filter((href) => !reached.has(href));
      if (passed.length < MOST) assert.deepEqual(missed, [], `every link of ${path} is reached`);
      tab.clean(path);
    }
    ok(`seven pages by keyboard at ${viewport.width} px`);
    await tab.close();
  }

  const tab = await Tab.open(browser);
  await tab.go("/validators");
  await tab.page.keyboard.press("Tab");
  await tab.page.keyboard.press("Enter");
  const main = await tab.page.evaluate(() => document.activeElement?.closest("main") !== null);
  assert.ok(main, "the first stop leads to the content");
  ok("the way past the navigation");

  await tab.go("/");
  for (let step = 0; (await focus(tab.page))?.name !== "q"; step += 1) {
    assert.ok(step < 30, "the search is near the beginning");
    await tab.page.keyboard.press("Tab");
  }
  await tab.page.keyboard.type(String(facts.block.number));
  await tab.page.keyboard.press("Enter");
  await tab.page.waitForURL(`**/block/${facts.block.number}`);
  ok("a search by keyboard");
  tab.clean("a search by keyboard");
  await tab.close();
});
