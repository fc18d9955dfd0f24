// One box that ticks all others of the list, and shows whether all of them are ticked, or some.
"use strict";

function boxes() {
  return [...document.querySelectorAll("#stuck-form input[name=job]")];
}

function showTicked() {
  const all = document.getElementById("stuck-all");
  if (!all) return;
  const ticked = boxes().filter((box) => box.checked).length;
  all.checked = ticked > 0 && ticked === boxes().length;
  all.indeterminate = ticked > 0 && !all.checked;
}

document.addEventListener("change", ({ target }) => {
  if (target.id === "stuck-all") for (const box of boxes()) box.checked = target.checked;
  showTicked();
});
document.addEventListener("htmx:after:swap", showTicked);
showTicked();
