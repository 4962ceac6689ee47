// The list of presets: search and filters answer at every keystroke, since the whole catalogue is here.

import { element, field, keyedList, select, setAttribute, setChoices, setText } from "../dom.js";
import { counted, gigabytes, sizeText } from "../format.js";
import { downloads, presets, recommendations } from "../state.js";
import { presetActions } from "./preset-actions.js";
import { placeholder } from "./placeholder.js";

const STATES = [
  ["", "Any state"],
  ["installed", "Installed"],
  ["missing", "Not installed"],
  ["fits", "Fits this GPU"],
];
const ORDERS = [
  ["category", "By category"],
  ["name", "By name"],
  ["small", "Smallest first"],
  ["large", "Largest first"],
  ["vram", "Least VRAM first"],
];

/** The section, with `show()`. */
export function presetsView() {
  const search = element("input", {
    type: "search",
    placeholder: "Search presets",
    autocomplete: "off",
    spellcheck: false,
  });
  const category = select([["", "All categories"]]);
  const type = select([["", "All types"]]);
  const status = select(STATES);
  const order = select(ORDERS);
  const summary = element("p", { class: "summary", id: "presets-summary", role: "status" });
  const nothing = placeholder();
  const groups = element("div", { class: "groups" });
  const toolbar = element(
    "form",
    { class: "toolbar", role: "search", onsubmit: (event) => event.preventDefault(), oninput: render },
    field("Search presets", search, { hidden: true }),
    field("Category", category, { hidden: true }),
    field("Type", type, { hidden: true }),
    field("State", status, { hidden: true }),
    field("Order", order, { hidden: true }),
  );
  const section = element("section", { "aria-label": "Presets" }, toolbar, summary, nothing.element, groups);
  const updateGroups = keyedList(groups, (group) => group.name, createGroup);

  function render() {
    const all = presets.data ?? [];
    setChoices(category, [["", "All categories"], ...distinct(all, "category")]);
    setChoices(type, [["", "All types"], ...distinct(all, "type")]);
    const wanted = { words: search.value, category: category.value, type: type.value, status: status.value };
    const found = all.filter((preset) => matches(preset, wanted)).sort(comparison(order.value));
    const installed = all.filter((preset) => preset.installed).length;
    const shown =
      found.length === all.length
        ? counted(all.length, "preset")
        : `${found.length} of ${counted(all.length, "preset")}`;
    setText(summary, presets.data === null ? "" : `${shown}, ${installed} installed`);
    nothing.update(presets, found.length === 0 ? "No preset fits this search." : null);
    updateGroups(grouped(found, order.value));
  }

  presets.watch(render);
  downloads.watch(render);
  recommendations.watch(render);
  return { element: section, show() {} };
}

function createGroup() {
  const heading = element("h2");
  const list = element("ul", { class: "rows" });
  const updateRows = keyedList(list, (preset) => preset.id, createRow);
  return {
    element: element("section", { class: "group" }, heading, list),
    update(group) {
      setText(heading, group.name);
      heading.hidden = group.name === "";
      updateRows(group.presets);
    },
  };
}

function createRow(preset) {
  const name = element("span", { class: "row-title" });
  const about = element("span", { class: "row-about" });
  const type = element("span", { class: "tag" });
  const vram = element("span", { class: "figure" });
  const size = element("span", { class: "figure" });
  const actions = presetActions();
  const link = element("a", { class: "row-main", href: `#/presets/${encodeURIComponent(preset.id)}` }, name, about);
  const facts = element("span", { class: "row-facts" }, type, vram, size);
  return {
    element: element("li", { class: "row preset" }, link, facts, actions.element),
    update(news) {
      setText(name, news.name);
      setText(about, news.use_case || news.description);
      setText(type, news.type);
      setAttribute(type, "data-type", news.type);
      const needed = vramOf(news);
      setText(vram, needed === null ? "" : `${gigabytes(needed)} VRAM`);
      const tooMuch = fits(news) === false;
      setAttribute(vram, "data-warn", tooMuch ? "" : null);
      setAttribute(vram, "title", tooMuch ? "More than the GPU of this machine has" : null);
      setText(size, sizeText(news.download_size));
      actions.update(news);
    },
  };
}

function matches(preset, wanted) {
  if (wanted.category && preset.category !== wanted.category) return false;
  if (wanted.type && preset.type !== wanted.type) return false;
  if (wanted.status === "installed" && !preset.installed) return false;
  if (wanted.status === "missing" && preset.installed) return false;
  if (wanted.status === "fits" && fits(preset) !== true) return false;
  const text = [preset.id, preset.name, preset.description, preset.use_case, ...(preset.tags ?? [])]
    .join(" ")
    .toLowerCase();
  return wanted.words
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word));
}

/** No order depends on what is installed: a row must not jump away under the pointer that just installed it. */
function comparison(order) {
  const byName = (one, other) => one.name.localeCompare(other.name);
  const size = (preset) => preset.size_bytes ?? 0;
  const vram = (preset) => vramOf(preset) ?? Infinity;
  const orders = {
    category: (one, other) => one.category.localeCompare(other.category) || byName(one, other),
    name: byName,
    small: (one, other) => size(one) - size(other) || byName(one, other),
    large: (one, other) => size(other) - size(one) || byName(one, other),
    vram: (one, other) => vram(one) - vram(other) || byName(one, other),
  };
  return orders[order];
}

function grouped(found, order) {
  if (order !== "category") return found.length > 0 ? [{ name: "", presets: found }] : [];
  const groups = Map.groupBy(found, (preset) => preset.category);
  return [...groups].map(([name, members]) => ({ name, presets: members }));
}

function distinct(all, key) {
  return [...new Set(all.map((preset) => preset[key]))].sort().map((value) => [value, capitalised(value)]);
}

function capitalised(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function advice(preset) {
  const lists = recommendations.data;
  if (!lists) return null;
  return [...lists.compatible, ...lists.incompatible].find((known) => known.id === preset.id) ?? null;
}

function vramOf(preset) {
  return preset.vram_gb ?? advice(preset)?.vram_gb ?? null;
}

/** Whether the GPU is large enough; null where nobody can say. */
function fits(preset) {
  return advice(preset)?.compatible ?? null;
}
