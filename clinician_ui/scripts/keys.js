// Obeys the keyboard shortcuts that the page names, and shows their list over the page. What there is, and what the list
// says, comes from the server: this file holds no key and no text.

const OFF = "arbiter-keys-off";
const PAUSE_MS = 1500;

const link = document.querySelector("[data-keys]");
const shortcuts = link ? JSON.parse(link.dataset.keys) : {};
const beginnings = new Set(Object.keys(shortcuts).filter((keys) => keys.includes(" ")).map((keys) => keys.split(" ")[0]));
let begun = "";
let begunAt = 0;

// A browser that keeps nothing (private, or told so) has the shortcuts on, and forgets that they were switched off.
function areOn() {
  try {
    return localStorage.getItem(OFF) === null;
  } catch {
    return true;
  }
}

function turn(on) {
  try {
    if (on) {
      localStorage.removeItem(OFF);
    } else {
      localStorage.setItem(OFF, "1");
    }
  } catch {
    // Nothing is kept: they stay on.
  }
}

function offerSwitch(within) {
  const place = within.querySelector("[data-keys-switch]");
  const box = within.querySelector("[data-keys-on]");
  if (place && box) {
    place.hidden = false;
    box.checked = areOn();
    box.addEventListener("change", () => turn(box.checked));
  }
}

async function showList() {
  let list;
  try {
    const answer = await fetch(link.href, { headers: { Accept: "text/html" } });
    list = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("keys");
  } catch {
    list = null;
  }
  if (!list) {
    location.assign(link.href);
    return;
  }
  const dialog = document.createElement("dialog");
  dialog.className = "arbiter-dialog";
  dialog.setAttribute("aria-labelledby", "keys-heading");
  dialog.append(document.adoptNode(list));
  offerSwitch(dialog);
  const close = dialog.querySelector("[data-keys-close]");
  close.hidden = false;
  close.addEventListener("click", () => dialog.close());
  const before = document.activeElement;
  dialog.addEventListener("close", () => {
    dialog.remove();
    before?.focus?.();
  });
  document.body.append(dialog);
  dialog.showModal();
}

const FOCUSABLE = "a[href], button, input:not([type=hidden]), summary";

function step(by) {
  const items = [...document.querySelectorAll("[data-shortcut-list] > *")].filter((item) => item.querySelector(FOCUSABLE));
  const at = items.findIndex((item) => item.contains(document.activeElement));
  const next = at < 0 ? (by > 0 ? 0 : items.length - 1) : at + by;
  items[next]?.querySelector(FOCUSABLE).focus();
}

const acts = {
  list: showList,
  down: () => step(1),
  up: () => step(-1),
  filter: () => document.querySelector('[data-shortcut="/"]')?.focus(),
  next: () => {
    const it = document.querySelector('[data-shortcut="n"]');
    if (it instanceof HTMLFormElement) {
      it.requestSubmit();
    } else {
      it?.click();
    }
  },
};

function obey(shortcut) {
  if (shortcut.go) {
    location.assign(shortcut.go);
  } else {
    acts[shortcut.act]?.();
  }
}

function typing(element) {
  return element.closest("input, textarea, select, [contenteditable]") !== null || document.querySelector("dialog[open]") !== null;
}

function pressed(event) {
  if (event.defaultPrevented || event.repeat || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) {
    return;
  }
  if (!(event.target instanceof Element) || typing(event.target) || !areOn()) {
    begun = "";
    return;
  }
  const recent = begun && event.timeStamp - begunAt < PAUSE_MS;
  const found = (recent && shortcuts[`${begun} ${event.key}`]) || shortcuts[event.key];
  begun = !found && beginnings.has(event.key) ? event.key : "";
  begunAt = event.timeStamp;
  if (found) {
    event.preventDefault();
    obey(found);
  }
}

if (link) {
  document.addEventListener("keydown", pressed);
  offerSwitch(document);
}
