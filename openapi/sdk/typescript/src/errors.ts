/** What can go wrong, as errors that say what to do. */

import type { ProblemDetail, Work } from "./types.js";

/** Anything that the service did not do. */
export class HemlineError extends Error {
  override name = "HemlineError";

  constructor(
    /** What happened and what to do about it. */
    readonly detail: string,
    /** The HTTP status; undefined where it has nothing to do with one answer. */
    readonly status?: number,
    /** What has to change in the request, one by one. */
    readonly errors: readonly ProblemDetail[] = [],
    /** The kind of problem. */
    readonly type = "about:blank",
    options?: ErrorOptions,
  ) {
    super([detail, ...errors.map((error) => `${error.pointer}: ${error.detail}`)].join(" "), options);
  }
}

/** There was no answer. */
export class Unreachable extends HemlineError {
  override name = "Unreachable";

  constructor(what: string, cause?: unknown) {
    const reason = cause instanceof Error ? ` (${cause.message})` : "";
    super(`${what}${reason}. Is the service running, and the URL right?`, undefined, [], undefined, { cause });
  }
}

/** The work is accepted but has not ended in time. It goes on: `work` is its record, to be waited for again. */
export class TimedOut extends HemlineError {
  override name = "TimedOut";

  constructor(readonly work: Work) {
    super(`${work.id} is ${work.status}: it goes on, but has not ended in the time given.`);
  }
}

/** The work was accepted and ended without a result. `code` names the reason, `work` is its record. */
export class WorkFailed extends HemlineError {
  override name = "WorkFailed";
  readonly code: string;

  constructor(readonly work: Work) {
    const error = "error" in work ? work.error : undefined;
    super(error?.detail ?? `${work.id} was ${work.status}.`);
    this.code = error?.code ?? work.status;
  }
}

/** The error that an answer stands for; not every proxy on the way answers with a document. */
export async function problem(response: Response, url: string): Promise<HemlineError> {
  try {
    const { detail, errors, type } = (await response.json()) as Record<string, unknown>;
    if (typeof detail === "string") {
      return new HemlineError(
        detail,
        response.status,
        Array.isArray(errors) ? (errors as ProblemDetail[]) : [],
        typeof type === "string" ? type : undefined,
      );
    }
  } catch {
    // No JSON: what follows says what is known.
  }
  return new HemlineError(`${url} answered ${response.status}.`, response.status);
}
