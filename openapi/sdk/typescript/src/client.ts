/**
 * What the contract asks of a client. Work is submitted with `Prefer: wait`, polled as `Retry-After` says, and has
 * ended where its status is final or it says when it was completed: states that a later service may add are waited
 * through.
 */

import createClient, { type Client as ApiClient } from "openapi-fetch";

import { HemlineError, TimedOut, Unreachable, WorkFailed } from "./errors.js";
import { events } from "./events.js";
import type { paths } from "./generated/schema.js";
import { encode, type Picture } from "./images.js";
import { pause, retrying, type Sleep, sleep } from "./retries.js";
import type {
  Alias, Batch, BatchItem, Model, Prediction, PredictionRequest, TrainingEvent, TrainingJob, TrainingJobRequest, Work,
} from "./types.js";

export interface ClientOptions {
  /** An API key. */
  apiKey?: string;
  /** Seconds that work may take before TimedOut is thrown, unless a call says otherwise. 60 unless given. */
  timeout?: number;
  /** How often a request is tried that is refused because the service is busy, or does not reach it. 5 unless given. */
  tries?: number;
  fetch?: typeof globalThis.fetch;
  sleep?: Sleep;
}

export interface ClassifyOptions extends Partial<Omit<PredictionRequest, "image">> {
  /** Seconds to wait for the answer. */
  timeout?: number;
}

type Answer = { data?: unknown; response: Response };

const FINAL = ["succeeded", "failed", "canceled"];
const HOLD = 25; // seconds that one request asks to be held, below what proxies commonly allow
const BATCH = 1024;
const BODY = 7 * 1024 * 1024; // the service takes 8 MiB unless set otherwise

/** Whether the work has ended, in a state that we know or one that we don't. */
export function isFinal(work: Work): boolean {
  return FINAL.includes(work.status) || work.completed_at !== undefined;
}

/** A client of one service. Everything throws HemlineError where the service does not do it. */
export class Client {
  /** The generated client, with the same retries and errors, for every operation of the API. */
  readonly api: ApiClient<paths>;
  readonly #timeout: number;
  readonly #tries: number;
  readonly #sleep: Sleep;

