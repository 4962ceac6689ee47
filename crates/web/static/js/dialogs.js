// Questions that stop everything until they are answered. The browser keeps the focus inside and gives it back afterwards.

import { element, field } from "./dom.js";

/** Asks before something is lost. Resolves to true only if the person chose `action`. */
export function confirmLoss({ title, text, action }) {
  const stay = element("button", { class: "button", value: "", autofocus: true }, "Keep");
  const go = element("button", { class: "button danger", value: "yes" }, action);
  const form = element(
    "form",
    { method: "dialog", class: "dialog-body" },
    element("h2", { id: "question" }, title),
    element("p", {}, text),
    element("div", { class: "actions end" }, stay, go),
  );
  const dialog = element("dialog", { class: "dialog", "aria-labelledby": "question" }, form);
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** Asks for the password until `logIn` accepts one; `logIn` throws the sentence that says why not. One at a time. */
export function askForPassword(logIn) {
  if (document.getElementById("login") !== null) return;
  const password = element("input", {
    type: "password",
    autocomplete: "current-password",
    required: true,
    autofocus: true,
  });
  const refusal = element("p", { class: "refusal", role: "alert" });
  const form = element(
    "form",
    { class: "dialog-body" },
    element("h2", {}, "Log in"),
    element("p", { class: "muted" }, "Sign in to continue."),
    field("Password", password),
    refusal,
    element("div", { class: "actions end" }, element("button", { class: "button primary" }, "Log in")),
  );
  const dialog = element("dialog", { class: "dialog", id: "login", "aria-label": "Log in" }, form);
  dialog.addEventListener("cancel", (event) => event.preventDefault());
  dialog.addEventListener("close", () => dialog.remove());
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await logIn(password.value);
      dialog.close();
    } catch (error) {
      refusal.textContent = error.sentence ?? error.message;
      password.select();
    }
  });
  document.body.append(dialog);
  dialog.showModal();
}
