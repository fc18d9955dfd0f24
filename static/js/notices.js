// Whoever follows a notice has read it: said to the server on the way, which a link alone cannot.
"use strict";

function read({ target }) {
  const link = target.closest("a[data-notice]");
  if (!link) return;
  const form = new FormData(document.getElementById("read-all"));
  form.set("notice", link.dataset.notice);
  fetch(document.getElementById("read-all").action, { method: "POST", body: form, keepalive: true, redirect: "manual" });
}

document.addEventListener("click", read);
// The middle button opens another tab.
document.addEventListener("auxclick", read);
