// Asks the browser for a passkey: to sign a decision, or to add one to an account. What it answers travels in the page's own
// form; without this script the form is sent by hand, with login and password.

const asBytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));

function asText(buffer) {
  const bytes = String.fromCharCode(...new Uint8Array(buffer));
  return btoa(bytes).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

const withBytes = (credentials) => (credentials ?? []).map((one) => ({ ...one, id: asBytes(one.id) }));

async function sign(options) {
  const made = await navigator.credentials.get({
    publicKey: {
      ...options,
      challenge: asBytes(options.challenge),
      allowCredentials: withBytes(options.allowCredentials),
    },
  });
  const { authenticatorData, clientDataJSON, signature } = made.response;
  return answer(made, { authenticatorData, clientDataJSON, signature });
}

async function add(options) {
  const made = await navigator.credentials.create({
    publicKey: {
      ...options,
      challenge: asBytes(options.challenge),
      user: { ...options.user, id: asBytes(options.user.id) },
      excludeCredentials: withBytes(options.excludeCredentials),
    },
  });
  const { attestationObject, clientDataJSON } = made.response;
  return answer(made, { attestationObject, clientDataJSON });
}

function answer(made, response) {
  const spelt = Object.fromEntries(Object.entries(response).map(([name, value]) => [name, asText(value)]));
  return JSON.stringify({ id: made.id, rawId: asText(made.rawId), type: made.type, response: spelt, clientExtensionResults: {} });
}

// What the server asks the browser for; null where it said something instead, or nobody is logged in any more.
async function asked(form, say) {
  const fields = new URLSearchParams(new FormData(form));
  fields.delete("passkey");
  const reply = await fetch(form.dataset.passkeyAsk, { method: "POST", body: fields, credentials: "same-origin" });
  if (reply.redirected) {
    window.location.assign(reply.url);
    return null;
  }
  const told = await reply.json();
  if (reply.ok) {
    return told.options;
  }
  say(told.message);
  return null;
}

async function run(form, button, said) {
  const say = (text) => {
    said.hidden = text === "";
    said.textContent = text;
  };
  say("");
  let options = null;
  try {
    options = await asked(form, say);
  } catch {
    say(form.dataset.passkeyLost);
  }
  if (options === null) {
    return;
  }
  try {
    const use = button.dataset.passkeyUse === "sign" ? sign : add;
    form.elements.namedItem("passkey").value = await use(options);
  } catch {
    say(form.dataset.passkeyCancelled);
    return;
  }
  for (const field of form.querySelectorAll('input[name="password"], input[name="login"]')) {
    field.value = "";
  }
  form.submit();
}

document.querySelector("[data-passkey-scriptless]")?.setAttribute("hidden", "");
for (const form of document.querySelectorAll("form[data-passkey-ask]")) {
  const part = form.querySelector("[data-passkey-part]");
  if (!window.PublicKeyCredential) {
    document.querySelector("[data-passkey-lacking]")?.removeAttribute("hidden");
    continue;
  }
  part.hidden = false;
  const button = part.querySelector("[data-passkey-use]");
  const said = part.querySelector("[data-passkey-said]");
  // A page that comes back from the browser's memory must not send an answer of before.
  form.elements.namedItem("passkey").value = "";
  const use = async () => {
    if (button.disabled) {
      return;
    }
    button.disabled = true;
    await run(form, button, said).finally(() => {
      button.disabled = false;
    });
  };
  if (button.dataset.passkeyUse === "sign") {
    button.addEventListener("click", use);
  } else {
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      use();
    });
  }
}
