// The list and the request beside it. On a wide screen a row opens its request in the pane: the list stays where it is,
// the address says what is open, and Back goes back. Where there is no room, or no script, a row is a plain link.
"use strict";

const UNITS = [[86_400, "d"], [3_600, "h"], [60, "min"]];
const REQUEST_PATH = /^\/requests\/([0-9a-f-]{36})\/$/;

const pane = document.getElementById("open");
const isWide = matchMedia("(min-width: 60rem)");
let wanted = null, shown = null;

/** One unit, rounded down, as the server says it. */
function span(seconds) {
  const [size, unit] = UNITS.find(([size]) => seconds >= size) ?? [1, "s"];
  return `${Math.floor(Math.max(seconds, 0) / size)} ${unit}`;
}

/** The ages in the list go on while the page is open, also where nothing is new for hours. */
function tellAges() {
  for (const time of document.querySelectorAll(".inbox-row time")) {
    // The words around it are in the reader's language, the units are the same in all; a date has none and stays.
    const [said] = /\d+ (s|min|h|d)\b/.exec(time.textContent) ?? [];
    const seconds = (Date.now() - Date.parse(time.dateTime)) / 1000;
    // What is due says how long it is until then; when that is over its words are others, which the list brings.
    const isDue = time.closest(".due:not(.due-over)");
    if (said && !(isDue && seconds > 0)) time.textContent = time.textContent.replace(said, span(Math.abs(seconds)));
  }
}

function requestIn(url) {
  return REQUEST_PATH.exec(url.pathname)?.[1] ?? null;
}

function openId() {
  return new URLSearchParams(location.search).get("request");
}

function rowOf(id) {
  return id && document.querySelector(`.inbox-row-title[href*="${id}"]`)?.closest(".inbox-row");
}

function markOpen(id) {
  shown = id ?? null;
  for (const row of document.querySelectorAll(".inbox-row.is-open")) {
    row.classList.remove("is-open");
    row.querySelector(".inbox-row-title").removeAttribute("aria-current");
  }
  document.getElementById("inbox").classList.toggle("has-open", Boolean(id));
  const row = rowOf(id);
  if (!row) return;
  row.classList.add("is-open");
  row.querySelector(".inbox-row-title").setAttribute("aria-current", "true");
  row.scrollIntoView({ block: "nearest" });
}

function fill(templateId) {
  pane.replaceChildren(document.getElementById(templateId).content.cloneNode(true));
}

/** The address of the list with this request open in it, or with none. */
function addressWith(id) {
  const url = new URL(location.href);
  url.hash = "";
  url.searchParams.delete("request");
  if (id) url.searchParams.set("request", id);
  return url.href;
}

async function load(id, path) {
  wanted = { id, path };
  markOpen(id);
  pane.setAttribute("aria-busy", "true");
  await htmx.ajax("GET", path, { source: pane, target: pane, swap: "innerHTML" });
}

/** Open the request at `href` in the pane. */
function openInPane(href) {
  const url = new URL(href, location.href);
  const id = requestIn(url);
  if (wanted?.id === id && pane.hasAttribute("aria-busy")) return;
  if (openId() !== id) history.pushState({ pane: id }, "", addressWith(id));
  load(id, url.pathname + url.search);
}

function closePane({ push = true } = {}) {
  const row = document.querySelector(".inbox-row.is-open .inbox-row-title");
  wanted = null;
  if (push && openId()) history.pushState({ pane: null }, "", addressWith(null));
  pane.removeAttribute("aria-busy");
  fill("pane-empty");
  markOpen(null);
  document.title = document.body.dataset.title ?? document.title;
  showOnTab();
  row?.focus();
}

/** Whether anything stands in the pane: a request, or what is asked before several are decided. */
function canClose() {
  return Boolean(openId() || pane.querySelector("#together"));
}

/** The row after this one, or before it, that can still be opened. */
function neighbour(row, step = 1) {
  const rows = [...document.querySelectorAll(".inbox-row")];
  const from = row ? rows.indexOf(row) : step > 0 ? -1 : rows.length;
  return rows[from + step] ?? null;
}

/** On to the next one of this list; where it ends, the server says what is next. */
function openNext(link) {
  let row = rowOf(openId());
  do row = neighbour(row); while (row?.classList.contains("is-done"));
  if (row) {
    const title = row.querySelector(".inbox-row-title");
    openInPane(title.href);
    title.focus({ preventScroll: true });
    return;
  }
  const url = new URL(link, location.href);
  url.searchParams.set("pane", "1");
  location.assign(url);
}

// What another script of this page asks for.
window.inbox = { isWide, openId, openInPane, closePane, openNext, rowOf, neighbour, toggle, canClose };

