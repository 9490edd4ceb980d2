/** What the client does where a service is busy, vanishes, or is newer than the SDK. */

import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";

import { Client, type ClientOptions, HemlineError, TimedOut, Unreachable } from "../src/index.js";
import { retrying } from "../src/retries.js";
import { type Answer, type Stub, stub } from "./stub.js";

const PICTURE = new Uint8Array([1, 2, 3]);
const PREDICTION = { id: "pred_1", status: "queued", model_version: "v1" };
const RESULT = { label: "Bag", shine: 3 };
const DONE = { status: 201, body: { ...PREDICTION, status: "succeeded", result: RESULT, colour: "red" } };
const BUSY = { type: "urn:hemline:problem:queue-full", status: 503, title: "", detail: "Full.", instance: "/" };
const JOB = { id: "job_1", status: "running", spec: {}, history: [] };

/** A stream that ends, or breaks, after these events. */
function told(events: [number, string][], cut = false): Answer {
  const lines = events.map(([n, type]) => `id: ${n}-0\nevent: ${type}\ndata: {"n": ${n}}\n\n: still here\n\n`);
  return { status: 200, body: lines.join(""), headers: { "Content-Type": "text/event-stream" }, cut };
}

/** Run with a client whose pauses are written down, not made. */
async function using(
  answers: Answer[],
  run: (client: Client, pauses: number[], service: Stub) => Promise<void>,
  options: ClientOptions = {},
): Promise<void> {
  const service = await stub(...answers);
  const pauses: number[] = [];
  const sleep = async (seconds: number) => void pauses.push(seconds);
  try {
    await run(new Client(service.url, { sleep, ...options }), pauses, service);
  } finally {
    service.close();
  }
}

function within(value: number | undefined, low: number, high: number): void {
  assert.ok(value !== undefined && low <= value && value <= high, `${value} is not within ${low} and ${high}`);
}

for (const status of [429, 503]) {
  test(`a service that is busy (${status}) is asked again when it says`, async () => {
    const answers = [
      { status, body: BUSY, headers: { "Retry-After": "3" } },
      { status, body: "<html>", headers: { "Retry-After": "2" } },
      DONE,
    ];
    await using(answers, async (client, pauses, service) => {
      assert.equal((await client.classify(PICTURE)).result?.label, "Bag");
      within(pauses[0], 3, 3.75);
      within(pauses[1], 2, 2.5);
      assert.equal(service.asked.length, 3);
    });
  });
}

test("Retry-After may be a date", async () => {
  const past = { status: 503, body: BUSY, headers: { "Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT" } };
  await using([past, DONE], async (client, pauses) => {
    await client.classify(PICTURE);
    assert.deepEqual(pauses, [0]);
  });
});

test("without Retry-After pauses grow", async () => {
  const busy = { status: 503, body: BUSY };
  await using([busy, busy, busy, DONE], async (client, pauses) => {
    await client.classify(PICTURE);
    within(pauses[0], 0.25, 0.5);
    within(pauses[1], 0.5, 1);
    within(pauses[2], 1, 2);
  });
});

test("a service that stays busy is given up", async () => {
  const run = async (client: Client, _: number[], service: Stub) => {
    await assert.rejects(client.classify(PICTURE), { status: 503, detail: "Full.", type: BUSY.type });
    assert.equal(service.asked.length, 3);
  };
  await using([{ status: 503, body: BUSY, headers: { "Retry-After": "1" } }], run, { tries: 3 });
});

test("a pause longer than the timeout is not made", async () => {
  await using([{ status: 503, body: BUSY, headers: { "Retry-After": "600" } }], async (client, pauses) => {
    await assert.rejects(client.classify(PICTURE), HemlineError);
    assert.deepEqual(pauses, []);
  });
});

test("an error that is no document is one all the same", async () => {
  await using([{ status: 502, body: "<html>Bad Gateway</html>" }], async (client) => {
    await assert.rejects(client.classify(PICTURE), { name: "HemlineError", status: 502 });
  });
});

test("a submission that may have arrived is sent again only with a key", async () => {
  await using([{}], async (client, _, service) => {
    await assert.rejects(client.classify(PICTURE), Unreachable);
    assert.equal(service.asked.length, 1);
    await assert.rejects(client.models().next(), Unreachable);
    assert.equal(service.asked.length, 1 + 5);
    await assert.rejects(client.train(), Unreachable);
    const keys = service.asked.slice(6).map((asked) => asked.headers["idempotency-key"]);
    assert.equal(keys.length, 5);
    assert.equal(new Set(keys).size, 1);
  });
});

