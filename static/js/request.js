// Counts down to the start of the run; after a row came or went, or an edit was put back, moves the focus where the
// server says.
"use strict";

const CONTROLS = "input:not([type=hidden]), select, textarea, button, summary";
const TICK_MS = 200;
const LONG_S = 90;

let endsAt = 0;
let ticking = null;
let hadUndo = false;

/** In the words of the server: see the filter `countdown`. */
function inWords(leftS) {
  const whole = Math.max(Math.ceil(leftS), 0);
  return whole < LONG_S ? `${whole} s` : `${Math.ceil(whole / 60)} min`;
}

function tick() {
  const words = document.getElementById("countdown");
  if (!words) {
    clearInterval(ticking);
    ticking = null;
    return;
  }
  const said = inWords((endsAt - performance.now()) / 1000);
  if (words.textContent !== said) words.textContent = said;
}

/** Goes on from what the server said was left, whatever the clock of this computer shows. */
function countDown() {
  const words = document.getElementById("countdown");
  if (!words || words.dataset.isCounting) return;
  words.dataset.isCounting = "yes";
  const leftS = Number(words.dataset.leftS);
  const windowS = Math.max(Number(words.dataset.windowS), leftS);
  endsAt = performance.now() + leftS * 1000;
  ticking ??= setInterval(tick, TICK_MS);
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  const gone = 10 * (1 - leftS / windowS);
  document.querySelector(".countdown-left")?.animate(
    [{ strokeDashoffset: gone }, { strokeDashoffset: 10 }],
    { duration: leftS * 1000, fill: "both" },
  );
}

// The second click of a double click on Approve is none on Undo, which may stand there by then.
document.addEventListener("click", (event) => {
  if (event.detail > 1 && event.target.closest("#undo")) event.preventDefault();
}, true);

document.addEventListener("htmx:before:swap", () => {
  hadUndo = document.activeElement?.id === "undo";
});

document.addEventListener("htmx:after:swap", () => {
  countDown();
  // It went with the window, and the focus with it.
  if (hadUndo && document.activeElement === document.body) document.getElementById("progress-note")?.focus();
  const entry = document.querySelector("[data-focus]");
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

countDown();
