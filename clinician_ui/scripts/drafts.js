// Keeps what is typed into a form on the server while it is typed, so that a lost connection or an ended session loses
// nothing and no ward computer keeps a word of it: nothing is written to the browser's own storage.
//
// A form opts in with data-draft (the step) and data-draft-to (where to send); an element with data-draft-status says what
// became of it, in the words of its own data attributes. Passwords are never sent. Without this script, a button does the same.

const WAIT_MS = 1200;
const AGAIN_MS = 5000;

function typed(form) {
  const fields = new URLSearchParams();
  for (const [name, value] of new FormData(form)) {
    const secret = [...form.elements].some((field) => field.name === name && field.type === "password");
    if (!secret && typeof value === "string") {
      fields.append(name, value);
    }
  }
  fields.set("step", form.dataset.draft);
  return fields;
}

class Keeper {
  constructor(form, status) {
    this.form = form;
    this.status = status;
    this.timer = 0;
    this.kept = typed(form).toString();
    this.sending = null;
    this.sent = false;
  }

  soon(wait = WAIT_MS) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.keep(), wait);
  }

  stop() {
    clearTimeout(this.timer);
    this.sending?.abort();
    this.sent = true;
  }

  async keep() {
    clearTimeout(this.timer);
    const fields = typed(this.form).toString();
    if (this.sent || fields === this.kept) {
      return;
    }
    this.sending?.abort();
    const sending = new AbortController();
    this.sending = sending;
    try {
      const answer = await fetch(this.form.dataset.draftTo, {
        method: "POST",
        body: fields,
        headers: { "Content-Type": "application/x-www-form-urlencoded", "X-Arbiter-Draft": "1" },
        keepalive: true,
        redirect: "manual",
        signal: sending.signal,
      });
      if (answer.ok) {
        this.kept = fields;
        this.say((await answer.json()).said);
      } else {
        // Led to the log-in page, or refused because the session or the hold is over: sending again would not help.
        this.say(this.status.dataset.ended);
      }
    } catch (error) {
      if (error.name !== "AbortError") {
        this.say(this.status.dataset.lost);
        this.soon(AGAIN_MS);
      }
    }
  }

  say(words) {
    if (this.status.textContent !== words) {
      this.status.textContent = words;
    }
  }
}

for (const form of document.querySelectorAll("form[data-draft]")) {
  const keeper = new Keeper(form, form.querySelector("[data-draft-status]"));
  // Fields may stand outside the form they belong to, so the page is listened to, not the form.
  document.addEventListener("input", (event) => {
    if (event.target.form === form && event.target.type !== "password") {
      keeper.soon();
    }
  });
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "hidden") {
      keeper.keep();
    }
  });
  window.addEventListener("online", () => keeper.keep());
  form.addEventListener("submit", () => keeper.stop());
}
