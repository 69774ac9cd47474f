// The line editor of an invoice: adds and removes lines and shows totals while the server stays the judge.

const form = document.querySelector("[data-lines]");
if (form) start(form);

function start(form) {
  const list = form.querySelector("[data-lines-list]");
  const count = form.querySelector("[name=lines-TOTAL_FORMS]");
  const template = form.querySelector("[data-line-template]");

  form.querySelector("[data-line-add]").addEventListener("click", (event) => {
    event.preventDefault();
    const holder = document.createElement("div");
    holder.innerHTML = template.innerHTML.replaceAll("__prefix__", list.children.length);
    const line = holder.querySelector("[data-line]");
    list.append(line);
    count.value = list.children.length;
    line.querySelector("input").focus();
    show(form);
  });

  list.addEventListener("click", (event) => {
    const button = event.target.closest("[data-line-remove]");
    if (!button) return;
    event.preventDefault();
    button.closest("[data-line]").remove();
    [...list.children].forEach(renumber);
    count.value = list.children.length;
    (list.querySelector("input") ?? form.querySelector("[data-line-add]")).focus();
    show(form);
  });

  form.addEventListener("input", () => show(form));
  show(form);
}

function renumber(line, place) {
  for (const element of line.querySelectorAll("*")) {
    for (const name of ["name", "id", "for", "aria-describedby"]) {
      const value = element.getAttribute(name);
      if (value) element.setAttribute(name, value.replace(/lines-\d+-/g, `lines-${place}-`));
    }
  }
  line.querySelector("[data-line-remove]").value = place;
}

function show(form) {
  const currency = form.querySelector("[name=currency]").value;
  const format = new Intl.NumberFormat(document.documentElement.lang, { style: "currency", currency, minimumFractionDigits: 2 });
  const written = (minor) => format.format(`${minor < 0n ? "-" : ""}${abs(minor) / 100n}.${String(abs(minor) % 100n).padStart(2, "0")}`);
  let total = 0n;
  for (const line of form.querySelectorAll("[data-lines-list] > [data-line]")) {
    const minor = lineTotal(field(line, "quantity"), field(line, "unit_price"));
    line.querySelector("[data-line-total]").textContent = minor === null ? "" : written(minor);
    total += minor ?? 0n;
  }
  form.querySelector("[data-total]").textContent = written(total);
  form.querySelector("[data-lines-total]").hidden = false;
}

function field(line, name) {
  return line.querySelector(`[name$="-${name}"]`).value;
}

/** Hundredths, halves away from zero as the server rounds; null where a number cannot be read. */
function lineTotal(quantity, price) {
  const thousandths = read(quantity || "1", 3);
  const hundredths = read(price, 2);
  if (thousandths === null || hundredths === null) return null;
  const product = thousandths * hundredths;
  const rounded = (abs(product) + 500n) / 1000n;
  return product < 0n ? -rounded : rounded;
}

function read(text, decimals) {
  const spaced = text.trim().replace(/\s/g, " ");
  const sign = /^[-−]/.test(spaced) ? -1n : 1n;
  const digits = spaced.replace(/^[-−]\s*/, "");
  const found =
    /^(\d{1,12}|\d{1,3}(?: \d{3}){1,3})(?:[.,](\d{1,3}))?$/.exec(digits) ??
    /^(\d{1,3}(?:,\d{3}){1,3})\.(\d{1,3})$/.exec(digits) ??
    /^(\d{1,3}(?:\.\d{3}){1,3}),(\d{1,3})$/.exec(digits);
  if (!found || (found[2] ?? "").length > decimals) return null;
  return sign * BigInt(found[1].replace(/\D/g, "") + (found[2] ?? "").padEnd(decimals, "0"));
}

function abs(number) {
  return number < 0n ? -number : number;
}
