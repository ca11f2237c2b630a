// What can be measured on a page: whether it is wider than the window, which text has too little contrast, what has no
// label, and whether the focus can be seen. All of it is computed in the browser from the styles that apply.

import assert from "node:assert/strict";

/** The page itself never scrolls sideways; wide tables may, in a box of their own. */
export async function assertFits(page, where) {
  const { wide, window: width, widest } = await page.evaluate(() => {
    const root = document.documentElement;
    let widest = "";
    let most = root.clientWidth;
    for (const element of document.body.querySelectorAll("*")) {
      const right = element.getBoundingClientRect().right;
      if (right > most + 0.5) {
        most = right;
        widest = `${element.tagName} ${element.className} ${(element.textContent ?? "").trim().slice(0, 60)}`;
      }
    }
    return { wide: root.scrollWidth, window: root.clientWidth, widest };
  });
  assert.ok(wide <= width, `${where} is ${wide} px wide in a window of ${width} px; farthest to the right: ${widest}`);
}

/** Each piece of text has the contrast that WCAG 2 asks for (level AA): 4.5, or 3 where it is large. */
export async function assertContrast(page, where) {
  const poor = await page.evaluate(() => {
    const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    // The browser reads any notation of a colour for us.
    const read = (text) => {
      canvas.clearRect(0, 0, 1, 1);
      canvas.fillStyle = text;
      canvas.fillRect(0, 0, 1, 1);
      const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
      return { rgb: [r, g, b], a: a / 255 };
    };
    const over = (top, below) => top.rgb.map((part, i) => part * top.a + below[i] * (1 - top.a));
    const luminance = (rgb) => {
      const [r, g, b] = rgb.map((part) => {
        const share = part / 255;
        return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
      });
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const contrast = (one, other) => {
      const [high, low] = [luminance(one), luminance(other)].sort((a, b) => b - a);
      return (high + 0.05) / (low + 0.05);
    };
    const dark = matchMedia("(prefers-color-scheme: dark)").matches;
    const scheme = getComputedStyle(document.documentElement).colorScheme;
    const sheet = dark && scheme.includes("dark") ? [18, 18, 18] : [255, 255, 255];
    const behind = (element) => {
      const layers = [];
      for (let at = element; at; at = at.parentElement) {
        const layer = read(getComputedStyle(at).backgroundColor);
        if (layer.a > 0) layers.push(layer);
        if (layer.a === 1) break;
      }
      return layers.reverse().reduce((below, layer) => over(layer, below), sheet);
    };
    // What a text in a picture is written upon: the shapes under its middle, the lowest first.
    const behindInPicture = (element) => {
      const box = element.getBoundingClientRect();
      const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
      const shapes = [...element.ownerSVGElement.querySelectorAll("rect, circle, path, polygon")].filter((shape) => {
        const at = shape.getBoundingClientRect();
        const before = shape.compareDocumentPosition(element) & Node.DOCUMENT_POSITION_FOLLOWING;
        return before && at.left <= x && x <= at.right && at.top <= y && y <= at.bottom;
      });
      return shapes.reduce((below, shape) => {
        const style = getComputedStyle(shape);
        if (style.fill === "none" || style.fill.startsWith("url")) return below;
        const layer = read(style.fill);
        layer.a *= Number(style.fillOpacity) * Number(style.opacity);
        return over(layer, below);
      }, behind(element.ownerSVGElement));
    };
    const found = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      const element = node.parentElement;
      if (!node.data.trim() || !element.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue;
      if (element.closest("title, desc, script, style, noscript, [disabled], [aria-disabled=true]")) continue;
      const style = getComputedStyle(element);
      const picture = element.ownerSVGElement;
      const size = parseFloat(style.fontSize);
      const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
      const below = picture ? behindInPicture(element) : behind(element);
      const ink = read(picture ? style.fill : style.color);
      for (let at = element; at; at = at.parentElement) ink.a *= Number(getComputedStyle(at).opacity);
      const ratio = contrast(over(ink, below), below);
      if (ratio < (large ? 3 : 4.5)) found.push(`${ratio.toFixed(2)} for "${node.data.trim().slice(0, 40)}"`);
    }
    return [...new Set(found)];
  });
  assert.deepEqual(poor, [], `text with too little contrast on ${where}`);
}

/** The page says what it is and what its parts are, to those who do not see it. */
export async function assertLabelled(page, where) {
  const wrong = await page.evaluate(() => {
    const wrong = [];
    const need = (holds, what) => holds || wrong.push(what);
    need(document.documentElement.lang, "the page names no language");
    need(document.title.trim(), "the page has no title");
    need(document.querySelector("meta[name=viewport]"), "the page does not adapt to narrow screens");
    need(document.querySelectorAll("h1").length === 1, `${document.querySelectorAll("h1").length} main headings`);
    need(document.querySelectorAll("main").length === 1, "not one main part");
    need(document.querySelector("header, [role=banner]"), "no header");
    need(document.querySelector("nav"), "no navigation");
    const name = (element) =>
      element.getAttribute("aria-label") ||
      [...(element.getAttribute("aria-labelledby") ?? "").split(/\s+/)]
        .map((id) => document.getElementById(id)?.textContent ?? "")
        .join(" ")
        .trim();
    for (const field of document.querySelectorAll("input:not([type=hidden]):not([type=submit]), select, textarea")) {
      const label = [...(field.labels ?? [])].map((label) => label.textContent).join("").trim();
      need(name(field) || label, `a field without a label: ${field.outerHTML.slice(0, 120)}`);
    }
    for (const part of document.querySelectorAll("a[href], button, summary")) {
      const text = part.textContent.trim() || name(part) || part.querySelector("img")?.alt || part.title;
      need(text, `a link or button without a name: ${part.outerHTML.slice(0, 120)}`);
    }
    for (const picture of document.querySelectorAll("img")) need(picture.hasAttribute("alt"), "an image without a text");
    for (const picture of document.querySelectorAll("svg")) {
      const hidden = picture.closest("[aria-hidden=true]");
      const told = name(picture) || picture.querySelector(":scope > title")?.textContent.trim();
      need(hidden || told, `a picture without a text: ${picture.outerHTML.slice(0, 120)}`);
    }
    for (const table of document.querySelectorAll("table")) need(table.querySelector("th"), "a table without headings");
    for (const part of document.querySelectorAll("[tabindex]")) {
      need(part.tabIndex <= 0, "an order of its own for the keyboard");
    }
    const ids = [...document.querySelectorAll("[id]")].map((part) => part.id);
    need(new Set(ids).size === ids.length, `an id that is there twice: ${ids.filter((id, i) => ids.indexOf(id) !== i)}`);
    return wrong;
  });
  assert.deepEqual(wrong, [], `labels on ${where}`);
}

/** Where the keyboard's focus is, and whether it can be seen. */
export async function focus(page) {
  return page.evaluate(() => {
    const element = document.activeElement;
    if (!element || element === document.body) return null;
    const style = getComputedStyle(element);
    const outline = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
    const box = element.getBoundingClientRect();
    return {
      tag: element.tagName.toLowerCase(),
      name: element.getAttribute("name"),
      href: element.getAttribute("href"),
      text: (element.textContent || element.getAttribute("aria-label") || "").trim().slice(0, 60),
      seen: (outline || style.boxShadow !== "none") && box.width > 0 && box.height > 0,
    };
  });
}