test("a service that is not there is said to be", async () => {
  const gone = await stub({});
  gone.close();
  const client = new Client(gone.url, { tries: 2, sleep: async () => {} });
  await assert.rejects(client.classify(PICTURE), /Is the service running/);
});

test("work is polled as the service says and through states that nobody knows", async () => {
  const answers = [
    { status: 202, body: PREDICTION, headers: { "Retry-After": "2" } },
    { status: 200, body: { ...PREDICTION, status: "warming_up" } },
    { status: 200, body: PREDICTION, headers: { "Preference-Applied": "wait=25", "Retry-After": "9" } },
    DONE,
  ];
  await using(answers, async (client, pauses, service) => {
    const prediction = await client.classify(PICTURE);
    assert.equal((prediction as { colour?: string }).colour, "red");
    within(pauses[0], 2, 2.5);
    assert.equal(pauses.length, 2);
    assert.ok(service.asked.every((request) => String(request.headers["prefer"]).startsWith("wait=")));
    assert.deepEqual(service.asked.slice(1).map((request) => request.url), Array(3).fill("/v1/predictions/pred_1"));
  });
});

test("a final state that nobody knows ends the wait", async () => {
  const expired = { ...JOB, status: "expired", completed_at: "2026-01-31T12:00:00.123Z" };
  await using([{ status: 202, body: JOB }, { status: 200, body: expired }], async (client) => {
    assert.equal((await client.wait((await client.train()).job)).status, "expired");
  });
});

test("work that takes too long times out and can be waited for again", async () => {
  await using([{ status: 202, body: PREDICTION }, DONE], async (client) => {
    const late = await client.classify(PICTURE, { timeout: 0 }).catch((error: unknown) => error);
    assert.ok(late instanceof TimedOut);
    assert.equal((await client.wait(late.work)).status, "succeeded");
  });
});

test("events that were missed are asked for", async () => {
  const answers = [
    { status: 202, body: JOB },
    told([[1, "queued"], [2, "progress"]], true),
    {},
    told([[3, "dancing"]]),
    { status: 200, body: JOB },
    told([[4, "succeeded"]]),
  ];
  await using(answers, async (client, _, service) => {
    const seen: unknown[] = [];
    for await (const { id, type, data } of await client.train()) seen.push([id, type, data["n"]]);
    const sent = [["1-0", "queued", 1], ["2-0", "progress", 2], ["3-0", "dancing", 3], ["4-0", "succeeded", 4]];
    assert.deepEqual(seen, sent);
    const asked = service.asked.filter((request) => request.url?.endsWith("/events"));
    assert.deepEqual(asked.map((request) => request.headers["last-event-id"]), [undefined, "2-0", "2-0", "3-0"]);
  });
});

test("nothing more to tell ends the events", async () => {
  const answers = [{ status: 202, body: JOB }, { status: 204 }, { status: 200, body: { ...JOB, status: "succeeded" } }];
  await using(answers, async (client) => {
    for await (const event of await client.train()) assert.fail(event.type);
  });
});

test("a stream that breaks for ever is given up", async () => {
  const run = async (client: Client) => {
    const training = await client.train();
    await assert.rejects(training[Symbol.asyncIterator]().next(), Unreachable);
  };
  await using([{ status: 202, body: JOB }, {}], run, { tries: 2 });
});

test("a service that says nothing is given up", async () => {
  const silent = createServer(() => undefined);
  await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
  const request = new Request(`http://127.0.0.1:${(silent.address() as AddressInfo).port}`, { method: "POST" });
  const impatient = retrying(fetch, 5, 60, async () => undefined, 0.05);
  await assert.rejects(impatient(request), { name: "Unreachable", message: /nothing within 0.05 s/ });
  silent.close();
  silent.closeAllConnections();
});

test("the key is sent", async () => {
  const run = async (client: Client, _: number[], service: Stub) => {
    await client.classify(PICTURE);
    assert.equal(service.asked[0]?.headers.authorization, "Bearer secret");
  };
  await using([DONE], run, { apiKey: "secret" });
});
