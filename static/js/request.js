// After a row came or went, or an edit was put back, the focus goes on where the server says. The undo window counts down.
"use strict";

const CONTROLS = "input:not([type=hidden]), select, textarea, button, summary";

document.addEventListener("htmx:after:swap", () => {
  const entry = document.querySelector("#entry[data-focus]");
  if (!entry) return;
  const place = document.getElementById(entry.dataset.focus);
  delete entry.dataset.focus;
  // Only where the swap has taken it away.
  if (!place || document.activeElement !== document.body) return;
  const control = place.matches(CONTROLS) ? place : place.querySelector(CONTROLS);
  const fold = control?.closest("details:not([open])");
  if (fold) fold.open = true;
  control?.focus();
});

/** What is left of the undo window, counted here: the server is asked only whether something else has happened. */
let windowEnds = null;

function countDown() {
  const words = document.getElementById("countdown");
  if (!words) {
    windowEnds = null;
    return;
  }
  const whole = Number(words.dataset.windowS);
  // Another decision, or the same one after it was undone, brings other words.
  if (windowEnds?.words !== words) windowEnds = { words, at: performance.now() + 1000 * Number(words.dataset.leftS) };
  const left = Math.max(0, (windowEnds.at - performance.now()) / 1000);
  const seconds = Math.ceil(left);
  const said = seconds < 90 ? `${seconds} s` : `${Math.ceil(seconds / 60)} min`;
  if (words.textContent !== said) words.textContent = said;
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const gone = whole > 0 ? 10 * (1 - (still ? Math.ceil(left) : left) / whole) : 10;
  document.querySelector(".countdown-left")?.setAttribute("stroke-dashoffset", Math.max(0, gone).toFixed(2));
  setTimeout(countDown, still ? 500 : 100);
}

for (const event of ["DOMContentLoaded", "htmx:after:swap"]) {
  document.addEventListener(event, () => {
    if (!windowEnds) countDown();
  });
}
