// Keys that are pressed alone: never while somebody types, never with a modifier, and not at all where they are switched
// off. Each does what a click on what stands on the page would do.
"use strict";

const OFF_KEY = "rhdashboard.single-keys-off";
const SECOND_KEY_WITHIN_MS = 1500;
const TYPING = "input:not([type=checkbox], [type=radio], [type=button], [type=submit]), textarea, select, [contenteditable]";
const PLACES = { i: "/", o: "/?tab=open", d: "/?tab=decided", s: "/states/", p: "/pipelines/" };

const sheet = document.getElementById("shortcuts");
const opener = document.getElementById("shortcuts-open");
const toggleKeys = document.getElementById("single-keys");
let goUntil = 0;

/** In their settings, which hold in every browser, or in this browser alone. */
function areOff() {
  if (document.documentElement.dataset.shortcuts === "off") return true;
  try {
    return localStorage.getItem(OFF_KEY) === "yes";
  } catch {
    return false;
  }
}

function remember(off) {
  try {
    if (off) localStorage.setItem(OFF_KEY, "yes");
    else localStorage.removeItem(OFF_KEY);
  } catch {
    // A browser that keeps nothing forgets it with the page.
  }
  document.documentElement.toggleAttribute("data-keys-off", off);
}

function currentRow() {
  return document.activeElement?.closest(".inbox-row") ?? window.inbox?.rowOf(window.inbox.openId());
}

function step(by) {
  if (!document.getElementById("inbox")) return false;
  const row = window.inbox.neighbour(currentRow(), by);
  const title = row?.querySelector(".inbox-row-title");
  if (!title) return true;
  title.focus();
  row.scrollIntoView({ block: "nearest" });
  // With a request open beside the list, going through the list goes through the requests.
  if (window.inbox.isWide.matches && window.inbox.openId()) window.inbox.openInPane(title.href);
  return true;
}

/** A request that is still being fetched is not the one that stands there. */
function request() {
  return document.querySelector("[aria-busy=true] #request") ? null : document.getElementById("request");
}

function press(selector) {
  const button = request()?.querySelector(selector);
  if (!button || button.disabled) return false;
  button.click();
  return true;
}

function approve() {
  const button = request()?.querySelector(".decision-actions > .btn-primary[name=kind]");
  if (!button) return false;
  // An answer has to be given before it can be sent.
  if (button.value === "respond") return focusFirst("#respond-form");
  button.click();
  return true;
}

function focusFirst(form) {
  const field = request()?.querySelector(`${form} :is(input:not([type=hidden]), select, textarea):not(:disabled)`);
  const fold = field?.closest("details:not([open])");
  if (fold) fold.open = true;
  field?.focus();
  return Boolean(field);
}

function reject() {
  const panel = request()?.querySelector("#reject-form")?.closest("details");
  if (!panel) return false;
  panel.open = true;
  return true;
}

function goNext() {
  const link = request()?.querySelector("a[href^='/next/']");
  if (link) link.click();
  else if (document.getElementById("request")) return step(1);
  return Boolean(link);
}

function search() {
  const field = document.querySelector("input[type=search]");
  field?.focus();
  field?.select();
  return Boolean(field);
}

function showSheet() {
  toggleKeys.checked = !areOff();
  sheet.showModal();
  return true;
}

const KEYS = {
  j: () => step(1),
  k: () => step(-1),
  a: approve,
  r: reject,
  e: () => focusFirst("#approve-form") || focusFirst("#respond-form"),
  u: () => press("#undo"),
  n: goNext,
  x: () => Boolean(currentRow()) && (window.inbox.toggle(currentRow()), true),
  "/": search,
  "?": showSheet,
};

function escape(target) {
  // Open panels are closed by app.js, a sheet by the browser.
  if (sheet.open || document.querySelector("details.menu[open], details.decision-option[open]")) return;
  if (target.matches(TYPING)) target.blur();
  else if (window.inbox?.isWide.matches && window.inbox.canClose()) window.inbox.closePane();
}

// Before app.js closes its panels, so that one press closes one thing.
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !event.defaultPrevented) escape(event.target);
}, true);

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.repeat && !["j", "k"].includes(event.key)) return;
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  // A capital letter is typed with a modifier; the question mark is, too, and is a key of its own.
  if (event.shiftKey && event.key !== "?") return;
  if (areOff() || sheet.open || event.target.closest(TYPING)) return;
  const isSecond = performance.now() < goUntil;
  goUntil = 0;
  if (isSecond && PLACES[event.key]) {
    event.preventDefault();
    location.assign(PLACES[event.key]);
  } else if (event.key === "g") {
    goUntil = performance.now() + SECOND_KEY_WITHIN_MS;
  } else if (KEYS[event.key]?.()) {
    event.preventDefault();
  }
});

opener.hidden = false;
opener.addEventListener("click", showSheet);
document.getElementById("shortcuts-close").addEventListener("click", () => sheet.close());
toggleKeys.addEventListener("change", () => remember(!toggleKeys.checked));
// What the account says is not kept in this browser: it may be another tomorrow.
document.documentElement.toggleAttribute("data-keys-off", areOff());
