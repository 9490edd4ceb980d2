/** The client against the product, which HEMLINE_URL names. */

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

import { Client, HemlineError, type Picture, WorkFailed } from "../src/index.js";
import { open } from "../src/node.js";

const samples = process.env["HEMLINE_SAMPLES"] ?? assert.fail("HEMLINE_SAMPLES is not set");
const dataset = process.env["HEMLINE_DATASET"] ?? assert.fail("HEMLINE_DATASET is not set");
const client = new Client(process.env["HEMLINE_URL"] ?? assert.fail("HEMLINE_URL is not set"));
const sneaker = `${samples}/sneaker.png`;
const LONG = { network: "tutorial_cnn", epochs: 500, batch_size: 8, dataset };

test("a picture may be bytes, a Blob, a buffer, a data: URI or a path", async () => {
  const bytes = await open(sneaker);
  const pictures: Picture[] = [
    bytes,
    new Blob([new Uint8Array(bytes)]),
    new Uint8Array(bytes).buffer,
    `data:image/png;base64,${await readFile(sneaker, "base64")}`,
  ];
  for (const picture of pictures) {
    const prediction = await client.classify(picture, { top_k: 3, metadata: { sku: "A-17" } });
    assert.equal(prediction.result?.label, "Sneaker");
    assert.equal(prediction.result?.probabilities.length, 3);
    assert.deepEqual(prediction.metadata, { sku: "A-17" });
  }
});

test("what is no picture is an error that points at it", async () => {
  await assert.rejects(client.classify(new TextEncoder().encode("no picture")), (error: unknown) => {
    assert.ok(error instanceof HemlineError);
    assert.equal(error.status, 422);
    assert.equal(error.type, "urn:hemline:problem:invalid-image");
    assert.deepEqual(error.errors.map(({ pointer }) => pointer), ["#/image"]);
    return error.message.includes(error.errors[0]?.detail ?? "nothing");
  });
  await assert.rejects(client.classify("sneaker.png"), /data: URI/);
});

test("a model that is unknown is an error that names the known ones", async () => {
  await assert.rejects(client.submit(await open(sneaker), { model: "nobody" }), /Known: .*production/);
});

test("submitting and waiting may be two steps", async () => {
  const prediction = await client.submit(await open(sneaker));
  assert.equal((await client.wait(prediction)).result?.label, "Sneaker");
  await client.cancel(prediction);
  await assert.rejects(client.wait(prediction), { status: 404 });
});

test("many pictures are answered in their order and a bad one fails alone", async () => {
  const items = [];
  const pictures = [await open(`${samples}/bag.png`), new Uint8Array([1]), await open(sneaker)];
  for await (const item of client.classifyMany(pictures)) items.push(item);
  assert.deepEqual(items.map(({ index }) => index), [0, 1, 2]);
  assert.deepEqual(items.map(({ status }) => status), ["succeeded", "failed", "succeeded"]);
  assert.deepEqual(items.map(({ result }) => result?.label), ["Bag", undefined, "Sneaker"]);
  assert.ok(items[1]?.error?.detail);
});

test("a job is followed live and its version promoted", async () => {
  const training = await client.train({ network: "tutorial_cnn", epochs: 2, batch_size: 8, fraction: 0.5, dataset });
  const seen = [];
  for await (const event of training) seen.push(event);
  assert.deepEqual(seen.filter(({ type }) => type === "epoch").map(({ data }) => data["epoch"]), [1, 2]);
  assert.equal(seen.at(-1)?.type, "succeeded");
  const job = await training.result();
  assert.equal(job.history.length, 2);
  const version = job.result?.model_version ?? assert.fail();
  assert.equal((await client.models().next()).value?.version, version);
  assert.equal((await client.jobs().next()).value?.id, job.id);
  assert.equal((await client.promote(version, "fresh")).version, version);
  const { data } = await client.api.GET("/v1/aliases");
  assert.ok(data?.items.some(({ alias }) => alias === "fresh"));
});

test("a job that is canceled has no result", async () => {
  const training = await client.train(LONG);
  for await (const event of training) if (event.type === "running") await training.cancel();
  await assert.rejects(training.result(), (error: unknown) => error instanceof WorkFailed && error.code === "canceled");
  await assert.rejects(training.cancel(), { status: 409 });
});
