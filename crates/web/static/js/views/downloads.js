// What arrives now, and what has arrived before.

import { element, keyedList, setAttribute, setText } from "../dom.js";
import { bytes, counted, duration, fileName, moment, rate } from "../format.js";
import { downloads, history, isUnfinished, presets } from "../state.js";
import { downloadActions } from "./download-actions.js";
import { placeholder } from "./placeholder.js";
import { progressBar, progressWords, stateWord, troubleLine } from "./progress.js";

/** The section, with `show()`. */
export function downloadsView() {
  const summary = element("p", { class: "summary", role: "status" });
  const nothing = placeholder();
  const active = element("ul", { class: "rows" });
  const past = element("ul", { class: "rows" });
  const noPast = placeholder();
  const updateActive = keyedList(active, (download) => download.id, createRow);
  const updatePast = keyedList(past, (download) => download.id, createPastRow);
  const pastHeading = element("h2", {}, "History");
  const section = element(
    "section",
    { "aria-label": "Downloads" },
    summary,
    nothing.element,
    active,
    pastHeading,
    noPast.element,
    past,
  );

  /** What failed a moment ago is still on the table: it can be tried again. */
  const isCurrent = (download) => isUnfinished(download) || download.status === "failed";

  const render = () => {
    const current = (downloads.data ?? []).filter(isCurrent);
    const speed = current.reduce((sum, download) => sum + (download.speed_bytes_per_second ?? 0), 0);
    setText(
      summary,
      current.length === 0 ? "" : `${counted(current.length, "download")}${speed > 0 ? `, ${rate(speed)} in all` : ""}`,
    );
    nothing.update(
      downloads,
      current.length === 0 ? "Nothing is under way. Install a preset, or paste a link anywhere on this page." : null,
    );
    updateActive(current);
  };
  const renderPast = () => {
    const current = new Set((downloads.data ?? []).filter(isCurrent).map((download) => download.id));
    const ended = (history.data ?? []).filter((download) => !current.has(download.id));
    noPast.update(history, ended.length === 0 ? "No download has ended yet." : null);
    updatePast(ended);
  };

  downloads.watch(render);
  presets.watch(render);
  history.watch(renderPast);
  downloads.watch(renderPast);
  return { element: section, show: () => history.load() };
}

function createRow() {
  const name = element("span", { class: "row-title" });
  const state = element("span", { class: "state-word" });
  const bar = progressBar();
  const words = progressWords();
  const trouble = troubleLine();
  const actions = downloadActions();
  const head = element("div", { class: "download-head" }, name, state, actions.element);
  return {
    element: element("li", { class: "row download" }, head, bar.element, words.element, trouble.element),
    update(download) {
      setText(name, nameOf(download));
      setText(state, stateWord(download));
      setAttribute(state, "data-state", download.status);
      bar.update(download);
      words.update(download);
      trouble.update(download);
      actions.update(download, nameOf(download));
    },
  };
}

function createPastRow() {
  const name = element("span", { class: "row-title" });
  const state = element("span", { class: "state-word" });
  const figures = element("span", { class: "row-facts" });
  const trouble = troubleLine();
  return {
    element: element("li", { class: "row past" }, name, state, figures, trouble.element),
    update(download) {
      setText(name, nameOf(download));
      setText(state, stateWord(download));
      setAttribute(state, "data-state", download.status);
      setText(figures, pastFigures(download).join("  ·  "));
      trouble.update(download);
    },
  };
}

function pastFigures(download) {
  const parts = [moment(download.ended_at)];
  if (download.total_bytes) parts.push(bytes(download.total_bytes));
  if (download.started_at)
    parts.push(duration((Date.parse(download.ended_at) - Date.parse(download.started_at)) / 1000));
  return parts;
}

/** The preset's name, or the file's where a link was fetched. */
function nameOf(download) {
  const preset = presets.data?.find((known) => known.id === download.preset_id);
  return preset?.name ?? download.preset_id ?? (fileName(download.path ?? download.current_file) || download.id);
}
