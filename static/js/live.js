// A page that goes on by itself: what is open stays open, what was fetched stays there, the focus stays where it is.
"use strict";

let kept = null;

/** Where the focus is, in words that also fit what will stand in its place. */
function focusIn(panel) {
  const element = document.activeElement;
  if (!panel.contains(element)) return null;
  const holder = element.closest("[id]");
  return { element, id: holder.id, index: [...holder.querySelectorAll("a, button, summary, [tabindex]")].indexOf(element) };
}

function firstInView(panel) {
  return [...panel.querySelectorAll("details.step")].find((step) => step.getBoundingClientRect().bottom > 0);
}

document.addEventListener("htmx:before:swap", () => {
  const panel = document.getElementById("timeline-panel");
  if (!panel) return;
  const anchor = firstInView(panel);
  kept = {
    panel,
    focus: focusIn(panel),
    anchor: anchor && { id: anchor.id, top: anchor.getBoundingClientRect().top },
    open: new Map(),
    closed: new Set(),
  };
  for (const step of panel.querySelectorAll("details.step")) {
    if (step.open) kept.open.set(step.id, { version: step.dataset.version, detail: step.querySelector(".step-detail") });
    else kept.closed.add(step.id);
  }
});

document.addEventListener("htmx:after:swap", () => {
  const panel = document.getElementById("timeline-panel");
  if (!kept || !panel || panel === kept.panel) return;
  for (const step of panel.querySelectorAll("details.step")) {
    const before = kept.open.get(step.id);
    if (before) {
      step.open = true;
      // The same record: what was fetched into it is still right.
      if (before.version === step.dataset.version) {
        step.querySelector(".step-detail").replaceWith(before.detail);
        htmx.process(before.detail);
      }
    } else if (kept.closed.has(step.id)) {
      step.open = false;
    }
  }
  if (kept.focus && document.activeElement === document.body) {
    const { element, id, index } = kept.focus;
    const holder = document.getElementById(id);
    const same = element.isConnected ? element : holder?.querySelectorAll("a, button, summary, [tabindex]")[index];
    same?.focus({ preventScroll: true });
  }
  const anchor = kept.anchor && document.getElementById(kept.anchor.id);
  if (anchor) window.scrollBy(0, anchor.getBoundingClientRect().top - kept.anchor.top);
  kept = null;
});
