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
for (const button of document.querySelectorAll("button[data-ask]")) {
  button.addEventListener("click", (event) => {
    if (!confirm(button.dataset.ask)) return event.preventDefault();
    // Without it a page asks.
    const sure = document.createElement("input");
    [sure.type, sure.name, sure.value] = ["hidden", "sure", "yes"];
    button.form.append(sure);
  });
}
for (const input of document.querySelectorAll("input[data-shrink]")) {
  input.addEventListener("change", async () => {
    try {
      const picture = await createImageBitmap(input.files[0]);
      const side = Number(input.dataset.shrink);
      const part = Math.min(picture.width, picture.height);
      const canvas = document.createElement("canvas");
      canvas.width = canvas.height = Math.min(side, part);
      const [left, top] = [(picture.width - part) / 2, (picture.height - part) / 2];
      canvas.getContext("2d").drawImage(picture, left, top, part, part, 0, 0, canvas.width, canvas.height);
      const small = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.85));
      const files = new DataTransfer();
      files.items.add(new File([small], "picture.jpg", { type: "image/jpeg" }));
      input.files = files.files;
    } catch {
      // No picture, or none that this browser knows: the service says what is wrong with it.
    }
  });
}
