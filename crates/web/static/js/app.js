// The page: starts the live connection and shows the view that the address names. Knows each view by its entry only.

import { onUnauthorized, send } from "./api.js";
import { askForPassword } from "./dialogs.js";
import { element, setAttribute, setText } from "./dom.js";
import { complain, tell } from "./notices.js";
import { LiveSocket } from "./socket.js";
import * as state from "./state.js";
import { downloadsView } from "./views/downloads.js";
import { linkDialog } from "./views/link-dialog.js";
import { logsView } from "./views/logs.js";
import { showMachine } from "./views/machine.js";
import { modelsView } from "./views/models.js";
import { presetDrawer } from "./views/preset-drawer.js";
import { presetsView } from "./views/presets.js";
import { queueView } from "./views/queue.js";
import { workflowsView } from "./views/workflows.js";

/** The sections in the order of their tabs. `show` is called each time a section comes to the front. */
const SECTIONS = [
  { name: "presets", title: "Presets", view: presetsView() },
  { name: "downloads", title: "Downloads", view: downloadsView() },
  { name: "models", title: "Models", view: modelsView() },
  { name: "workflows", title: "Workflows", view: workflowsView() },
  { name: "queue", title: "Queue", view: queueView() },
  { name: "logs", title: "Logs", view: logsView() },
];
const STATE_WORDS = { connecting: "Connecting", live: "Live", waiting: "Reconnecting" };

const drawer = presetDrawer({ onClose: () => (location.hash = "#/presets") });
const addLink = linkDialog();
const socket = new LiveSocket(["downloads", "queue", "system", "workflows"], {
  onMessage: receive,
  onState: showConnection,
});

start();

function start() {
  buildTabs();
  showMachine(document.getElementById("machine"));
  document.getElementById("add-link").addEventListener("click", () => addLink.open());
  document.addEventListener("keydown", focusSearch);
  document.addEventListener("paste", openPastedLink);
  window.addEventListener("hashchange", showSection);
  onUnauthorized(() => askForPassword(logIn));
  state.downloads.watch(showActivity);
  state.loadAll();
  showSection();
  socket.connectNow();
}

async function logIn(password) {
  await send("POST", "api/auth/login", { password });
  state.loadAll();
  socket.connectNow();
}

function receive(message) {
  state.receive(message);
  if (message.type === "subscribed") state.loadAll();
  if (message.snapshot) return;
  const name = nameOf(message.data);
  if (message.type === "download_complete") tell(`${name} is complete.`);
  if (message.type === "download_failed") complain(`${name}: ${message.data.error?.message ?? "the download failed."}`);
  // A failed download is told twice, for clients that know one kind of message only; a person needs it once.
  if (message.type === "error" && !message.data.details?.download_id) complain(message.data.message);
}

/** What a message is about, for a person. */
function nameOf({ preset_id: presetId, download_id: downloadId }) {
  const preset = state.presets.data?.find((known) => known.id === presetId);
  return preset?.name ?? presetId ?? `Download ${downloadId}`;
}

function buildTabs() {
  const content = document.getElementById("content");
  for (const section of SECTIONS) {
    section.badge = element("span", { class: "badge", hidden: true });
    section.tab = element("a", { href: `#/${section.name}`, class: "tab" }, section.title, section.badge);
    document.getElementById("tabs").append(section.tab);
    section.view.element.hidden = true;
    content.append(section.view.element);
  }
}

/** `#/presets/ID` is the preset's drawer over the list; an unknown address is the first section. */
function showSection() {
  const [, name, argument] = location.hash.split("/");
  const shown = SECTIONS.find((section) => section.name === name) ?? SECTIONS[0];
  for (const section of SECTIONS) {
    section.view.element.hidden = section !== shown;
    setAttribute(section.tab, "aria-current", section === shown ? "page" : null);
  }
  shown.tab.scrollIntoView({ block: "nearest", inline: "center" });
  shown.view.show();
  if (shown.name === "presets" && argument) drawer.open(decodeURIComponent(argument));
  else drawer.close();
}

function showConnection(word) {
  const place = document.getElementById("connection");
  setText(place, STATE_WORDS[word]);
  setAttribute(place, "data-state", word);
  // While no socket stands, each try to get one also asks the old way: where a proxy lets no socket through the page still
  // moves, and where the session has ended the person is asked to log in.
  if (word === "waiting") state.downloads.load();
}

/** How much is under way, on the tab and in the window's title, where it is seen from elsewhere. */
function showActivity({ data }) {
  const unfinished = (data ?? []).filter(state.isUnfinished);
  const { badge } = SECTIONS.find((section) => section.name === "downloads");
  setText(badge, String(unfinished.length));
  badge.hidden = unfinished.length === 0;
  const arriving = unfinished.filter((download) => download.status === "downloading");
  const share = arriving.reduce((sum, download) => sum + download.progress, 0) / arriving.length;
  document.title = arriving.length > 0 ? `${Math.floor(share)} % · ComfyUI dashboard` : "ComfyUI dashboard";
}

/** `/` goes to the search box of the section in front. */
function focusSearch(event) {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || isTyping(event.target)) return;
  const search = document.querySelector("main > :not([hidden]) input[type=search]");
  if (search === null || document.querySelector("dialog[open]") !== null) return;
  event.preventDefault();
  search.focus();
}

/** A link pasted anywhere is a file that is wanted. */
function openPastedLink(event) {
  if (isTyping(event.target) || document.querySelector("dialog[open]") !== null) return;
  const text = event.clipboardData.getData("text").trim();
  if (/^(https?:\/\/|hf:\/\/|urn:air:)\S/.test(text)) addLink.open(text);
}

function isTyping(target) {
  return target instanceof Element && target.closest("input, textarea, select, [contenteditable]") !== null;
}
