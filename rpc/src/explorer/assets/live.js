// Keeps a page up to date: ages count on, and the parts marked data-live are taken anew when the chain has moved.
// The page works without any of this.
"use strict";

(() => {
  const REFRESH_MS = 1000;
  const body = document.body;
  // The server's clock counts, not the reader's.
  let offset = Number(body.dataset.now) - Date.now();
  let refreshing = false;
  let wanted = false;
  let refreshed = 0;
  let timer = 0;

  const group = (number) => String(number).replace(/\B(?=(\d{3})+(?!\d))/g, ",");

  function ago(ms) {
    const seconds = Math.floor(ms / 1000);
    if (seconds < 1) return "just now";
    if (seconds < 60) return `${seconds} s ago`;
    if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
    if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
    return `${group(Math.floor(seconds / 86400))} d ago`;
  }

  function showAges() {
    const now = Date.now() + offset;
    for (const time of document.querySelectorAll("time[data-time]")) {
      const text = ago(Math.max(0, now - Number(time.dataset.time)));
      if (time.textContent !== text) time.textContent = text;
    }
  }

  function showHead(head) {
    const link = document.getElementById("head");
    if (!link || Number(link.dataset.head) >= head) return;
    link.dataset.head = head;
    link.href = `/block/${head}`;
    link.textContent = group(head);
  }

  // Puts a part of the new page where the old one stands, unless the reader is in it.
  function replace(part, fresh) {
    if (!fresh || part.innerHTML === fresh.innerHTML) return;
    if (part.contains(document.activeElement)) return;
    const selection = document.getSelection();
    if (selection && !selection.isCollapsed && part.contains(selection.anchorNode)) return;
    const known = new Set([...part.querySelectorAll("li a, tr a")].map((link) => link.getAttribute("href")));
    const children = [...fresh.childNodes].map((node) => document.importNode(node, true));
    part.replaceChildren(...children);
    if (known.size > 0) {
      for (const entry of part.querySelectorAll("ol.list > li, tbody tr")) {
        const link = entry.querySelector("a");
        if (link && !known.has(link.getAttribute("href"))) entry.classList.add("fresh");
      }
    }
  }

  async function refresh() {
    timer = 0;
    wanted = false;
    refreshing = true;
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html" }, cache: "no-store" });
      // A transaction that has become final has another page: it is loaded whole.
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const parts = [...document.querySelectorAll("main [data-live]")];
      if (parts.some((part) => !page.getElementById(part.id))) {
        if (answer.ok) location.reload();
        return;
      }
      for (const part of parts) replace(part, page.getElementById(part.id));
      showAges();
      showCopies();
    } catch {
      // The node is away for a moment; the next event tries again.
    } finally {
      refreshing = false;
      refreshed = Date.now();
      if (wanted) schedule();
    }
  }

  function schedule() {
    wanted = true;
    if (refreshing || timer || document.hidden || !document.querySelector("main [data-live]")) return;
    timer = setTimeout(refresh, Math.max(0, refreshed + REFRESH_MS - Date.now()));
  }

  function showCopies() {
    if (!navigator.clipboard) return;
    for (const button of document.querySelectorAll("button.copy[hidden]")) button.hidden = false;
  }

  document.addEventListener("click", async (event) => {
    const button = event.target instanceof Element ? event.target.closest("button.copy") : null;
    if (!button) return;
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.classList.add("done");
      setTimeout(() => button.classList.remove("done"), 1200);
    } catch {
      // The reader did not allow it.
    }
  });

  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && wanted) schedule();
  });

  const events = new EventSource("/live");
  let first = true;
  events.addEventListener("head", (event) => {
    const news = JSON.parse(event.data);
    offset = news.nowMs - Date.now();
    showHead(news.head);
    body.dataset.live = "connected";
    // The first event comes at once, and the page is as new.
    if (!first) schedule();
    first = false;
  });
  events.addEventListener("error", () => {
    body.dataset.live = "away";
    first = false;
  });
  addEventListener("pagehide", () => events.close());
  // A page that comes back from the browser's memory has missed what happened.
  addEventListener("pageshow", (event) => {
    if (event.persisted) location.reload();
  });

  setInterval(showAges, 1000);
  showAges();
  showCopies();
})();
