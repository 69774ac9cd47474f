// The review without leaving the place: acts are sent in the background, and the next card takes the place of
// the one that is done. Without this file, the same forms lead from page to page.

const UNDO_STAYS_MS = 10_000;
const TYPED_WITHIN_MS = 150;
let isBusy = false;

const queue = () => document.getElementById("queue");
const rowsOf = (place) => [...place.querySelectorAll("[data-row][id]")];

start();

function start() {
  const marked = location.hash.length > 1 ? document.getElementById(decodeURIComponent(location.hash.slice(1))) : null;
  if (document.activeElement === document.body) focus(marked ?? rowsOf(queue())[0]);
  watchMessages();
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  const button = event.submitter;
  if (form.matches("[data-chooser-form]")) {
    event.preventDefault();
    if (button?.hasAttribute("data-pay")) act(form, button);
    else gather(form, button);
  } else if (form.matches("[data-act], .undo-form")) {
    event.preventDefault();
    act(form, button);
  }
});

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-chooser]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  choose(link);
});

document.addEventListener("keydown", (event) => {
  const form = event.target.closest?.("[data-chooser-form]");
  if (!form) return;
  if (event.key === "Escape") {
    const row = form.closest("[data-row]");
    form.remove();
    focus(row);
  } else if (event.key === "Enter" && event.target.matches("input")) {
    event.preventDefault();
    enter(form, event.target);
  }
});

let typed;
document.addEventListener("input", (event) => {
  if (event.target.id !== "chooser-text") return;
  clearTimeout(typed);
  typed = setTimeout(() => find(event.target.form), TYPED_WITHIN_MS);
});

/** Sends a form that changes something, and shows the queue that it leads to. */
async function act(form, button) {
  if (isBusy) return;
  isBusy = true;
  queue().setAttribute("aria-busy", "true");
  const place = placeOf(form);
  try {
    const action = button?.getAttribute("formaction") || form.getAttribute("action");
    const response = await fetch(action, { method: "POST", body: new URLSearchParams(new FormData(form, button)) });
    show(await read(response), response, form, place);
  } catch {
    say(queue().dataset.failed);
  } finally {
    isBusy = false;
    queue().removeAttribute("aria-busy");
  }
}

function show(page, response, form, place) {
  const fresh = page.getElementById("queue");
  const chooser = page.getElementById("chooser");
  if (fresh) {
    queue().replaceWith(document.adoptNode(fresh));
    const messages = page.querySelector(".messages");
    document.querySelector(".messages").replaceChildren(...messages.childNodes);
    document.querySelector(".rail").replaceWith(document.adoptNode(page.querySelector(".rail")));
    document.title = page.title;
    history.replaceState(null, "", response.url);
    watchMessages();
    comeBack(place);
  } else if (chooser && form.matches("[data-chooser-form]")) {
    put(form, chooser);
    document.querySelector("#chooser [role=alert]")?.focus();
  } else if (response.ok) {
    location.assign(response.url);
  } else {
    say(queue().dataset.failed);
  }
}

/** Where the reader is: the card, how far down it stands, and the ones around it. */
function placeOf(form) {
  const all = rowsOf(queue());
  const row = form.closest("[data-row]") ?? document.activeElement?.closest("[data-row][id]");
  const at = all.indexOf(row);
  return {
    isUndo: form.matches(".undo-form"),
    known: new Set(all.map((one) => one.id)),
    wanted: at === -1 ? [] : [...all.slice(at), ...all.slice(0, at).reverse()].map((one) => one.id),
    top: row?.getBoundingClientRect().top ?? null,
  };
}

function comeBack(place) {
  const all = rowsOf(queue());
  const undone = place.isUndo ? all.find((one) => !place.known.has(one.id)) : null;
  const next = undone ?? place.wanted.map((id) => document.getElementById(id)).find((one) => one) ?? all[0];
  if (!next) {
    queue().querySelector("[data-zero]")?.focus();
  } else {
    if (place.top !== null && !undone) scrollBy({ top: next.getBoundingClientRect().top - place.top, behavior: "instant" });
    focus(next);
  }
}

function focus(row) {
  if (!row) return;
  const target = row.matches("[tabindex]") ? row : row.querySelector("a, button");
  target?.focus({ preventScroll: true });
  row.scrollIntoView({ block: "nearest", behavior: "instant" });
}

/** Opens the choice of other invoices in the card. */
async function choose(link) {
  const row = link.closest("[data-row]");
  const open = row.querySelector("#chooser");
  if (open) return open.querySelector("#chooser-text")?.focus();
  document.getElementById("chooser")?.remove();
  const chooser = (await ask(link.href))?.getElementById("chooser");
  if (!chooser) return location.assign(link.href);
  row.append(document.adoptNode(chooser));
  row.querySelector("#chooser-text")?.focus({ preventScroll: true });
  row.querySelector("#chooser").scrollIntoView({ block: "nearest" });
}

/** Adds a document to those chosen, or takes one away; the amounts written so far are kept. */
async function gather(form, button) {
  const chooser = (await ask(addressOf(form, button)))?.getElementById("chooser");
  if (!chooser || !form.isConnected) return;
  put(form, chooser);
  document.getElementById("chooser-text")?.focus();
}

/** Shows what fits the text; what is chosen stays as it is. */
async function find(form) {
  const asked = form.querySelector("#chooser-text").value;
  const found = (await ask(addressOf(form)))?.getElementById("chooser-found");
  if (found && form.isConnected && form.querySelector("#chooser-text").value === asked) {
    form.querySelector("#chooser-found").replaceWith(document.adoptNode(found));
  }
}

/** Enter adds the first that fits; where nothing is written and something is chosen, it pays. */
async function enter(form, input) {
  const pay = form.querySelector("[data-pay]");
  if (pay && !(input.id === "chooser-text" && input.value.trim())) return form.requestSubmit(pay);
  clearTimeout(typed);
  await find(form);
  form.querySelector("#chooser-found button")?.click();
}

function addressOf(form, button) {
  const values = new FormData(form, button);
  return `${form.getAttribute("action")}?${new URLSearchParams(values)}`;
}

async function ask(address) {
  try {
    return await read(await fetch(address));
  } catch {
    say(queue().dataset.failed);
    return null;
  }
}

async function read(response) {
  return new DOMParser().parseFromString(await response.text(), "text/html");
}

function put(form, chooser) {
  form.replaceWith(document.adoptNode(chooser));
}

function say(text) {
  const message = document.createElement("div");
  message.className = "message error";
  message.textContent = text;
  document.querySelector(".messages").replaceChildren(message);
}

/** What can be undone goes after a while, but not under the pointer or the focus. */
function watchMessages() {
  for (const message of document.querySelectorAll(".message:has(.undo-form)")) {
    let timer;
    const wait = () => { clearTimeout(timer); timer = setTimeout(() => message.remove(), UNDO_STAYS_MS); };
    const stay = () => clearTimeout(timer);
    message.addEventListener("pointerenter", stay);
    message.addEventListener("focusin", stay);
    message.addEventListener("pointerleave", wait);
    message.addEventListener("focusout", wait);
    wait();
  }
}
