// Lets files be dropped anywhere on the import page; without this file the plain input does the same.

const form = document.querySelector("[data-drop]");
if (form) start(form);

function start(form) {
  const input = form.querySelector("input[type=file]");
  form.classList.add("can-drop");
  let depth = 0; // dragenter and dragleave also tell of each element inside

  const show = () => form.classList.toggle("over", depth > 0);

  document.addEventListener("dragenter", (event) => {
    if (!holdsFiles(event)) return;
    depth += 1;
    show();
  });
  document.addEventListener("dragleave", (event) => {
    if (!holdsFiles(event)) return;
    depth = Math.max(depth - 1, 0);
    show();
  });
  document.addEventListener("dragover", (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "copy";
  });
  document.addEventListener("drop", (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    depth = 0;
    show();
    input.files = event.dataTransfer.files;
    form.requestSubmit();
  });

  form.addEventListener("submit", () => form.classList.add("busy"));
  addEventListener("pageshow", () => form.classList.remove("busy"));
}

function holdsFiles(event) {
  return event.dataTransfer?.types.includes("Files") ?? false;
}
