// Short news in the corner, read out by screen readers. Owns how long they stay; knows nothing of their causes.

import { element } from "./dom.js";

const GOOD_NEWS_STAYS = 6000;
const MOST = 4;

/** Something went well; gone after a moment. */
export function tell(text) {
  const notice = show(text, "good");
  setTimeout(() => notice.remove(), GOOD_NEWS_STAYS);
}

/** Something failed: stays until it is dismissed. Takes an ApiError or a sentence. */
export function complain(error) {
  const text = typeof error === "string" ? error : (error.sentence ?? error.message);
  // One cause often fails many requests at once; one notice is enough.
  const shown = [...region().children].some((notice) => notice.firstElementChild.textContent === text);
  if (!shown) show(text, "bad");
}

/** Runs an action of the user and puts its failure into words. Gives the answer, or null. */
export async function attempt(action) {
  try {
    return await action();
  } catch (error) {
    complain(error);
    return null;
  }
}

function show(text, kind) {
  const dismiss = element("button", { class: "button quiet", type: "button", "aria-label": "Dismiss" }, "×");
  const notice = element("div", { class: `notice ${kind}` }, element("p", {}, text), dismiss);
  dismiss.addEventListener("click", () => notice.remove());
  region().append(notice);
  while (region().childElementCount > MOST) region().firstElementChild.remove();
  return notice;
}

/** The region, in the dialog that is in front if there is one: what is behind an open dialog is dimmed and out of reach. */
function region() {
  const found = document.getElementById("notices");
  const place = [...document.querySelectorAll("dialog[open]")].at(-1) ?? document.body;
  if (found.parentElement !== place) place.append(found);
  return found;
}

// Out of a dialog before it goes away. The event does not bubble, so it is caught on its way down.
document.addEventListener("close", region, true);
