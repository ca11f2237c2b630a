// A headless browser that notices everything that must not happen on a page of the explorer: dialogs, errors on the
// console, refusals of the content security policy, scripts that fail, requests that go elsewhere.
//
// A program of this folder finds in FACTS, as JSON, where the explorer is and what is on the chain (tests/src/showcase.rs
// puts it there). It prints a line that begins with "ok  " for each thing that it checked, and fails at the first that is
// not right.

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

export const facts = JSON.parse(process.env.FACTS ?? "{}");

/** Whatever is waited for must come within this time. */
export const LIMIT = 15_000;

export const WIDE = { width: 1440, height: 900 };
export const NARROW = { width: 360, height: 740 };

/** Says that a thing was checked. */
export function ok(what) {
  console.log(`ok  ${what}`);
}

/** Runs `work` with a browser, which is closed in any case. */
export async function withBrowser(work) {
  const browser = await chromium.launch({
    executablePath: fileURLToPath(new URL("chromium", import.meta.url)),
    // The sandbox refuses to work for root, whom machines that build things often are.
    args: process.getuid() === 0 ? ["--no-sandbox"] : [],
  });
  try {
    await work(browser);
  } finally {
    await browser.close();
  }
}

/** A tab that keeps what must not happen in a list; `tab.clean(where)` fails when there is something in it. */
export class Tab {
  static async open(browser, { viewport = WIDE, colorScheme = "light", javaScriptEnabled = true } = {}) {
    const context = await browser.newContext({ viewport, colorScheme, javaScriptEnabled, reducedMotion: "reduce" });
    context.setDefaultTimeout(LIMIT);
    // Refusals are asked for as events too: the console shows each kind of them once only.
    await context.addInitScript(() => {
      document.addEventListener("securitypolicyviolation", (event) => {
        console.error(`refused by the policy: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`);
      });
    });
    return new Tab(context, await context.newPage());
  }

  constructor(context, page) {
    this.context = context;
    this.page = page;
    this.faults = [];
    /** Of what the browser itself reports an answer of 400 and above is no fault where one is expected. */
    this.expected = 200;
    page.on("dialog", (dialog) => {
      this.faults.push(`a dialog: ${dialog.message()}`);
      dialog.dismiss().catch(() => {});
    });
    page.on("pageerror", (error) => this.faults.push(`an error in a script: ${error.message}`));
    page.on("console", (message) => this.#said(message));
    page.on("request", (request) => {
      const url = new URL(request.url());
      const own = url.origin === new URL(facts.explorer).origin || url.protocol === "data:" || url.protocol === "about:";
      if (!own) this.faults.push(`a request to ${request.url()}`);
    });
  }

  #said(message) {
    if (!["error", "warning"].includes(message.type())) return;
    const refused = message.text().startsWith("Failed to load resource");
    // Addresses may be written with capital letters.
    const [at, ...pages] = [message.location().url, this.page.url(), this.asked].map((url) => url?.toLowerCase());
    if (refused && pages.includes(at) && this.expected >= 400) return;
    this.faults.push(`on the console: ${message.text()} (${message.location().url})`);
  }

  /** Goes to a path of the explorer and checks status and policy. */
  async go(path, expected = 200) {
    this.expected = expected;
    this.asked = new URL(path, facts.explorer).href;
    const answer = await this.page.goto(this.asked, { waitUntil: "load" });
    assert.equal(answer.status(), expected, `${path} is answered with ${expected}`);
    checkHeaders(path, await answer.allHeaders());
    return answer;
  }

  /** Fails when something happened that must not. */
  clean(where) {
    assert.deepEqual(this.faults, [], `nothing out of order on ${where}`);
  }

  async close() {
    await this.context.close();
  }
}

/** What a page may load and run is named in its header, and nothing that stands in the page itself is. */
function checkHeaders(path, headers) {
  assert.match(headers["content-type"] ?? "", /^text\/html; ?charset=utf-8/i, `${path} is HTML in UTF-8`);
  const policy = new Map(
    (headers["content-security-policy"] ?? "").split(";").map((part) => {
      const [name, ...values] = part.trim().split(/\s+/);
      return [name, values.join(" ")];
    }),
  );
  const wanted = {
    "default-src": "'none'",
    "style-src": "'self'",
    "script-src": "'self'",
    "img-src": "'self' data:",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
  };
  for (const [name, value] of Object.entries(wanted)) {
    assert.equal(policy.get(name), value, `${name} of the policy of ${path}`);
  }
  assert.match(policy.get("connect-src") ?? "", /^'self'( https?:\/\/\S+)*$/, `connect-src of the policy of ${path}`);
}

/** Every page of the explorer: name for files, path, and a text that must stand on it. */
export function pages() {
  const { addresses, transactions, block, explorer } = facts;
  assert.ok(explorer && addresses && transactions, "FACTS tells what is on the chain");
  return [
    { name: "home", path: "/", text: /block/i },
    { name: "blocks", path: "/blocks", text: /block/i },
    { name: "block", path: `/block/${block.number}`, text: block.hash },
    { name: "transaction", path: `/tx/${transactions.transfer}`, text: transactions.transfer },
    { name: "transaction-token", path: `/tx/${transactions.tokenTransfer}`, text: transactions.tokenTransfer },
    { name: "transaction-reverted", path: `/tx/${transactions.reverted}`, text: /zero/ },
    { name: "transaction-creation", path: `/tx/${transactions.creation}`, text: transactions.creation },
    { name: "transactions", path: "/txs", text: /transaction/i },
    { name: "address", path: `/address/${addresses.sender}`, text: addresses.sender },
    { name: "address-tokens", path: `/address/${addresses.holder}/tokens`, text: facts.token.symbol },
    { name: "address-empty", path: `/address/${addresses.empty}`, text: addresses.empty },
    { name: "token", path: `/token/${addresses.token}`, text: facts.token.name },
    { name: "contract", path: `/address/${addresses.token}/contract`, text: /contract/i },
    { name: "validators", path: "/validators", text: facts.validators[0] },
    { name: "validator", path: "/validator/0", text: facts.validators[0] },
    { name: "network", path: "/network", text: facts.validators[1] },
    { name: "mempool", path: "/mempool", text: /mempool|pool|waiting/i },
    { name: "not-found", path: "/block/999999999", text: /999999999/, status: 404 },
  ];
}

/** The text of the page as a reader sees it, in one line. */
export async function textOf(page) {
  return (await page.locator("body").innerText()).replace(/\s+/g, " ");
}

/** Whether a text stands on a page; addresses may be written with capital letters (EIP-55). */
export function assertShows(text, wanted, where) {
  const found = wanted instanceof RegExp ? wanted.test(text) : text.toLowerCase().includes(wanted.toLowerCase());
  assert.ok(found, `${where} shows ${wanted}; it shows: ${text.slice(0, 2000)}`);
}

/** Waits until `look` gives something; asks again each time the page has had time to do something. */
export async function until(what, look) {
  const deadline = Date.now() + LIMIT;
  for (;;) {
    const found = await look();
    if (found) return found;
    assert.ok(Date.now() < deadline, `waited ${LIMIT} ms in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 40));
  }
}
