// How far a download is: a bar and the words beside it, the same wherever one is shown.

import { element, setAttribute, setText } from "../dom.js";
import { bytes, duration, fileName, percent, rate } from "../format.js";

/** A download's state in words; what is wrong is said by `troubleLine`. */
export function stateWord(download) {
  if (download.stalled) return "Waiting for the server";
  const words = {
    queued: "Queued",
    downloading: "Downloading",
    verifying: "Checking the hash",
    paused: "Paused",
    completed: "Complete",
    failed: "Failed",
    cancelled: "Cancelled",
  };
  return words[download.status] ?? download.status;
}

/** Why a download failed or waits, and what else is worth knowing, in the server's words. Nothing to say: no line. */
export function troubleLine() {
  const line = element("p", { class: "refusal" });
  const update = (download) => {
    setText(line, [causeOf(download), ...(download.warnings ?? [])].filter(Boolean).join("\n"));
    setAttribute(line, "data-mild", download.status !== "failed");
  };
  return { element: line, update };
}

function causeOf({ error }) {
  const { message = "", file = null } = error ?? {};
  return file === null || message.includes(file) ? message : `${message} (${file})`;
}

/** A bar with `update(download)`; it moves without pretending to know more than the server said. */
export function progressBar() {
  const bar = element("progress", { max: 100, value: 0 });
  const update = (download) => {
    setAttribute(bar, "value", download.progress ?? 0);
    setAttribute(bar, "data-state", download.status);
    setAttribute(bar, "aria-label", `${stateWord(download)}, ${percent(download.progress)}`);
  };
  return { element: bar, update };
}

/** The figures in one line: percentage, bytes, speed, time left, files. Only what is known and still means something. */
export function progressWords() {
  const line = element("p", { class: "figures" });
  const update = (download) => setText(line, figures(download).join("  ·  "));
  return { element: line, update };
}

function figures(download) {
  const counts = download.files;
  const parts = [percent(download.progress, 1)];
  if (download.total_bytes) parts.push(`${bytes(download.downloaded_bytes ?? 0)} of ${bytes(download.total_bytes)}`);
  if (download.status === "downloading") {
    const speed = speedOf(download);
    const left = timeLeftOf(download);
    if (speed) parts.push(speed);
    if (left) parts.push(`${left} left`);
  }
  if (counts?.total > 1) parts.push(`${counts.completed} of ${counts.total} files`);
  if (download.current_file && download.status !== "queued") parts.push(fileName(download.current_file));
  return parts;
}

/** The exact figure where there is one, else the text of a tick. */
function speedOf(download) {
  const exact = download.speed_bytes_per_second;
  return typeof exact === "number" ? rate(exact) : (download.speed ?? "");
}

function timeLeftOf(download) {
  return typeof download.eta_seconds === "number" ? duration(download.eta_seconds) : (download.eta ?? "");
}
