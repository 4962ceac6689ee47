// The last lines of the logs, newest at the bottom, refreshed while they are looked at.

import { get } from "../api.js";
import { element, field, select, setText } from "../dom.js";
import { counted } from "../format.js";
import { Resource } from "../resource.js";
import { placeholder } from "./placeholder.js";

const SERVICES = [
  ["", "All services"],
  ["dashboard", "Dashboard"],
  ["comfyui", "ComfyUI"],
  ["preset_manager", "Preset manager"],
];
const LINES = 300;
const REFRESH_EVERY = 4000;

/** The section, with `show()`. */
export function logsView() {
  const service = select(SERVICES, { oninput: () => logs.load() });
  const logs = new Resource(async () => (await get("api/system/logs", { service: service.value, lines: LINES })).logs);
  const summary = element("p", { class: "summary" });
  const nothing = placeholder();
  const lines = element("ol", { class: "log", tabindex: 0, "aria-label": "Log lines" });
  const toolbar = element("div", { class: "toolbar" }, field("Service", service, { hidden: true }), summary);
  const section = element("section", { "aria-label": "Logs" }, toolbar, nothing.element, lines);

  logs.watch(({ data, loading }) => {
    const found = data ?? [];
    setText(summary, data === null ? "" : counted(found.length, "line"));
    nothing.update(logs, found.length === 0 ? "No line yet." : null);
    lines.hidden = found.length === 0;
    if (!loading) showLines(lines, found);
  });
  // An address that is not there will not come while the page is open.
  setInterval(() => {
    if (!section.hidden && !document.hidden && !logs.error?.isAbsent) logs.load();
  }, REFRESH_EVERY);
  return { element: section, show: () => logs.load() };
}

/** Who reads further up is left there; who reads the end stays at the end. */
function showLines(list, found) {
  const atEnd = list.scrollTop + list.clientHeight >= list.scrollHeight - 8;
  list.replaceChildren(...found.map(line));
  if (atEnd) list.scrollTop = list.scrollHeight;
}

function line({ timestamp, level, service, message }) {
  return element(
    "li",
    { "data-level": level },
    element("time", { datetime: timestamp }, timestamp.replace("T", " ").replace(/(\.\d+)?Z$/, "")),
    element("span", { class: "log-level" }, level),
    element("span", { class: "log-service" }, service),
    element("span", { class: "log-message" }, message),
  );
}
