// What stands where a list would be: that it is loading, empty, not there, or why it could not be had.

import { element, setText } from "../dom.js";

/** The box with `update(resource, emptyText)`; `emptyText` is null while there is something to show. */
export function placeholder() {
  let retry = () => {};
  const title = element("p", { class: "placeholder-title" });
  const text = element("p", { class: "muted" });
  const again = element("button", { class: "button", type: "button", onclick: () => retry() }, "Try again");
  const box = element("div", { class: "placeholder" }, title, text, again);

  const update = (resource, emptyText) => {
    const { error, data, loading } = resource;
    retry = () => resource.load();
    // What was seen last stays on the screen through a failed refresh; the connection's own sign tells of it.
    box.hidden = data !== null && emptyText === null;
    again.hidden = error === null || error.isAbsent;
    if (error !== null) describe(error);
    else {
      setText(title, data === null ? (loading ? "Loading" : "") : emptyText);
      setText(text, "");
    }
  };

  function describe(error) {
    if (error.isComfyUnavailable) {
      setText(title, "ComfyUI is not answering");
      setText(text, "Presets, models and downloads work without it. This page comes back with it.");
    } else if (error.isAbsent) {
      setText(title, "This server does not offer this yet");
      setText(text, "");
    } else {
      setText(title, "This could not be loaded");
      setText(text, error.sentence ?? error.message);
    }
  }
  return { element: box, update };
}
