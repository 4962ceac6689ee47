// The workflows that can be run, and which preset each one needs.

import { get, send } from "../api.js";
import { element, keyedList, setAttribute, setText } from "../dom.js";
import { counted } from "../format.js";
import { attempt, tell } from "../notices.js";
import { comfy, presets, workflows } from "../state.js";
import { placeholder } from "./placeholder.js";

/** The section, with `show()`. */
export function workflowsView() {
  const summary = element("p", { class: "summary", role: "status" });
  const nothing = placeholder();
  const list = element("ul", { class: "rows" });
  const updateRows = keyedList(list, (workflow) => workflow.id, createRow);
  const render = () => {
    const found = workflows.data ?? [];
    setText(summary, workflows.data === null ? "" : counted(found.length, "workflow"));
    nothing.update(workflows, found.length === 0 ? "No workflow is saved yet." : null);
    updateRows(found);
  };
  workflows.watch(render);
  presets.watch(render);
  return {
    element: element("section", { "aria-label": "Workflows" }, summary, nothing.element, list),
    show: () => workflows.load(),
  };
}

function createRow(workflow) {
  const name = element("span", { class: "row-title" });
  const about = element("span", { class: "row-about" });
  const preset = element("a", { class: "row-preset" });
  const run = element("button", { class: "button", type: "button", onclick: () => execute(workflow) }, "Run");
  const main = element("div", { class: "row-main" }, name, about);
  return {
    element: element("li", { class: "row model" }, main, element("span", { class: "row-facts" }, preset), run),
    update(news) {
      setText(name, news.name);
      setText(about, news.description || news.category);
      const needed = presets.data?.find((known) => known.id === news.preset);
      setText(preset, needed ? `${needed.name}${needed.installed ? "" : " (not installed)"}` : news.preset);
      setAttribute(preset, "href", news.preset ? `#/presets/${encodeURIComponent(news.preset)}` : null);
      setAttribute(run, "aria-label", `Run ${news.name}`);
    },
  };
}

async function execute({ id, name }) {
  const answer = await attempt(async () => {
    const { workflow } = await get(`api/workflows/${encodeURIComponent(id)}`);
    return send("POST", "api/comfyui/execute", { workflow });
  });
  if (answer === null) return;
  tell(`${name} is in the queue.`);
  comfy.load();
}
