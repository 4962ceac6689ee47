// What a person can do with a download: put it first, pause, resume, cancel it. The buttons that make sense in its state, and nothing else.

import { send } from "../api.js";
import { confirmLoss } from "../dialogs.js";
import { element } from "../dom.js";
import { attempt } from "../notices.js";
import { lookAgain } from "../state.js";

/** The buttons with `update(download, name)`. Their listeners ask for the download at the time of the click. */
export function downloadActions() {
  let current = null;
  let currentName = "";
  const next = button("Start next", () => act("PATCH", path(), { priority: "high" }));
  next.classList.add("reorder");
  const pause = button("Pause", () => act("POST", `${path()}/pause`));
  const resume = button("Resume", () => act("POST", `${path()}/resume`));
  const cancel = button("Cancel", cancelIt);
  const box = element("div", { class: "actions" }, next, pause, resume, cancel);

  function path() {
    return `api/downloads/${encodeURIComponent(current.id)}`;
  }

  async function act(method, address, body = null) {
    box.inert = true;
    await attempt(() => send(method, address, body));
    box.inert = false;
    lookAgain();
  }

  async function cancelIt() {
    const sure = await confirmLoss({
      title: `Cancel ${currentName}?`,
      text: "Files that are whole stay. What has arrived of the others is thrown away.",
      action: "Cancel the download",
    });
    if (sure) await act("DELETE", path());
  }

  const update = (download, name) => {
    current = download;
    currentName = name;
    const { status, priority } = download;
    next.hidden = status !== "queued" || priority === "high";
    pause.hidden = !["queued", "downloading", "verifying"].includes(status);
    resume.hidden = !["paused", "failed"].includes(status);
    resume.textContent = status === "failed" ? "Try again" : "Resume";
    cancel.hidden = !["queued", "downloading", "verifying", "paused"].includes(status);
    for (const made of [next, pause, resume, cancel]) made.setAttribute("aria-label", `${made.textContent} ${name}`);
  };
  return { element: box, update };
}

function button(text, onclick) {
  return element("button", { class: "button", type: "button", onclick }, text);
}
