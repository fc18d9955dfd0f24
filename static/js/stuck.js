// One box that ticks all others of the list, and says when they are all ticked.
"use strict";

const boxes = () => [...document.querySelectorAll("#stuck-form input[name=job]")];

document.addEventListener("change", ({ target }) => {
  const all = document.getElementById("stuck-all");
  if (!all) return;
  if (target === all) for (const box of boxes()) box.checked = all.checked;
  const ticked = boxes().filter((box) => box.checked).length;
  all.checked = ticked > 0 && ticked === boxes().length;
  all.indeterminate = ticked > 0 && !all.checked;
});
