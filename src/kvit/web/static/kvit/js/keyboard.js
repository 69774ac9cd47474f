// Keys for those who like them; every page works without this file.
// An element with data-key is pressed by that key: in the row that has the focus, else anywhere outside rows.
// The choices of an open list are pressed by their number.

const GO_WITHIN_MS = 1500;
let goPressedAt = -Infinity;

const rows = () => [...document.querySelectorAll("[data-row]")];
const currentRow = () => document.activeElement?.closest("[data-row]");

function isTyping(target) {
  return target.closest("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable], dialog[open]") !== null;
}

function focusRow(step) {
  const all = rows();
  if (all.length === 0) return;
  const at = all.indexOf(currentRow());
  const next = all[at === -1 ? 0 : Math.min(Math.max(at + step, 0), all.length - 1)];
  const target = next.matches("a, button, [tabindex]") ? next : next.querySelector("a, button");
  target?.focus({ preventScroll: true });
  next.scrollIntoView({ block: "nearest" });
}

function go(key) {
  document.querySelector(`[data-go="${CSS.escape(key)}"]`)?.click();
}

/** Presses what the key stands for; where no row has the focus yet, it only shows the first one that has it. */
function press(key) {
  const named = `[data-key="${CSS.escape(key)}"]`;
  const seen = (place, selector) => [...(place?.querySelectorAll(selector) ?? [])].find((found) => found.checkVisibility());
  const row = currentRow();
  const outside = [...document.querySelectorAll(named)].find((found) => !found.closest("[data-row]") && found.checkVisibility());
  const choice = row?.querySelector("details[open] .choices")?.children[Number.parseInt(key, 10) - 1];
  const target = choice ?? seen(row, named) ?? outside;
  if (target) target.click();
  else if (!row && rows().some((one) => seen(one, named))) focusRow(0);
  return Boolean(target);
}

const keys = {
  "/": () => document.getElementById("search")?.focus(),
  "?": () => document.getElementById("keys")?.showModal(),
  j: () => focusRow(1),
  k: () => focusRow(-1),
  g: () => { goPressedAt = performance.now(); },
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
  if (performance.now() - goPressedAt < GO_WITHIN_MS) {
    goPressedAt = -Infinity;
    go(event.key);
  } else if (event.key === "Enter" && event.target.matches("[data-row]")) {
    event.target.querySelector("a")?.click();
  } else if (Object.hasOwn(keys, event.key)) {
    event.preventDefault();
    keys[event.key]();
  } else if (event.key.length === 1 && event.key !== " " && !event.repeat) {
    if (press(event.key)) event.preventDefault();
  }
});

document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  const menu = document.querySelector("details.menu[open]");
  if (menu) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});
