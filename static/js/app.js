// What HTML cannot say by itself: copying, closing what is open, and telling people when the server does not answer.
// Everything else on the pages works without this file.
"use strict";

const STALE_AFTER_FAILURES = 2;
// How often in a row each part was not answered: another part's answer says nothing about it.
const failures = new Map();

/** Read out by screen readers, in the one live region that no swap replaces. */
function announce(text) {
  const region = document.getElementById("announcer");
  region.textContent = "";
  // A region that is emptied and filled in one go is not read out again.
  setTimeout(() => { region.textContent = text; }, 50);
}

/** What the page says about `what`, in the reader's language. */
function said(what) {
  return document.getElementById("announcer").dataset[what];
}

async function copy(button) {
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
  } catch {
    // No permission, or the page came over plain HTTP: select it in a field, as before there was a clipboard API.
    const field = document.createElement("textarea");
    field.value = button.dataset.copy;
    field.className = "visually-hidden";
    button.after(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    button.focus();
    if (!done) return announce(said("notCopied"));
  }
  button.classList.add("is-copied");
  setTimeout(() => button.classList.remove("is-copied"), 1500);
  announce(said("copied"));
}

function openPanels() {
  return document.querySelectorAll("details.menu[open], details.decision-option[open]");
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copy]");
  if (button) copy(button);
  for (const panel of openPanels()) {
    if (!panel.contains(event.target)) panel.open = false;
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const panel of openPanels()) {
    panel.open = false;
    panel.querySelector("summary").focus();
  }
});

// Browsers know exclusive <details> by their shared name, older ones do not; and a panel's first field wants the focus.
document.addEventListener("toggle", (event) => {
  const panel = event.target;
  if (!panel.open || !panel.matches("details.decision-option")) return;
  for (const other of openPanels()) {
    if (other !== panel && other.getAttribute("name") === panel.getAttribute("name")) other.open = false;
  }
  panel.querySelector("textarea, select, input:not([type=hidden])")?.focus();
}, true);

/** What asked: a form, or something that asks by itself. htmx names the document where it is gone meanwhile. */
function isForm(target) {
  return target instanceof Element && target.matches("form");
}

/** A button that sends what a person decided or started, not one that only adds a row. */
function isAct(form, submitter) {
  return isForm(form) && !submitter?.name.includes(":");
}

// The server was asked by htmx and did not answer well: say so once, keep what is on the page.
function failed({ target, detail }) {
  // Without it the parts of the page ask by themselves, and find out.
  if (target.id === "stream") return;
  const place = document.getElementById("not-arrived");
  if (place && isAct(target, detail.ctx?.request.submitter)) {
    place.hidden = false;
    return announce(place.textContent);
  }
  failures.set(target.id, (failures.get(target.id) ?? 0) + 1);
  // A poll may miss its turn once; what a person pressed may not.
  if (failures.get(target.id) < STALE_AFTER_FAILURES && !isForm(target)) return;
  if (!document.getElementById("stale").hidden) return;
  document.getElementById("stale").hidden = false;
  announce(said("stale"));
}

function answered({ target }) {
  failures.delete(target.id);
  if (![...failures.values()].some((count) => count >= STALE_AFTER_FAILURES)) document.getElementById("stale").hidden = true;
  const place = document.getElementById("not-arrived");
  if (place && isForm(target)) place.hidden = true;
}

document.addEventListener("htmx:error", failed);
document.addEventListener("htmx:after:request", (event) => {
  const { status } = event.detail.ctx.response;
  if (status === 404 || status >= 500) failed(event);
  else answered(event);
});

// A page that comes back from the browser's own cache may show a decision that has long been made.
window.addEventListener("pageshow", (event) => {
  if (event.persisted && document.querySelector("[data-reload-on-return]")) location.reload();
});

// Offline is noticed by the browser before anything fails; back again, the page looks for news by itself.
function tellConnection() {
  const notice = document.getElementById("offline");
  if (!notice || notice.hidden === navigator.onLine) return;
  notice.hidden = navigator.onLine;
  announce(said(navigator.onLine ? "online" : "offline"));
  if (navigator.onLine) htmx.trigger(document.getElementById("news") ?? document.body, "live", {}, false);
}
window.addEventListener("offline", tellConnection);
window.addEventListener("online", tellConnection);
tellConnection();

// How much waits stands on the tab too, wherever the news of it came from: in its title, and as a dot on its icon.
const TAB = /^\(\d+\+?\) /;

function showOnTab() {
  const count = document.getElementById("waiting-count");
  if (!count) return;
  const words = count.hidden ? "" : count.firstChild.textContent.trim();
  const title = document.title.replace(TAB, "");
  document.title = words ? `(${words}) ${title}` : title;
  const icon = document.querySelector("link[rel=icon]");
  const address = words ? icon.dataset.waiting : icon.dataset.calm;
  if (icon.getAttribute("href") !== address) icon.setAttribute("href", address);
}

document.addEventListener("htmx:after:swap", showOnTab);
