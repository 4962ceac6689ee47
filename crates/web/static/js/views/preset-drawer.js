// Everything about one preset, in a drawer over the list: what it is for, what it weighs, which files it brings.

import { get } from "../api.js";
import { element, keyedList, setAttribute, setText } from "../dom.js";
import { bytes, gigabytes, moment, sizeText } from "../format.js";
import { Resource } from "../resource.js";
import { downloadOfPreset, downloads, presets } from "../state.js";
import { placeholder } from "./placeholder.js";
import { installPreset, presetActions } from "./preset-actions.js";

/** The drawer with `open(id)` and `close()`; `onClose` hears that the person closed it. */
export function presetDrawer({ onClose }) {
  let id = null;
  const detail = new Resource(() => get(`api/presets/${encodeURIComponent(id)}`));
  const page = content();
  const waiting = placeholder();
  const close = element(
    "button",
    { class: "button quiet", type: "button", "aria-label": "Close", onclick: () => dialog.close() },
    "×",
  );
  const dialog = element(
    "dialog",
    { class: "drawer", "aria-labelledby": "drawer-title" },
    close,
    waiting.element,
    page.element,
  );
  document.body.append(dialog);

  dialog.addEventListener("close", () => {
    if (id !== null) onClose();
  });
  // A click on the backdrop is a click on the dialog itself, outside its content.
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog && event.clientX < dialog.getBoundingClientRect().left) dialog.close();
  });

  const render = () => {
    if (id === null) return;
    const known = presets.data?.find((preset) => preset.id === id);
    const shown = detail.data?.id === id ? { ...detail.data, ...known } : known;
    waiting.update(detail, detail.error === null ? null : "");
    waiting.element.hidden = detail.error === null && shown !== undefined;
    page.element.hidden = shown === undefined;
    if (shown !== undefined) page.update(shown);
  };
  detail.watch(render);
  downloads.watch(render);
  // The list is looked at again after every outcome; then the files of the open preset have changed too.
  presets.watch(({ loading }) => {
    if (id !== null && !loading) detail.load();
    render();
  });

  return {
    open(wanted) {
      id = wanted;
      detail.data = null;
      detail.load();
      render();
      if (!dialog.open) dialog.showModal();
    },
    close() {
      id = null;
      dialog.close();
    },
  };
}

function content() {
  const title = element("h2", { id: "drawer-title" });
  const description = element("p");
  const useCase = element("p", { class: "muted" });
  const actions = presetActions();
  const facts = element("dl", { class: "facts" });
  const tags = element("p", { class: "tags" });
  const files = element("ul", { class: "rows files" });
  let current = null;
  const prove = element(
    "button",
    { class: "button", type: "button", onclick: () => installPreset(current, { force: true }) },
    "Check and repair the files",
  );
  const links = element("div", { class: "drawer-body" });
  const updateFiles = keyedList(files, (file) => file.path, createFile);
  return {
    element: element(
      "div",
      { class: "drawer-body" },
      title,
      actions.element,
      description,
      useCase,
      facts,
      tags,
      part("Files", files),
      element("div", {}, prove),
      links,
    ),
    update(preset) {
      current = preset;
      prove.hidden = !preset.installed || downloadOfPreset(preset.id) !== null;
      setText(title, preset.name);
      setText(description, preset.description);
      setText(useCase, preset.use_case === preset.description ? "" : preset.use_case);
      actions.update(preset);
      facts.replaceChildren(
        ...factsOf(preset).flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]),
      );
      tags.replaceChildren(...(preset.tags ?? []).map((tag) => element("span", { class: "tag" }, tag)));
      updateFiles(preset.files ?? []);
      links.replaceChildren(...linksOf(preset));
    },
  };
}

function factsOf(preset) {
  const all = [
    ["Category", preset.category],
    ["Size", sizeText(preset.download_size)],
    ["VRAM", gigabytes(preset.vram_gb)],
    ["Version", preset.version],
    ["Installed", preset.installed ? moment(preset.install_date) : null],
    ["Id", preset.id],
  ];
  return all.filter(([, value]) => value !== null && value !== undefined);
}

function createFile() {
  const path = element("span", { class: "path" });
  const mark = element("span", { class: "state-word" });
  const size = element("span", { class: "figure" });
  return {
    element: element("li", { class: "row file" }, path, mark, size),
    update(file) {
      setText(path, file.path);
      setAttribute(path, "title", file.url);
      setText(mark, markOf(file));
      setAttribute(mark, "data-state", file.installed && file.verified !== false ? "installed" : null);
      setText(size, file.size ? sizeText(file.size) : bytes(file.size_bytes));
    },
  };
}

/** Present is one thing, proved whole by hash, size or structure another. */
function markOf(file) {
  if (!file.installed) return "";
  return file.verified === false ? "Here, not verified" : "Here";
}

function linksOf(preset) {
  const parts = [];
  if (preset.dependencies?.length > 0) {
    const items = preset.dependencies.map((id) =>
      element("li", {}, element("a", { href: `#/presets/${encodeURIComponent(id)}` }, id)),
    );
    parts.push(part("Needs", element("ul", { class: "plain" }, items)));
  }
  if (preset.workflows?.length > 0) {
    const items = preset.workflows.map((name) => element("li", { class: "path" }, name));
    parts.push(part("Workflows", element("ul", { class: "plain" }, items)));
  }
  return parts;
}

function part(title, list) {
  return element("section", {}, element("h3", {}, title), list);
}
