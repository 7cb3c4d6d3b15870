// What a page can do better with a script; without one everything works as well.
"use strict";
for (const value of document.querySelectorAll("[data-copy]")) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "quiet small";
  button.textContent = value.dataset.copy;
  button.addEventListener("click", () => navigator.clipboard.writeText(value.textContent.trim()));
  value.after(" ", button);
}
for (const form of document.querySelectorAll("form[data-ask]")) {
  form.addEventListener("submit", (event) => {
    if (!confirm(form.dataset.ask)) event.preventDefault();
  });
}
