// Figures as people read them. A fact that does not exist (null) is a dash, never a zero.

const DASH = "–";
const GIB = 2 ** 30;
const MIB = 2 ** 20;

/** Bytes as `14.5 GB` (2^30), below one as `538 MB` (2^20), as file managers and the API say it. */
export function bytes(value) {
  if (!isNumber(value)) return DASH;
  if (value >= GIB) return `${(value / GIB).toFixed(1)} GB`;
  if (value >= MIB) return `${Math.round(value / MIB)} MB`;
  return value === 0 ? "0 MB" : `${Math.max(1, Math.round(value / 1024))} kB`;
}

/** Gigabytes that the API already rounded to one decimal: `14.5 GB`, `24 GB`. */
export function gigabytes(value) {
  return isNumber(value) ? `${trimmed(value)} GB` : DASH;
}

/** Sizes that the API sends as text (`4.8GB`), with the space that reading wants. */
export function sizeText(text) {
  return text ? text.replace(/(\d)([A-Za-z])/, "$1 $2") : DASH;
}

/** A transfer rate in 10^6 bytes: `125 MB/s`. */
export function rate(bytesPerSecond) {
  if (!isNumber(bytesPerSecond)) return DASH;
  const megabytes = bytesPerSecond / 1e6;
  return `${megabytes >= 10 ? Math.round(megabytes) : megabytes.toFixed(1)} MB/s`;
}

/** Seconds as `45s`, `2m 30s`, `1h 5m`. */
export function duration(seconds) {
  if (!isNumber(seconds)) return DASH;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole}s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}m ${whole % 60}s`;
  return `${Math.floor(whole / 3600)}h ${Math.floor((whole % 3600) / 60)}m`;
}

/** `45 %`; with decimals `45.2 %`. */
export function percent(value, decimals = 0) {
  return isNumber(value) ? `${value.toFixed(decimals)} %` : DASH;
}

/** A moment: the time alone for today, else the date with it, in the reader's own way of writing. */
export function moment(text) {
  const date = new Date(text ?? NaN);
  if (Number.isNaN(date.getTime())) return DASH;
  const time = { hour: "2-digit", minute: "2-digit" };
  const today = date.toDateString() === new Date().toDateString();
  return today
    ? date.toLocaleTimeString(undefined, time)
    : date.toLocaleString(undefined, { day: "numeric", month: "short", ...time });
}

/** `1 file`, `5 files`. */
export function counted(count, noun) {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/** The last part of a path or address. */
export function fileName(path) {
  return (path ?? "").split(/[?#]/)[0].split("/").filter(Boolean).pop() ?? "";
}

function isNumber(value) {
  return typeof value === "number" && Number.isFinite(value);
}

function trimmed(value) {
  return Number.isInteger(value) ? String(value) : value.toFixed(1);
}
