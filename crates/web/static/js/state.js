// Everything the page knows of the server, one resource each, and how the socket's messages change it. Knows no element.

import { get, getAll, ApiError } from "./api.js";
import { afterQuiet } from "./dom.js";
import { Resource } from "./resource.js";

const UNFINISHED = new Set(["queued", "downloading", "verifying", "paused"]);

export const presets = new Resource(() => getAll("api/presets", "presets"));
export const recommendations = new Resource(() => unlessAbsent(get("api/presets/recommendations")));
export const downloads = new Resource(async () => (await get("api/downloads", { per_page: 100 })).downloads);
export const history = new Resource(async () => (await get("api/downloads/history", { per_page: 50 })).downloads);
export const models = new Resource(() => getAll("api/models", "models", { sort: "path" }));
export const modelTypes = new Resource(async () => (await get("api/models/types")).types);
export const machine = new Resource(() => unlessAbsent(get("api/system/resources")));
export const comfy = new Resource(loadComfy);
export const workflows = new Resource(() => getAll("api/workflows", "workflows"));

/** The last step of what ComfyUI runs now, as the socket tells it; null when nothing runs. Nothing to load: it begins with the
 * next step. */
export const running = new Resource(async () => null);

/** The unfinished download that works on a preset, or null. */
export function downloadOfPreset(id) {
  return downloads.data?.find((download) => download.preset_id === id && isUnfinished(download)) ?? null;
}

/** Queued, downloading, verifying or paused. */
export function isUnfinished(download) {
  return UNFINISHED.has(download.status);
}

/** Loads what the first screen and the header show. */
export function loadAll() {
  for (const resource of [presets, downloads, machine, recommendations, modelTypes]) resource.load();
  for (const resource of [history, models, comfy, workflows]) if (resource.isWanted) resource.load();
}

/** What an ended, started or removed thing may have changed. Many messages at once are one look. */
export const lookAgain = afterQuiet(150, () => {
  for (const resource of [presets, downloads, modelTypes]) resource.load();
  for (const resource of [history, models]) if (resource.isWanted) resource.load();
});

const lookAtQueue = afterQuiet(150, () => {
  if (comfy.isWanted) comfy.load();
});

/** Puts one message of the socket into the resources. */
export function receive({ type, data, snapshot = false }) {
  if (type.startsWith("download_")) downloadNews(type, data, snapshot);
  else if (type === "system_status") machineLoad(data);
  else if (type === "queue_update") lookAtQueue();
  else if (type === "workflow_progress") workflowProgress(data);
  else if (type === "workflow_output") lookAtQueue();
}

/** Shows at once what the message says. A tick says everything; after any other turn, and of a download that is not listed
 * here, the server is asked again, since lists, disk and history have changed with it. */
function downloadNews(type, news, snapshot) {
  const known = downloads.data?.find((download) => download.id === news.download_id);
  if (known !== undefined && news.progress !== undefined) downloads.change(() => Object.assign(known, news));
  if (known === undefined || (type !== "download_progress" && !snapshot)) lookAgain();
}

/** The percentages come by themselves; the figures beside them (names, gigabytes) are asked for, at most every ten seconds. */
let askedAt = 0;
function machineLoad(load) {
  machine.change((known) => {
    if (known.cpu) known.cpu.percent = load.cpu_usage ?? null;
    if (known.memory) known.memory.percent = load.memory_usage ?? null;
    if (known.disk) known.disk.percent = load.disk_usage ?? null;
    const [gpu] = known.gpu?.devices ?? [];
    if (gpu) gpu.utilization_percent = load.gpu_usage ?? null;
  });
  if (Date.now() - askedAt > 10_000 && !document.hidden) {
    askedAt = Date.now();
    machine.load();
  }
}

function workflowProgress(tick) {
  const ended = tick.type === "error" || tick.node === null;
  running.put(ended ? null : tick);
}

/** Health and queue in one: without the first there is no second. */
async function loadComfy() {
  const health = await get("api/comfyui/health");
  const queue = await get("api/comfyui/queue");
  return { health, queue };
}

/** An older server without this part is no failure: the page shows dashes. */
async function unlessAbsent(answer) {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof ApiError && error.isAbsent) return null;
    throw error;
  }
}