  constructor(baseUrl = "http://127.0.0.1:8000", options: ClientOptions = {}) {
    this.#timeout = options.timeout ?? 60;
    this.#tries = Math.max(1, options.tries ?? 5);
    this.#sleep = options.sleep ?? sleep;
    const fetch = options.fetch ?? ((request, init) => globalThis.fetch(request, init));
    this.api = createClient<paths>({
      baseUrl,
      fetch: retrying(fetch, this.#tries, this.#timeout, this.#sleep),
      headers: options.apiKey ? { Authorization: `Bearer ${options.apiKey}` } : {},
    });
  }

  /** Classify one picture and wait for the answer. */
  async classify(image: Picture, { timeout, ...fields }: ClassifyOptions = {}): Promise<Prediction> {
    const body = { image: await encode(image), ...fields };
    const deadline = this.#deadline(timeout);
    const answer = await this.api.POST("/v1/predictions", { body, params: { header: prefer(deadline) } });
    return succeeded(await this.#settled<Prediction>(answer, deadline));
  }

  /** Classify any number of pictures, in batches; answers come in their order, and a bad picture fails alone. */
  async *classifyMany(
    images: Iterable<Picture> | AsyncIterable<Picture>,
    { timeout, ...fields }: ClassifyOptions = {},
  ): AsyncGenerator<BatchItem, void, undefined> {
    let start = 0;
    for await (const slice of slices(images)) {
      const deadline = this.#deadline(timeout);
      const body = { images: slice, ...fields };
      const answer = await this.api.POST("/v1/batches", { body, params: { header: { ...prefer(deadline), ...once() } } });
      const { id } = await this.#settled<Batch>(answer, deadline);
      const { data } = await this.api.GET("/v1/batches/{batch_id}/results", {
        params: { path: { batch_id: id } },
        headers: { Accept: "application/jsonl" },
        parseAs: "text",
      });
      for (const line of String(data).split("\n").filter(Boolean)) {
        const item = JSON.parse(line) as BatchItem;
        yield { ...item, index: item.index + start };
      }
      start += slice.length;
    }
  }

  /** Have one picture accepted for classification, without waiting. */
  async submit(image: Picture, fields: Omit<ClassifyOptions, "timeout"> = {}): Promise<Prediction> {
    const { data } = await this.api.POST("/v1/predictions", { body: { image: await encode(image), ...fields } });
    return data as Prediction;
  }

  /** Wait until a prediction, batch or job has ended; in whatever way. Throws TimedOut. */
  async wait<W extends Work>(work: W, timeout?: number): Promise<W> {
    const deadline = this.#deadline(timeout);
    return this.#settled<W>(await this.#get(work.id, prefer(deadline)), deadline);
  }

  /** Have a training job accepted; iterate over what this returns to follow it. */
  async train(spec: Partial<TrainingJobRequest> = {}): Promise<Training> {
    const { data } = await this.api.POST("/v1/training-jobs", { body: spec, params: { header: once() } });
    return new Training(this, data as TrainingJob);
  }

  /** Everything that happened and will happen to a job; where the connection is lost, what was missed follows. */
  async *events(jobId: string): AsyncGenerator<TrainingEvent, void, undefined> {
    let last: string | undefined;
    for (let silent = 0; ; ) {
      try {
        const { data, response } = await this.api.GET("/v1/training-jobs/{job_id}/events", {
          params: { path: { job_id: jobId }, header: last === undefined ? {} : { "Last-Event-ID": last } },
          parseAs: "stream",
        });
        if (data && response.status === 200) {
          for await (const { id, type, data: text } of reached(events(data as ReadableStream<Uint8Array>))) {
            silent = 0;
            last = id;
            yield { id, type, data: JSON.parse(text) as Record<string, unknown> };
            if (FINAL.includes(type)) return;
          }
        }
        if (isFinal((await this.#get(jobId)).data as Work)) return;
      } catch (error) {
        if (!(error instanceof Unreachable) || silent + 1 >= this.#tries) throw error;
      }
      if (++silent >= this.#tries) throw new HemlineError(`The events of ${jobId} end before it does, again and again.`);
      await this.#sleep(pause(silent));
    }
  }

  /** All training jobs, newest first. */
  jobs(): AsyncGenerator<TrainingJob, void, undefined> {
    return listed((query) => this.api.GET("/v1/training-jobs", { params: { query } }));
  }

  /** All versions of the model, newest first. */
  models(): AsyncGenerator<Model, void, undefined> {
    return listed((query) => this.api.GET("/v1/models", { params: { query } }));
  }

  /** Point an alias at a version. */
  async promote(version: string, alias = "production"): Promise<Alias> {
    const { data } = await this.api.PUT("/v1/aliases/{alias}", { params: { path: { alias } }, body: { version } });
    return data as Alias;
  }

  /** Cancel a prediction (which forgets it), a batch or a job, or the one of an id. */
  async cancel(work: Work | string): Promise<void> {
    const id = typeof work === "string" ? work : work.id;
    switch (kindOf(id)) {
      case "pred":
        await this.api.DELETE("/v1/predictions/{prediction_id}", { params: { path: { prediction_id: id } } });
        break;
      case "batch":
        await this.api.POST("/v1/batches/{batch_id}/cancel", { params: { path: { batch_id: id } } });
        break;
      case "job":
        await this.api.POST("/v1/training-jobs/{job_id}/cancel", { params: { path: { job_id: id } } });
        break;
      case "tune":
        await this.api.POST("/v1/tuning-jobs/{tune_id}/cancel", { params: { path: { tune_id: id } } });
    }
  }

  async #get(id: string, header: { Prefer?: string } = {}): Promise<Answer> {
    switch (kindOf(id)) {
      case "pred":
        return this.api.GET("/v1/predictions/{prediction_id}", { params: { path: { prediction_id: id }, header } });
      case "batch":
        return this.api.GET("/v1/batches/{batch_id}", { params: { path: { batch_id: id }, header } });
      case "job":
        return this.api.GET("/v1/training-jobs/{job_id}", { params: { path: { job_id: id }, header } });
      case "tune":
        return this.api.GET("/v1/tuning-jobs/{tune_id}", { params: { path: { tune_id: id }, header } });
    }
  }

  async #settled<W extends Work>({ data, response }: Answer, deadline: number): Promise<W> {
    for (let attempt = 0; ; attempt++) {
      const work = data as W;
      if (isFinal(work)) return work;
      if (!response.headers.has("Preference-Applied")) {
        // It was not held, so the pause is ours.
        await this.#sleep(Math.min(pause(attempt, response), left(deadline)));
      }
      if (left(deadline) <= 0) throw new TimedOut(work);
      ({ data, response } = await this.#get(work.id, prefer(deadline)));
    }
  }

  #deadline(timeout = this.#timeout): number {
    return Date.now() + timeout * 1000;
  }
}

/** A training job under way: iterate over its events, then take its result. */
export class Training implements AsyncIterable<TrainingEvent> {
  readonly id: string;

  constructor(
    private readonly client: Client,
    /** The job as it was accepted. */
    readonly job: TrainingJob,
  ) {
    this.id = job.id;
  }

  /** What happened so far, then what happens, until the job ends. */
  [Symbol.asyncIterator](): AsyncGenerator<TrainingEvent, void, undefined> {
    return this.client.events(this.id);
  }

  /** The finished job. Throws WorkFailed where it failed or was canceled, TimedOut. */
  async result(timeout = Infinity): Promise<TrainingJob> {
    return succeeded(await this.client.wait(this.job, timeout));
  }

  /** End the job at its next step. */
  cancel(): Promise<void> {
    return this.client.cancel(this.id);
  }
}

const KINDS = ["pred", "batch", "job", "tune"] as const;

function kindOf(id: string): (typeof KINDS)[number] {
  for (const kind of KINDS) if (id.startsWith(`${kind}_`)) return kind;
  throw new TypeError(`${id} is no id of a prediction (pred_…), batch (batch_…) or job (job_…, tune_…).`);
}

function left(deadline: number): number {
  return Math.max(0, (deadline - Date.now()) / 1000);
}

function prefer(deadline: number): { Prefer?: string } {
  const seconds = Math.ceil(Math.min(HOLD, left(deadline)));
  return seconds > 0 ? { Prefer: `wait=${seconds}` } : {};
}

/** Lets a request be sent again after a lost connection: it makes nothing twice. */
function once(): { "Idempotency-Key": string } {
  return { "Idempotency-Key": crypto.randomUUID() };
}

function succeeded<W extends Prediction | TrainingJob>(work: W): W {
  if (work.result === undefined) throw new WorkFailed(work);
  return work;
}

async function* reached<T>(items: AsyncGenerator<T, void, undefined>): AsyncGenerator<T, void, undefined> {
  try {
    yield* items;
  } catch (error) {
    throw new Unreachable("The stream of events broke", error);
  }
}

async function* listed<T>(
  page: (query: { limit: number; cursor?: string }) => Promise<{ data?: { items: T[]; next_cursor?: string } }>,
): AsyncGenerator<T, void, undefined> {
  let cursor: string | undefined;
  do {
    const { data } = await page({ limit: 100, ...(cursor === undefined ? {} : { cursor }) });
    yield* data?.items ?? [];
    cursor = data?.next_cursor;
  } while (cursor !== undefined);
}

/** Pictures in as few requests as the limits of number and size allow; one that is too large goes alone. */
async function* slices(
  pictures: Iterable<Picture> | AsyncIterable<Picture>,
): AsyncGenerator<string[], void, undefined> {
  let images: string[] = [];
  let size = 0;
  for await (const picture of pictures) {
    const image = await encode(picture);
    if (images.length === BATCH || (images.length > 0 && size + image.length > BODY)) {
      yield images;
      [images, size] = [[], 0];
    }
    images.push(image);
    size += image.length + 3; // its quotes and comma
  }
  if (images.length > 0) yield images;
}
