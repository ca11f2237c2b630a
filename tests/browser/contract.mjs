// The page of a contract: an ABI is put in and its functions are read; a wrong one is refused with words; compiled
// output is compared with the code that is deployed; hostile names in an ABI do nothing.

import assert from "node:assert/strict";
import { Tab, assertShows, facts, ok, textOf, withBrowser } from "./browser.mjs";
import { assertFits } from "./layout.mjs";

const { addresses, token } = facts;

const view = (name, inputs, output) => ({
  type: "function",
  name,
  stateMutability: "view",
  inputs: inputs.map(([name, type]) => ({ name, type })),
  outputs: [{ name: "", type: output }],
});
const abi = [
  view("name", [], "string"),
  view("totalSupply", [], "uint256"),
  view("balanceOf", [["owner", "address"]], "uint256"),
  {
    type: "function",
    name: "transfer",
    stateMutability: "nonpayable",
    inputs: [
      { name: "to", type: "address" },
      { name: "value", type: "uint256" },
    ],
    outputs: [{ name: "", type: "bool" }],
  },
];
const evil = [view("<script>alert('abi')</script>", [["\"><img src=x onerror=alert(6)>", "uint256"]], "uint256"), ...abi];

/** Elements that only hostile text could have made. */
const PLANTED = "img[src='x'], script:not([src]), [onerror]";

const path = (address) => `/address/${address}/contract`;

/** Puts a text into the form that posts to this end of a path, and sends the form. */
async function submit(tab, end, text) {
  const form = tab.page.locator(`form[action$="/${end}"]`).first();
  await unfold(form);
  await form.locator("textarea").first().fill(text);
  const answer = tab.page.waitForResponse((answer) => answer.request().method() === "POST");
  await form.locator("button[type=submit], button:not([type])").first().click();
  const status = (await answer).status();
  await tab.page.waitForLoadState("load");
  return status;
}

/** Opens what a part of the page may be folded into. */
async function unfold(part) {
  const closed = part.locator("xpath=ancestor::details[not(@open)]/summary");
  for (const summary of await closed.all()) await summary.click();
}

/** Hands in what a compiler was given and what it made. */
async function compare(tab, input, output) {
  const form = tab.page.locator('form[action$="/verify"]').first();
  await unfold(form);
  await form.locator("textarea[name=output]").fill(JSON.stringify(output));
  await form.locator("textarea[name=input]").fill(JSON.stringify(input));
  const answer = tab.page.waitForResponse((answer) => answer.request().method() === "POST");
  await form.locator("button[type=submit], button:not([type])").first().click();
  await answer;
  await tab.page.waitForLoadState("load");
}

await withBrowser(async (browser) => {
  for (const javaScriptEnabled of [false, true]) {
    const scripts = javaScriptEnabled ? "with JavaScript" : "without JavaScript";
    const tab = await Tab.open(browser, { javaScriptEnabled });
    const contract = javaScriptEnabled ? addresses.wideToken : addresses.token;

    await tab.go(path(contract));
    tab.expected = 400;
    tab.asked = new URL(`${path(contract)}/abi`, facts.explorer).href;
    const refused = await submit(tab, "abi", "this is no ABI");
    assert.equal(refused, 400, "what is no ABI is refused");
    assertShows(await textOf(tab.page), /abi|json/i, "the refusal");
    await assertFits(tab.page, "the refusal");
    ok(`what is no ABI is refused ${scripts}`);

    await tab.go(path(contract));
    const taken = await submit(tab, "abi", JSON.stringify(abi));
    assert.ok(taken < 400, `the ABI is taken, not answered with ${taken}`);
    await tab.go(path(contract));
    const text = await textOf(tab.page);
    for (const { name } of abi) assertShows(text, name, "the page of the contract");
    tab.clean(`the page of a contract ${scripts}`);
    ok(`an ABI is taken ${scripts}`);
    await tab.close();
  }

  const tab = await Tab.open(browser);
  await tab.go(path(addresses.token));
  // balanceOf, by its selector.
  const read = tab.page.locator('form[action$="/read"]:has(input[name=function][value="0x70a08231"])').first();
  await unfold(read);
  await read.locator("input:not([type=hidden])").first().fill(addresses.holder);
  await read.getByRole("button").first().click();
  await tab.page.getByText(/12,?500,?000/).first().waitFor();
  tab.clean("reading a contract");
  ok("a function is read");

  // Compiled output: of another code it is refused, of this one taken. The contract's name in it tells which.
  const name = "HarbourVault";
  const input = { language: "Solidity", sources: { [`${name}.sol`]: { content: `contract ${name} {}` } } };
  const compiled = (object) => ({
    contracts: { [`${name}.sol`]: { [name]: { abi, evm: { deployedBytecode: { object, immutableReferences: {} } } } } },
  });
  const code = token.code.slice(2);
  for (const object of [`${code.slice(0, -2)}ff00`, code]) {
    await tab.go(path(addresses.token));
    assert.ok(!(await textOf(tab.page)).includes(name), "nothing is known of the contract's source yet");
    tab.expected = 400;
    tab.asked = new URL(`${path(addresses.token)}/verify`, facts.explorer).href;
    await compare(tab, input, compiled(object));
    const text = await textOf(tab.page);
    assertShows(text, object === code ? /match|same|proven|compared/i : /differ|not the|other/i, "the answer");
    await assertFits(tab.page, "the answer to compiled output");
    await tab.go(path(addresses.token));
    const kept = (await textOf(tab.page)).includes(name);
    assert.equal(kept, object === code, "compiled output is kept exactly when it is that of the contract");
  }
  ok("compiled output is compared");

  await tab.go(path(addresses.hostileToken));
  // Whether such names are taken or refused is a matter of taste.
  tab.expected = 400;
  tab.asked = new URL(`${path(addresses.hostileToken)}/abi`, facts.explorer).href;
  await submit(tab, "abi", JSON.stringify(evil));
  assert.equal(await tab.page.locator(PLANTED).count(), 0);
  await tab.go(path(addresses.hostileToken));
  assert.equal(await tab.page.locator(PLANTED).count(), 0, "nothing of the ABI became part of the page");
  await assertFits(tab.page, "a contract with a hostile ABI");
  tab.clean("a contract with a hostile ABI");
  ok("a hostile ABI does nothing");
  await tab.close();
});