document.addEventListener("click", (event) => {
  const link = event.target.closest("#inbox a[href]");
  if (!link || event.defaultPrevented || !isWide.matches) return;
  if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey || link.target) return;
  const url = new URL(link.href, location.href);
  if (url.origin !== location.origin) return;
  if (pane.contains(link) && url.pathname === "/next/") {
    event.preventDefault();
    openNext(link.href);
  } else if (pane.contains(link) && link.closest(".breadcrumb") && url.href === addressWith(null)) {
    event.preventDefault();
    closePane();
  } else if (requestIn(url) && !url.hash) {
    event.preventDefault();
    openInPane(link.href);
  }
});

pane.addEventListener("click", (event) => {
  if (event.target.closest("[data-retry]") && wanted) load(wanted.id, wanted.path);
  if (event.target.closest("[data-close-pane]") && isWide.matches) {
    event.preventDefault();
    closePane();
  }
});

// ---- Several at once ----

const selection = document.getElementById("selection");

function boxes() {
  return [...document.querySelectorAll(".row-check input")].filter((box) => !box.closest(".is-done"));
}

function tellSelection() {
  const all = boxes(), count = all.filter((box) => box.checked).length;
  const words = document.getElementById("selected-count");
  if (words) words.textContent = words.dataset.words.replace("{}", count);
  const whole = document.getElementById("select-all");
  if (!whole) return;
  whole.checked = count > 0 && count === all.length;
  whole.indeterminate = count > 0 && count < all.length;
}

/** Select a row, or take it out again. */
function toggle(row) {
  const box = row?.querySelector(".row-check input");
  if (!box || box.closest(".is-done")) return;
  box.checked = !box.checked;
  tellSelection();
  announce(`${document.getElementById("selected-count").textContent}.`);
}

document.addEventListener("change", ({ target }) => {
  if (target.id === "select-all") for (const box of boxes()) box.checked = target.checked;
  if (target.id === "select-all" || target.matches(".row-check input")) tellSelection();
});
selection?.addEventListener("reset", () => setTimeout(tellSelection));
// Where there is room, what would happen is shown beside the list.
selection?.addEventListener("submit", (event) => {
  if (!isWide.matches) return;
  event.preventDefault();
  wanted = null;
  if (openId()) history.pushState({ pane: null }, "", addressWith(null));
  markOpen(null);
  const values = { kind: event.submitter.value };
  htmx.ajax("POST", selection.action, { source: selection, target: pane, swap: "innerHTML", values });
});

window.addEventListener("popstate", () => {
  const id = openId();
  // A link to a place on this page: what stands in the pane, and what is typed there, stays.
  if (id === shown) return;
  if (!isWide.matches) location.reload();
  else if (id) load(id, `/requests/${id}/${listQuery()}`);
  else closePane({ push: false });
});

/** The filters of the list, as a request's own address carries them. */
function listQuery() {
  const query = new URLSearchParams(location.search);
  query.delete("request");
  query.delete("after");
  return query.size ? `?${query}` : "";
}

function isForPane(ctx) {
  return ctx?.sourceElement === pane;
}

document.addEventListener("htmx:before:swap", (event) => {
  // Somebody went on before it arrived.
  if (isForPane(event.detail.ctx) && event.detail.ctx.request.action !== wanted?.path) event.preventDefault();
});

document.addEventListener("htmx:after:swap", ({ detail }) => {
  for (const one of pane.querySelectorAll("[data-decided]")) {
    const row = rowOf(one.dataset.decided);
    row?.classList.add("is-done");
    const box = row?.querySelector(".row-check input");
    if (box) box.checked = false;
  }
  tellSelection();
  const article = document.getElementById("request");
  if (!article || !pane.contains(article)) return;
  if (isForPane(detail.ctx)) {
    pane.removeAttribute("aria-busy");
    pane.scrollTop = 0;
  }
  const title = article.querySelector("h1").textContent.trim();
  document.body.dataset.title ??= document.title;
  document.title = `${title} – rhdashboard`;
  showOnTab();
  // A decision that was made here is shown in its row, which stays where it is.
  const row = rowOf(openId());
  if (row && !row.classList.contains("is-decided")) row.classList.toggle("is-done", Boolean(article.querySelector("#progress")));
  tellSelection();
});

document.addEventListener("htmx:after:request", ({ detail }) => {
  if (detail.ctx.request.action.includes("/inbox/new/")) tellAges();
  if (!isForPane(detail.ctx) || detail.ctx.request.action !== wanted?.path) return;
  const { status } = detail.ctx.response;
  if (status !== 404 && status < 500) return;
  pane.removeAttribute("aria-busy");
  fill(status === 404 ? "pane-gone" : "pane-fault");
});

document.addEventListener("htmx:error", ({ detail }) => {
  if (!isForPane(detail.ctx) || detail.ctx.request.action !== wanted?.path || detail.error?.name === "AbortError") return;
  pane.removeAttribute("aria-busy");
  fill("pane-fault");
});

const whole = document.querySelector(".select-all");
if (whole && selection?.querySelector(".row-check")) whole.hidden = false;
tellSelection();
markOpen(openId());
setInterval(tellAges, 30_000);
