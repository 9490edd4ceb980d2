// The public API, as any client would use it: JSON in and out, errors as RFC 9457 problem documents.
import { remember } from "./curl.js";
import { download } from "./dom.js";
import { apiKey } from "./key.js";

/** What the API answered instead of what was wanted. Status 0: there was no answer at all. */
export class Problem extends Error {
  constructor(status, document = {}, retryAfter = null) {
    super(document.detail ?? document.title ?? `The service answered ${status}.`);
    this.status = status;
    this.document = document;
    this.retryAfter = retryAfter;
  }
}

/**
 * One request. `json` or `form` is the body; `quiet` requests, such as polls, are not worth a curl command; `shown` is
 * the shell word to show for a body that would be too long. Gives the answer. Throws Problem, or AbortError.
 */
export async function send(method, path, { json, form, headers = {}, signal, quiet, shown } = {}) {
  const sent = json === undefined ? headers : { "Content-Type": "application/json", ...headers };
  const body = json === undefined ? form : JSON.stringify(json);
  const key = apiKey();
  if (!quiet) remember({ method, path, headers: sent, body: typeof body === "string" ? body : undefined, shown });
  let answer;
  try {
    answer = await fetch(path, {
      method,
      headers: key ? { ...sent, Authorization: `Bearer ${key}` } : sent,
      body,
      signal,
    });
  } catch (failure) {
    if (failure.name === "AbortError") throw failure;
    throw new Problem(0, { title: "No answer", detail: "The service cannot be reached. Is it running?" });
  }
  if (!answer.ok) {
    throw new Problem(
      answer.status,
      isJson(answer) ? await answer.json() : {},
      Number(answer.headers.get("Retry-After")) || null,
    );
  }
  return answer;
}

/** What the answer says: JSON or text. */
export async function ask(method, path, options) {
  const answer = await send(method, path, options);
  return isJson(answer) ? answer.json() : answer.text();
}

const isJson = (answer) => /\bjson$/.test(answer.headers.get("Content-Type")?.split(";")[0] ?? "");

/** Offer what is there as a file, by the name that the service gives it: a link could not send a key. */
export async function save(path) {
  const answer = await send("GET", path);
  const name = /filename="(.*?)"/.exec(answer.headers.get("Content-Disposition"))?.[1] ?? "hemline";
  download(name, await answer.blob());
}

export const get = (path, options) => ask("GET", path, options);

/** Ask for a resource again and again until its work is done; `seen` gets it each time. */
export async function follow(path, seen, signal) {
  for (let wait = 0; !signal.aborted; wait = 1) {
    const resource = await get(path, { signal, quiet: true, headers: wait ? { Prefer: `wait=${wait}` } : {} });
    await seen(resource);
    if (isFinal(resource)) return;
    await new Promise((resolve) => {
      setTimeout(resolve, 150);
    });
  }
}

export const isFinal = (resource) => !["queued", "running"].includes(resource.status);

let openapi;
/** The schema of an operation's body in one media type, or null where it takes none: what this server can do. */
export async function bodySchema(path, type = "application/json") {
  openapi ??= get("/openapi.json", { quiet: true });
  const document = await openapi.catch((problem) => {
    openapi = undefined;
    throw problem;
  });
  const schema = document.paths[path]?.post?.requestBody?.content?.[type]?.schema;
  return schema ? resolved(schema, document) : null;
}

function resolved(schema, document) {
  const target = schema.$ref ?? schema.allOf?.[0]?.$ref;
  if (!target) return schema;
  return target
    .split("/")
    .slice(1)
    .reduce((node, step) => node[step], document);
}
