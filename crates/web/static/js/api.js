// Speaks HTTP with the server: JSON in, JSON out, failures as ApiError. Knows paths only as arguments.

/** What the server refused, in its own words; or that it could not be asked (`status` 0). */
export class ApiError extends Error {
  constructor({ status, code, message, details = {}, requestId = null }) {
    super(message);
    this.status = status;
    this.code = code;
    this.details = details;
    this.requestId = requestId;
  }

  /** The sentence for a person. An internal error says nothing of its cause, so it carries the id that finds it in the log. */
  get sentence() {
    const traceable = this.status >= 500 && this.code === "INTERNAL_ERROR" && this.requestId;
    return traceable ? `${this.message} (request ${this.requestId})` : this.message;
  }

  /** The server has no such address: an older one, or a part that is switched off. */
  get isAbsent() {
    return this.status === 404 && this.code === "NOT_FOUND";
  }

  /** ComfyUI does not answer, which is an ordinary state. */
  get isComfyUnavailable() {
    return this.code === "COMFYUI_UNAVAILABLE";
  }
}

let askForLogin = () => {};

/** Names what happens when a request lacks credentials. */
export function onUnauthorized(action) {
  askForLogin = action;
}

/** The address of something on this server, below whatever path a proxy puts the page. */
export function address(path) {
  return new URL(path, document.baseURI);
}

/** GET with a query; parameters that are null or empty are left out. */
export function get(path, query = {}) {
  return request("GET", path, { query });
}

/** Any other method, with a JSON body where there is one. */
export function send(method, path, body = null) {
  return request(method, path, { body });
}

/** Every page of a list, as one array. */
export async function getAll(path, name, query = {}) {
  const items = [];
  for (let page = 1; ; page += 1) {
    const answer = await get(path, { ...query, page, per_page: 100 });
    items.push(...answer[name]);
    if (!answer.has_next) return items;
  }
}

async function request(method, path, { query = {}, body = null }) {
  const url = address(path);
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== "") url.searchParams.set(name, value);
  }
  const options = { method, headers: { Accept: "application/json" }, credentials: "same-origin" };
  if (body !== null) {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  let response;
  try {
    response = await fetch(url, options);
  } catch {
    throw new ApiError({ status: 0, code: "UNREACHABLE", message: "The dashboard's server does not answer." });
  }
  if (!response.ok) throw await failure(response);
  return response.status === 204 ? null : response.json();
}

/** Reads the error envelope; something between us and the server may have answered without one. */
async function failure(response) {
  const envelope = await response.json().catch(() => null);
  const error = new ApiError({
    status: response.status,
    code: envelope?.error?.code ?? "UNKNOWN",
    message: envelope?.error?.message ?? `The server answered with status ${response.status}.`,
    details: envelope?.error?.details ?? {},
    requestId: response.headers.get("X-Request-Id"),
  });
  if (error.status === 401 && error.code === "UNAUTHORIZED") askForLogin(error);
  return error;
}
