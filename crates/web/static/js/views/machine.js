// The machine's figures in the header: one meter a resource. A figure that does not exist is a dash.

import { element, setAttribute, setText } from "../dom.js";
import { gigabytes, percent } from "../format.js";
import { machine } from "../state.js";

/** Builds the meters into `place` and keeps them true. */
export function showMachine(place) {
  const meters = {
    gpu: meter("GPU"),
    vram: meter("VRAM"),
    cpu: meter("CPU"),
    memory: meter("RAM"),
    disk: meter("Disk"),
  };
  place.append(...Object.values(meters).map((made) => made.element));
  machine.watch(({ data }) => {
    const gpu = busiest(data?.gpu?.devices ?? []);
    meters.gpu.update(gpu?.utilization_percent, temperature(gpu), gpu?.name);
    meters.vram.update(
      share(gpu?.memory_used_gb, gpu?.memory_total_gb),
      used(gpu?.memory_used_gb, gpu?.memory_total_gb),
    );
    meters.cpu.update(data?.cpu?.percent, data?.cpu?.count ? `${data.cpu.count} cores` : "");
    meters.memory.update(data?.memory?.percent, used(data?.memory?.used_gb, data?.memory?.total_gb));
    meters.disk.update(data?.disk?.percent, data?.disk ? `${gigabytes(data.disk.free_gb)} free` : "");
  });
}

/** `update(percentage, detail, title)`; null is a dash and an empty bar. */
function meter(label) {
  const value = element("span", { class: "meter-value" });
  const detail = element("span", { class: "meter-detail" });
  const fill = element("span", { class: "meter-fill" });
  const made = element(
    "div",
    { class: "meter", role: "meter", "aria-label": label, "aria-valuemin": 0, "aria-valuemax": 100 },
    element("span", { class: "meter-label" }, label),
    value,
    element("span", { class: "meter-track" }, fill),
    detail,
  );
  const update = (percentage, words = "", title = null) => {
    const known = typeof percentage === "number";
    setText(value, percent(percentage));
    setText(detail, words);
    setAttribute(made, "title", title);
    setAttribute(made, "aria-valuenow", known ? Math.round(percentage) : 0);
    setAttribute(made, "aria-valuetext", known ? `${percent(percentage)} ${words}` : "unknown");
    setAttribute(made, "data-load", known && percentage >= 95 ? "full" : null);
    fill.style.setProperty("--share", `${known ? percentage : 0}%`);
  };
  return { element: made, update };
}

function busiest(devices) {
  return devices.reduce(
    (found, device) => ((device.utilization_percent ?? 0) > (found?.utilization_percent ?? -1) ? device : found),
    null,
  );
}

function temperature(gpu) {
  return typeof gpu?.temperature_c === "number" ? `${Math.round(gpu.temperature_c)} °C` : "";
}

function share(part, whole) {
  return typeof part === "number" && whole > 0 ? (part / whole) * 100 : null;
}

function used(part, whole) {
  return typeof whole === "number" ? `${gigabytes(part).replace(" GB", "")} of ${gigabytes(whole)}` : "";
}
