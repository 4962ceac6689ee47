// What ComfyUI does now and next. ComfyUI may be down: then this says so, and nothing else of the page suffers.

import { send } from "../api.js";
import { confirmLoss } from "../dialogs.js";
import { element, keyedList, setAttribute, setText } from "../dom.js";
import { counted, percent } from "../format.js";
import { attempt } from "../notices.js";
import { comfy, running } from "../state.js";
import { placeholder } from "./placeholder.js";

/** The section, with `show()`. */
export function queueView() {
  const summary = element("p", { class: "summary", role: "status" });
  const nothing = placeholder();
  const interrupt = element(
    "button",
    { class: "button", type: "button", onclick: () => act("POST", "api/comfyui/interrupt") },
    "Interrupt",
  );
  const clear = element("button", { class: "button", type: "button", onclick: clearQueue }, "Clear queue");
  const tools = element("div", { class: "toolbar" }, interrupt, clear);
  const list = element("ul", { class: "rows" });
  const updateRows = keyedList(list, (prompt) => prompt.prompt_id, createRow);
  const section = element("section", { "aria-label": "Queue" }, tools, summary, nothing.element, list);

  const render = () => {
    const answered = comfy.error === null && comfy.data !== null;
    const active = answered ? comfy.data.queue.queue_running : [];
    const waiting = answered ? comfy.data.queue.queue_pending : [];
    const prompts = [
      ...active.map((prompt) => ({ ...prompt, runs: true })),
      ...waiting.map((prompt) => ({ ...prompt, runs: false })),
    ];
    tools.hidden = prompts.length === 0;
    interrupt.disabled = active.length === 0;
    clear.disabled = waiting.length === 0;
    setText(
      summary,
      answered
        ? `ComfyUI ${comfy.data.health.version ?? ""} is ${comfy.data.health.status}, ${counted(waiting.length, "prompt")} waiting`
        : "",
    );
    nothing.update(comfy, prompts.length === 0 ? "The queue is empty." : null);
    updateRows(prompts);
  };
  comfy.watch(render);
  running.watch(render);
  return { element: section, show: () => comfy.load() };
}

function createRow(prompt) {
  const state = element("span", { class: "state-word" });
  const bar = element("progress", { max: 100, "aria-label": "Progress of the graph" });
  const words = element("p", { class: "figures" });
  const path = `api/comfyui/queue/${encodeURIComponent(prompt.prompt_id)}`;
  const cancel = element(
    "button",
    { class: "button quiet", type: "button", onclick: () => act("DELETE", path) },
    "Cancel",
  );
  const head = element(
    "div",
    { class: "download-head" },
    element("span", { class: "row-title path" }, prompt.prompt_id),
    state,
    cancel,
  );
  return {
    element: element("li", { class: "row download" }, head, bar, words),
    update(news) {
      setText(state, news.runs ? "Running" : "Waiting");
      setAttribute(state, "data-state", news.runs ? "downloading" : "queued");
      setAttribute(cancel, "aria-label", `Cancel ${news.prompt_id}`);
      const step = running.data?.prompt_id === news.prompt_id ? running.data : null;
      bar.hidden = words.hidden = step === null;
      if (step === null) return;
      const share = shareOf(step.overall);
      setAttribute(bar, "value", share);
      setText(words, [percent(share), step.title ?? `node ${step.node}`].filter(Boolean).join("  ·  "));
    },
  };
}

/** The share of the whole graph; null shows a bar that only says "at work". */
function shareOf(overall) {
  return typeof overall === "number" ? overall : null;
}

async function clearQueue() {
  const sure = await confirmLoss({
    title: "Clear queue?",
    text: "Every waiting prompt leaves the queue. What runs goes on.",
    action: "Clear the queue",
  });
  if (sure) await act("DELETE", "api/comfyui/queue?type=pending");
}

async function act(method, path) {
  await attempt(() => send(method, path));
  comfy.load();
}
