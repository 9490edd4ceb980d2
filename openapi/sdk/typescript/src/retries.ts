/** Asking again: when the service says that it is busy, and when it could not be reached. */

import { problem, Unreachable } from "./errors.js";

export type Sleep = (seconds: number) => Promise<void>;

const BUSY = [429, 503]; // the contract: nothing was accepted
const IDEMPOTENT = ["GET", "HEAD", "PUT", "DELETE"];
// Node names these in the cause of a failed fetch. Browsers don't say, so there a POST is not sent again.
const NEVER_SENT = ["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "UND_ERR_CONNECT_TIMEOUT"];
const KEY = "Idempotency-Key"; // with it, what arrives twice is made once
const LONGEST = 30; // seconds between two tries where the service does not say
const SILENCE = 60; // seconds until an answer has to begin: longer than any request is held

export const sleep: Sleep = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

/**
 * Seconds to wait before the next try: never less than `Retry-After` asks, and up to a quarter more, so that clients
 * that were refused together do not come back together; without it, exponential backoff from half a second, with
 * jitter.
 */
export function pause(attempt: number, response?: Response): number {
  const asked = response && retryAfter(response);
  if (asked !== undefined) return asked * (1 + Math.random() / 4);
  return Math.min(LONGEST, 0.5 * 2 ** attempt) * (0.5 + Math.random() / 2);
}

/** `Retry-After` in seconds; it may also come as a date (RFC 9110). */
export function retryAfter(response: Response): number | undefined {
  const said = response.headers.get("Retry-After")?.trim() ?? "";
  if (/^\d+$/.test(said)) return Number(said);
  const date = Date.parse(said);
  return Number.isNaN(date) ? undefined : Math.max(0, (date - Date.now()) / 1000);
}

/**
 * A `fetch` that tries up to `tries` times, with pauses of at most `patience` seconds in all, and throws HemlineError
 * for every answer that is an error.
 */
export function retrying(
  fetch: typeof globalThis.fetch,
  tries: number,
  patience: number,
  sleep: Sleep,
  silence = SILENCE,
): (request: Request) => Promise<Response> {
  return async (request: Request): Promise<Response> => {
    let waited = 0;
    for (let attempt = 0; ; attempt++) {
      const last = attempt >= tries - 1;
      let seconds: number;
      try {
        const response = await answered(fetch, request.clone(), silence);
        if (response.status < 400) return response;
        seconds = pause(attempt, response);
        if (last || !isBusy(response) || waited + seconds > patience) {
          throw await problem(response, request.url);
        }
        await response.body?.cancel();
      } catch (error) {
        if (!(error instanceof TypeError)) throw error; // what fetch throws where there is no answer
        seconds = pause(attempt);
        const again = IDEMPOTENT.includes(request.method) || request.headers.has(KEY) || neverSent(error);
        if (last || !again || waited + seconds > patience) {
          throw new Unreachable(`There was no answer to ${request.url}`, error.cause ?? error);
        }
      }
      waited += seconds;
      await sleep(seconds);
    }
  };
}

function isBusy(response: Response): boolean {
  // 409 with a time to wait: the request before, of which nothing was heard, goes on.
  return BUSY.includes(response.status) || (response.status === 409 && response.headers.has("Retry-After"));
}

/** An answer, as soon as its head is there. */
async function answered(fetch: typeof globalThis.fetch, request: Request, silence: number): Promise<Response> {
  const given = new AbortController();
  const timer = setTimeout(() => given.abort(new TypeError(`nothing within ${silence} s`)), silence * 1000);
  try {
    return await fetch(request, { signal: given.signal });
  } finally {
    clearTimeout(timer);
  }
}

function neverSent(error: TypeError): boolean {
  const cause = error.cause as { code?: string } | undefined;
  return cause?.code !== undefined && NEVER_SENT.includes(cause.code);
}
