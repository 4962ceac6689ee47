// Any file by its link: where it goes, what it must hash to. One link a line; each becomes a download of its own.

import { send } from "../api.js";
import { confirmLoss } from "../dialogs.js";
import { element, field, select, setChoices, setText } from "../dom.js";
import { counted } from "../format.js";
import { tell } from "../notices.js";
import { lookAgain, modelTypes } from "../state.js";

/** The folders of ComfyUI that most files go to. */
const FOLDERS = [
  ["checkpoints", "Checkpoints"],
  ["diffusion_models", "Diffusion models"],
  ["loras", "LoRAs"],
  ["text_encoders", "Text encoders"],
  ["vae", "VAE"],
];

/** The dialog with `open(links)`. */
export function linkDialog() {
  const links = element("textarea", {
    rows: 3,
    required: true,
    spellcheck: false,
    autocapitalize: "off",
    placeholder: "https://huggingface.co/…/model.safetensors",
  });
  const type = select(FOLDERS);
  const filename = element("input", { type: "text", autocomplete: "off", spellcheck: false });
  const sha256 = element("input", {
    type: "text",
    autocomplete: "off",
    spellcheck: false,
    pattern: "[0-9a-fA-F]{64}",
    title: "64 hexadecimal digits",
  });
  const refusal = element("p", { class: "refusal", role: "alert" });
  const close = element("button", { class: "button", type: "button", onclick: () => dialog.close() }, "Close");
  const fetchButton = element("button", { class: "button primary" }, "Download");
  const form = element(
    "form",
    { class: "dialog-body", onsubmit: submit, oninput: oneLinkOnly },
    element("h2", { id: "link-title" }, "Add by link"),
    field("Links, one a line", links, { hint: "Pages of Hugging Face and Civitai work as the file behind them." }),
    field("Folder", type),
    element(
      "details",
      {},
      element("summary", {}, "Name and checksum"),
      field("File name", filename, { hint: "Empty: as the server names it." }),
      field("SHA-256", sha256, { hint: "Empty: as the server states it, where it does." }),
    ),
    refusal,
    element("div", { class: "actions end" }, close, fetchButton),
  );
  const dialog = element("dialog", { class: "dialog wide", "aria-labelledby": "link-title" }, form);
  document.body.append(dialog);
  modelTypes.watch(({ data }) => setChoices(type, folders(data ?? [])));

  function wanted() {
    return links.value.split(/\s+/).filter(Boolean);
  }

  /** A name and a checksum belong to one file. */
  function oneLinkOnly() {
    filename.disabled = sha256.disabled = wanted().length > 1;
  }

  async function submit(event) {
    event.preventDefault();
    setText(refusal, "");
    form.inert = true;
    const refused = [];
    for (const url of wanted()) {
      const error = await add(url);
      if (error !== null) refused.push([url, error.sentence]);
    }
    form.inert = false;
    const added = wanted().length - refused.length;
    if (added > 0) tell(`${counted(added, "download")} added.`);
    lookAgain();
    // What was refused stays in the box, so that it can be put right.
    links.value = refused.map(([url]) => url).join("\n");
    setText(refusal, refused.map(([, sentence]) => sentence).join("\n"));
    if (refused.length === 0) dialog.close();
  }

  async function add(url) {
    const body = { url, type: type.value };
    if (filename.value !== "" && !filename.disabled) body.filename = filename.value;
    if (sha256.value !== "" && !sha256.disabled) body.sha256 = sha256.value.toLowerCase();
    try {
      await send("POST", "api/downloads", body);
      return null;
    } catch (error) {
      if (error.code !== "CONFLICT" || !(await confirmReplace(error))) return error;
    }
    return send("POST", "api/downloads", { ...body, overwrite: true }).then(
      () => null,
      (error) => error,
    );
  }

  return {
    open(text = "") {
      form.reset();
      links.value = text;
      setText(refusal, "");
      oneLinkOnly();
      dialog.showModal();
      links.focus();
    },
  };
}

/** The folders that the server names, and the usual ones that it may not have yet. */
function folders(types) {
  const named = new Map([...FOLDERS, ...types.map(({ id, name }) => [id, name])]);
  return [...named].sort(([, one], [, other]) => one.localeCompare(other));
}

function confirmReplace(error) {
  return confirmLoss({ title: "Replace the file?", text: error.sentence, action: "Replace it" });
}
