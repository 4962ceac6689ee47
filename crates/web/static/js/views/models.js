// The model files on the disk: what is there, what it weighs, which preset brought it, and away with it.

import { send } from "../api.js";
import { confirmLoss } from "../dialogs.js";
import { element, field, keyedList, select, setAttribute, setChoices, setText } from "../dom.js";
import { bytes, counted, fileName, moment } from "../format.js";
import { attempt, complain, tell } from "../notices.js";
import { lookAgain, models, modelTypes, presets } from "../state.js";
import { placeholder } from "./placeholder.js";

const ORDERS = [
  ["path", "By folder"],
  ["large", "Largest first"],
  ["new", "Newest first"],
];

/** The section, with `show()`. */
export function modelsView() {
  const search = element("input", {
    type: "search",
    placeholder: "Search models",
    autocomplete: "off",
    spellcheck: false,
  });
  const type = select([["", "All folders"]]);
  const order = select(ORDERS);
  const rescan = element(
    "button",
    { class: "button", type: "button", onclick: lookAtTheDisk },
    "Rescan",
  );
  const summary = element("p", { class: "summary", role: "status" });
  const nothing = placeholder();
  const list = element("ul", { class: "rows" });
  const toolbar = element(
    "form",
    { class: "toolbar", role: "search", onsubmit: (event) => event.preventDefault(), oninput: render },
    field("Search models", search, { hidden: true }),
    field("Folder", type, { hidden: true }),
    field("Order", order, { hidden: true }),
    rescan,
  );
  const section = element("section", { "aria-label": "Models" }, toolbar, summary, nothing.element, list);
  const updateRows = keyedList(list, (model) => model.path, createRow);

  function render() {
    const words = search.value.toLowerCase();
    const found = (models.data ?? [])
      .filter((model) => (type.value === "" || model.type === type.value) && model.path.toLowerCase().includes(words))
      .sort(comparison(order.value));
    const weight = found.reduce((sum, model) => sum + model.size_bytes, 0);
    setText(summary, models.data === null ? "" : `${counted(found.length, "file")}, ${bytes(weight)}`);
    nothing.update(models, found.length === 0 ? "No model file here." : null);
    updateRows(found);
  }

  models.watch(render);
  presets.watch(render);
  modelTypes.watch(({ data }) =>
    setChoices(type, [["", "All folders"], ...(data ?? []).map(({ id, name, count }) => [id, `${name} (${count})`])]),
  );
  return { element: section, show: () => models.load() };
}

function createRow() {
  let current = null;
  const name = element("span", { class: "row-title" });
  const folder = element("span", { class: "row-about path" });
  const preset = element("a", { class: "row-preset" });
  const facts = element("span", { class: "figure" });
  const date = element("span", { class: "figure" });
  const remove = element(
    "button",
    { class: "button quiet", type: "button", onclick: () => deleteModel(current) },
    "Delete",
  );
  const main = element("div", { class: "row-main" }, name, folder);
  return {
    element: element(
      "li",
      { class: "row model" },
      main,
      element("span", { class: "row-facts" }, preset, date, facts),
      remove,
    ),
    update(model) {
      current = model;
      setText(name, fileName(model.path));
      setText(folder, model.path.slice(0, -fileName(model.path).length));
      setText(preset, model.preset === null ? "" : presetName(model.preset));
      setAttribute(preset, "href", model.preset === null ? null : `#/presets/${encodeURIComponent(model.preset)}`);
      setText(facts, bytes(model.size_bytes));
      setText(date, moment(model.modified));
      setAttribute(remove, "aria-label", `Delete ${model.path}`);
    },
  };
}

async function deleteModel(model) {
  const owner = model.preset === null ? "" : ` The preset ${presetName(model.preset)} needs it and will be incomplete.`;
  const sure = await confirmLoss({
    title: `Delete ${fileName(model.path)}?`,
    text: `${bytes(model.size_bytes)} at ${model.path} are gone for good.${owner}`,
    action: "Delete the file",
  });
  if (!sure) return;
  const answer = await attempt(() => send("DELETE", "api/models", { paths: [model.path], confirm: true }));
  for (const failed of answer?.errors ?? []) complain(`${failed.path}: ${failed.error}`);
  if (answer?.deleted > 0) tell(`${fileName(model.path)} is deleted.`);
  lookAgain();
}

async function lookAtTheDisk() {
  const answer = await attempt(() => send("POST", "api/models/rescan"));
  if (answer !== null) tell("The models folder was read again.");
  lookAgain();
}

function comparison(order) {
  const byPath = (one, other) => one.path.localeCompare(other.path);
  const orders = {
    path: byPath,
    large: (one, other) => other.size_bytes - one.size_bytes || byPath(one, other),
    new: (one, other) => other.modified.localeCompare(one.modified) || byPath(one, other),
  };
  return orders[order];
}

function presetName(id) {
  return presets.data?.find((preset) => preset.id === id)?.name ?? id;
}
