// The ages in the list go on while the page is open: with each look for news they are told anew.
"use strict";

const UNITS = [[86_400, "d"], [3_600, "h"], [60, "min"]];

/** One unit, rounded down, as the server says it. */
function span(seconds) {
  const [size, unit] = UNITS.find(([size]) => seconds >= size) ?? [1, "s"];
  return `${Math.floor(Math.max(seconds, 0) / size)} ${unit}`;
}

document.addEventListener("htmx:after:request", ({ detail }) => {
  if (!detail.ctx.request.action.includes("/inbox/new/")) return;
  for (const time of document.querySelectorAll(".inbox-row time")) {
    // What is said as a date stays one.
    const said = /^\d+ (s|min|h|d)( ago)?$/.exec(time.textContent);
    if (said) time.textContent = span((Date.now() - Date.parse(time.dateTime)) / 1000) + (said[2] ?? "");
  }
});
