// What a person can do with a preset: install, update, uninstall; or, while it arrives, what a download offers.

import { send } from "../api.js";
import { confirmLoss } from "../dialogs.js";
import { element } from "../dom.js";
import { sizeText } from "../format.js";
import { attempt, complain, tell } from "../notices.js";
import { downloadOfPreset, lookAgain } from "../state.js";
import { downloadActions } from "./download-actions.js";
import { progressBar } from "./progress.js";

/** The state of a preset and the buttons for it, with `update(preset)`. */
export function presetActions() {
  let current = null;
  const word = element("span", { class: "state-word" });
  const bar = progressBar();
  const transfer = downloadActions();
  const install = element("button", { class: "button primary", type: "button", onclick: () => installPreset(current) });
  const uninstall = element(
    "button",
    { class: "button quiet", type: "button", onclick: () => uninstallPreset(current) },
    "Uninstall",
  );
  const box = element("div", { class: "preset-actions" }, word, bar.element, transfer.element, install, uninstall);

  const update = (preset) => {
    current = preset;
    const download = downloadOfPreset(preset.id);
    const offer = download === null ? offerOf(preset) : null;
    bar.element.hidden = transfer.element.hidden = download === null;
    if (download !== null) {
      bar.update(download);
      transfer.update(download, preset.name);
    }
    word.textContent = download === null ? wordOf(preset) : `${Math.floor(download.progress)} %`;
    word.dataset.state = download === null ? stateOf(preset) : download.status;
    install.hidden = offer === null;
    install.textContent = offer ?? "";
    install.setAttribute("aria-label", `${offer} ${preset.name}`);
    uninstall.hidden = download !== null || !["installed", "partial"].includes(stateOf(preset));
    uninstall.setAttribute("aria-label", `Uninstall ${preset.name}`);
  };
  return { element: box, update };
}

/** The server's word for the state; an older one only says installed or not. */
export function stateOf(preset) {
  return preset.status ?? (preset.installed ? "installed" : "not_installed");
}

function wordOf(preset) {
  const words = { installed: "Installed", partial: "Incomplete", failed: "Failed", not_installed: "" };
  return words[stateOf(preset)] ?? "";
}

/** What the main button would do now, or null for nothing. */
function offerOf(preset) {
  if (preset.update_available) return "Update";
  const offers = { installed: null, partial: "Complete", failed: "Try again" };
  const state = stateOf(preset);
  return state in offers ? offers[state] : "Install";
}

/** Installs, completes or updates; with `force` every file that is here is proved again and fetched if it fails. */
export async function installPreset(preset, { force = false } = {}) {
  const path = `api/presets/${encodeURIComponent(preset.id)}/install`;
  try {
    greet(await send("POST", path, force ? { force } : null));
  } catch (error) {
    if (error.code === "CONFLICT" && (await confirmReplace(preset, error))) {
      await attempt(async () => greet(await send("POST", path, { force: true })));
    } else if (error.code !== "CONFLICT") {
      complain(error);
    }
  }
  lookAgain();
}

function greet(answer) {
  for (const warning of answer.warnings ?? []) tell(warning);
}

/** Two presets want different files at one path: only the person knows which one is needed. */
function confirmReplace(preset, error) {
  return confirmLoss({
    title: `Replace files for ${preset.name}?`,
    text: error.sentence,
    action: "Replace and install",
  });
}

async function uninstallPreset(preset) {
  const sure = await confirmLoss({
    title: `Uninstall ${preset.name}?`,
    text: `Its model files are deleted (${sizeText(preset.download_size)}). Files that another installed preset uses stay.`,
    action: "Uninstall",
  });
  if (!sure) return;
  const answer = await attempt(() => send("DELETE", `api/presets/${encodeURIComponent(preset.id)}`, { confirm: true }));
  if (answer !== null) tell(`${preset.name} is uninstalled.`);
  lookAgain();
}
