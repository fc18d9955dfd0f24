// What is new arrives by itself. One event stream for the whole page says what changed, and the parts that are about it
// ask for themselves; without the stream they ask now and then. How a part takes part: docs/decisions/0014.
"use strict";

const STREAM_URL = "/live/";
const TICK_MS_OF_POLLS = 1_000;
const POLL_S = 10;
const HIDDEN_POLL_S = 30;
const GAP_S = 1;
// Several changes at once are one; and not every open page of everybody asks in the same instant.
const DEBOUNCE_MS = 50;
const SPREAD_MS = 200;
const SETTLE_MS = 100;
// The server says every 15 s that it is there. Whoever keeps that back, keeps back the news.
const SILENCE_MS = 40_000;
const RETRY_S = [2, 5, 10, 30];

const asking = new Map();
let stream = null;
let connection = null;
let streamTopics = [];
let heardAt = 0;
let knownAt = 0;
let lostAt = 0;
let retries = 0;
let retry = null;

function liveParts() {
  return document.querySelectorAll("[data-live][id]");
}

function topicsOf(part) {
  return part.dataset.live.split(" ").filter(Boolean);
}

/** What a part is at: parts are swapped by their successors, which have their id. */
function askingOf(id) {
  if (!asking.has(id)) asking.set(id, { at: performance.now(), isBusy: false, isDue: false, timer: null });
  return asking.get(id);
}

/** Let a part ask for itself, soon and not too often. */
function ask(part) {
  const it = askingOf(part.id);
  if (it.isBusy) it.isDue = true;
  if (it.isBusy || it.timer) return;
  const gapMs = Number(part.dataset.liveGap ?? GAP_S) * 1_000;
  const restMs = it.at + gapMs - performance.now();
  it.timer = setTimeout(() => {
    it.timer = null;
    const now = document.getElementById(part.id);
    if (!now?.matches("[data-live]")) return;
    it.at = performance.now();
    htmx.trigger(now, "live", {}, false);
  }, Math.max(restMs, DEBOUNCE_MS) + Math.random() * SPREAD_MS);
}

document.addEventListener("htmx:before:request", ({ detail }) => {
  const part = detail.ctx.sourceElement;
  if (part.matches("[data-live][id]")) askingOf(part.id).isBusy = true;
});

document.addEventListener("htmx:finally:request", ({ detail }) => {
  const it = asking.get(detail.ctx.sourceElement.id);
  if (!it?.isBusy) return;
  it.isBusy = false;
  const part = document.getElementById(detail.ctx.sourceElement.id);
  // Something came while the answer was on its way, and may not be in it.
  if (it.isDue && part?.matches("[data-live]")) ask(part);
  it.isDue = false;
});

// ---- What is swapped keeps the focus

const FOCUSABLE = "a[href], button, summary, input, select, textarea, [tabindex]";
let focused = null;

/** What arrives by itself must not take the focus away: remembered is where it is, in words that fit the successor too. */
document.addEventListener("htmx:before:swap", ({ detail }) => {
  const element = document.activeElement;
  const holder = detail.ctx?.sourceElement?.matches?.("[data-live]") ? element?.closest("[id]") : null;
  focused = holder && { element, id: holder.id, index: [...holder.querySelectorAll(FOCUSABLE)].indexOf(element) };
});

document.addEventListener("htmx:after:swap", () => {
  const { element, id, index } = focused ?? {};
  focused = null;
  if (!element || element.isConnected || document.activeElement !== document.body) return;
  const holder = document.getElementById(id);
  (index < 0 ? holder : holder?.querySelectorAll(FOCUSABLE)[index])?.focus({ preventScroll: true });
});

// ---- The stream

function isHeard() {
  return heardAt > 0 && performance.now() - heardAt < SILENCE_MS;
}

function heard() {
  heardAt = knownAt = performance.now();
  retries = 0;
  document.documentElement.dataset.stream = "open";
}

function lost() {
  if (heardAt === 0) return;
  heardAt = 0;
  lostAt = performance.now();
  document.documentElement.dataset.stream = "away";
}

