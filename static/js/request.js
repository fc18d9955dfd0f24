// After a row came or went, or an edit was put back, the focus goes on where the server says.
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
