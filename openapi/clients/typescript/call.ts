// Calls a live server through the types that were made from the document: npm run call -- http://127.0.0.1:8082 [KEY]

import createClient from "openapi-fetch";
import type { components, paths } from "./generated/schema.js";

const [address = "http://127.0.0.1:8082", key] = process.argv.slice(2);
const client = createClient<paths>({
  baseUrl: address,
  headers: key === undefined ? {} : { Authorization: `Bearer ${key}` },
});

type Failure = components["schemas"]["ErrorEnvelope"];

/** The data of an answer, or an end with what the server said. */
function taken<T>(what: string, answer: { data?: T; error?: Failure; response: Response }): T {
  if (answer.data === undefined) {
    throw new Error(`${what}: ${answer.response.status} ${answer.error?.error.code}: ${answer.error?.error.message}`);
  }
  return answer.data;
}

const health = taken("health", await client.GET("/health"));
console.log(`${health.service} ${health.product_version} is ${health.status}`);

const presets = taken("presets", await client.GET("/api/presets", { params: { query: { type: "video", per_page: 3 } } }));
for (const preset of presets.presets) {
  const size: string = preset.download_size ?? "of unknown size";
  console.log(`  ${preset.id}: ${preset.status}, ${size}, needs ${preset.vram_gb ?? "?"} GB`);
}

const first = presets.presets[0];
if (first !== undefined) {
  const detail = taken("preset", await client.GET("/api/presets/{preset_id}", { params: { path: { preset_id: first.id } } }));
  console.log(`  ${detail.files.length} files, the first is ${detail.files[0]?.path}`);
}

const status = taken("status", await client.GET("/api/system/status"));
console.log(`up ${status.uptime} s, processors ${status.resources.cpu_percent ?? "?"} %, ComfyUI ${status.services.comfyui}`);

const found = taken("recommendations", await client.GET("/api/presets/recommendations", { params: { query: { vram_gb: 16 } } }));
console.log(`${found.compatible.length} presets fit a card of 16 GB, ${found.incompatible.length} do not`);

const models = taken("models", await client.GET("/api/models"));
console.log(`${models.total} models, ${models.total_size_bytes} bytes`);

const job = taken("validation", await client.GET("/api/models/validate", { params: { query: { background: true } } }));
if (!("id" in job)) {
  throw new Error("a validation in the background is a job");
}
console.log(`job ${job.id} is ${job.status}`);

const missing = await client.GET("/api/presets/{preset_id}", { params: { path: { preset_id: "NO_SUCH_PRESET" } } });
if (missing.response.status !== 404 || missing.error?.error.code !== "PRESET_NOT_FOUND") {
  throw new Error("a preset that does not exist is PRESET_NOT_FOUND");
}
console.log("all as the types say");