/** How old what the page shows may be. What was heard since then has been asked for. */
function ageMs() {
  const loadedAt = performance.getEntriesByType("navigation")[0]?.requestStart ?? 0;
  return Math.round(performance.now() - Math.max(loadedAt, knownAt));
}

function closeStream() {
  clearTimeout(retry);
  if (!stream) return;
  const old = stream;
  stream = null;
  htmx.trigger(old, "htmx:abort", {}, false);
  old.remove();
  connection?.reader?.cancel();
  connection = null;
}

function openStream() {
  const age = ageMs();
  closeStream();
  if (!streamTopics.length || !window.ReadableStream) return;
  const query = new URLSearchParams(streamTopics.map((topic) => ["on", topic]));
  query.append("age_ms", age);
  stream = document.createElement("div");
  stream.id = "stream";
  stream.hidden = true;
  stream.setAttribute("hx-sse:connect", `${STREAM_URL}?${query}`);
  stream.setAttribute("hx-config", '{"sse": {"reconnectMaxDelay": 10000}}');
  stream.setAttribute("hx-swap", "none");
  stream.addEventListener("beat", heard);
  stream.addEventListener("news", ({ detail }) => {
    heard();
    const changed = detail.data.split(" ");
    for (const part of liveParts()) if (topicsOf(part).some((topic) => changed.includes(topic))) ask(part);
  });
  document.body.append(stream);
  htmx.process(stream);
}

/** hx-sse comes back by itself once it was there; until then that is for us. */
function openLater() {
  lost();
  clearTimeout(retry);
  const waitS = RETRY_S[Math.min(retries, RETRY_S.length - 1)];
  retries += 1;
  retry = setTimeout(openStream, waitS * 1_000 * (1 + Math.random() / 2));
}

document.addEventListener("htmx:sse:before:connection", ({ target, detail }) => {
  if (target !== stream) return;
  // Before the first event of each try: what was heard until then is over.
  connection = detail.connection;
  if (connection.attempt > 0) lost();
});
document.addEventListener("htmx:sse:error", ({ target }) => { if (target === stream) lost(); });
document.addEventListener("htmx:sse:close", ({ target }) => { if (target === stream) openLater(); });
document.addEventListener("htmx:error", ({ target }) => { if (target === stream) openLater(); });
document.addEventListener("htmx:after:request", ({ target }) => { if (target === stream) openLater(); });

// ---- What is on the page

/** After each swap: other parts may be there, about something else, or one that is due at a certain time. */
function lookAround() {
  const parts = [...liveParts()];
  const wanted = [...new Set(parts.flatMap(topicsOf))].sort();
  const hasNew = wanted.some((topic) => !streamTopics.includes(topic));
  if (hasNew || !wanted.length) {
    streamTopics = wanted;
    // Whoever goes through a list with the arrow keys opens one stream in the end.
    clearTimeout(retry);
    retry = setTimeout(openStream, SETTLE_MS);
  }
  for (const part of parts) {
    askingOf(part.id);
    if (!part.dataset.liveIn || part.dataset.isAwaited) continue;
    part.dataset.isAwaited = "yes";
    setTimeout(() => { if (part.isConnected) ask(part); }, Number(part.dataset.liveIn) * 1_000);
  }
}

/** Only while no stream is there. A hidden page has none: it asks seldom, for what its tab shows. */
function poll() {
  if (heardAt && !isHeard()) lost();
  if (isHeard() && !document.hidden) return;
  const now = performance.now();
  for (const part of liveParts()) {
    const everyS = Number(part.dataset.liveEvery ?? POLL_S);
    const paceMs = 1_000 * (document.hidden ? Math.max(everyS, HIDDEN_POLL_S) : everyS);
    if (now - Math.max(askingOf(part.id).at, document.hidden ? 0 : lostAt) >= paceMs) ask(part);
  }
}

document.addEventListener("htmx:after:swap", lookAround);
// After htmx has begun, which would else find the stream a second time.
setTimeout(lookAround);
setInterval(poll, TICK_MS_OF_POLLS);
