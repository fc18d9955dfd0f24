// New rows take their place in the list by themselves, and those that are decided say so where they stand. Nothing moves
// under somebody who is at the list: then it waits behind its link, until they leave the list or ask for it.
"use strict";

const arrivalsList = document.getElementById("list");
const canHover = matchMedia("(hover: hover)");
let isOld = false;
let isFetching = false;

function newsLink() {
  return document.getElementById("news-link");
}

function somebodyIsAtTheList() {
  return (
    (canHover.matches && arrivalsList.matches(":hover")) ||
    arrivalsList.contains(document.activeElement) ||
    arrivalsList.querySelector(".row-check :checked") !== null
  );
}

/** Nobody has typed half a filter or looks at a request beside the empty list. */
function nothingIsBegun() {
  const text = document.querySelector(".filter-text");
  return document.activeElement === document.body && text.value === text.defaultValue && !openId();
}

function keyOf(row) {
  return row.querySelector(".inbox-row-title").id;
}

function rowsIn(root) {
  return [...root.querySelectorAll(".inbox-row")];
}

/** Whatever scrolls the list: itself where it has a pane beside it, else the page. */
function scroller() {
  return getComputedStyle(arrivalsList).overflowY === "auto" ? arrivalsList : document.scrollingElement;
}

/** The page as it would be made now; `null` where that cannot be said. */
async function freshPage() {
  const href = new URL(location.href);
  href.hash = "";
  href.searchParams.delete("request");
  const answer = await fetch(href, { headers: { Accept: "text/html" } });
  if (!answer.ok || answer.redirected) return null;
  return new DOMParser().parseFromString(await answer.text(), "text/html");
}

/** Rows that are not listed any more, up to the last one of the fresh page; behind it nothing is known. */
function gone(rows, fresh) {
  const listed = new Set(rowsIn(fresh).map(keyOf));
  const last = fresh.querySelector(".inbox-more") ? rows.findLastIndex((row) => listed.has(keyOf(row))) : rows.length;
  return rows.filter((row, place) => place < last && !listed.has(keyOf(row)));
}

function mergeInto(rows, fresh) {
  const known = new Map(rowsIn(rows).map((row) => [keyOf(row), row]));
  for (const row of gone([...known.values()], fresh)) {
    row.classList.add("is-done");
    const box = row.querySelector(".row-check input");
    if (box) box.checked = false;
  }
  const arrived = [];
  let before = null;
  for (const row of rowsIn(fresh)) {
    const old = known.get(keyOf(row));
    if (old) {
      old.classList.remove("is-done");
      old.querySelector(".inbox-row-meta").replaceWith(row.querySelector(".inbox-row-meta"));
    } else {
      before ? before.after(row) : rows.prepend(row);
      row.classList.add("is-new");
      htmx.process(row);
      arrived.push(row);
    }
    before = old ?? row;
  }
  return arrived;
}

function merge(fresh) {
  const rows = arrivalsList.querySelector(".inbox-rows");
  const view = scroller();
  const anchor = view.scrollTop > 0 && rowsIn(arrivalsList).find((row) => row.getBoundingClientRect().bottom > 0);
  const top = anchor && anchor.getBoundingClientRect().top;
  const arrived = mergeInto(rows, fresh.querySelector(".inbox-rows"));
  const news = fresh.getElementById("news");
  document.getElementById("news").replaceWith(news);
  htmx.process(news);
  isOld = false;
  if (anchor) view.scrollBy(0, anchor.getBoundingClientRect().top - top);
  tellSelection();
  return arrived;
}

/** `isAsked`: somebody pressed the link, and wants to be led to what is new. */
async function bringIn({ isAsked = false } = {}) {
  if (!isOld || isFetching || (!isAsked && somebodyIsAtTheList())) return;
  isFetching = true;
  try {
    const fresh = await freshPage();
    const hasRows = fresh?.querySelector(".inbox-rows") && arrivalsList.querySelector(".inbox-rows");
    // From nothing to something: then there is no list to put it in.
    if (!hasRows) return isAsked || (fresh?.querySelector(".inbox-rows") && nothingIsBegun()) ? location.reload() : undefined;
    if (!isAsked && somebodyIsAtTheList()) return;
    const [first] = merge(fresh);
    if (isAsked) (first?.querySelector(".inbox-row-title") ?? document.getElementById("news")).focus();
  } catch {
    // The link is still there.
    if (isAsked) location.reload();
  } finally {
    isFetching = false;
  }
}

document.addEventListener("htmx:after:swap", ({ detail }) => {
  if (detail.ctx?.sourceElement?.id === "news") isOld = true;
  bringIn();
});
arrivalsList.addEventListener("pointerleave", () => bringIn());
arrivalsList.addEventListener("focusout", () => setTimeout(bringIn));
arrivalsList.addEventListener("click", (event) => {
  if (event.target !== newsLink() || event.metaKey || event.ctrlKey || event.shiftKey) return;
  event.preventDefault();
  bringIn({ isAsked: true });
});
