// Server-sent events by fetch: the browser's own EventSource cannot send a key.
import { send } from "./api.js";
import { pause } from "./dom.js";

const AGAIN = 3000; // milliseconds until a lost stream is asked for again

/** Tell of every event, its type and its data, until the stream ends for good; lost connections are made anew. */
export async function events(path, told, signal) {
  let last = "";
  while (!signal.aborted) {
    try {
      const answer = await send("GET", path, { headers: last ? { "Last-Event-ID": last } : {}, quiet: true, signal });
      if (answer.status === 204) return; // there is nothing after the last one
      for await (const { id, type, data } of parsed(answer.body)) {
        last = id;
        if (await told(type, JSON.parse(data))) return;
      }
    } catch (problem) {
      if (signal.aborted) return;
      if (problem.status && problem.status < 500) throw problem;
    }
    await pause(AGAIN, signal);
  }
}

async function* parsed(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return; // what has no empty line behind it is not whole
      text += value;
      const blocks = text.split("\n\n");
      text = blocks.pop();
      for (const block of blocks) {
        const fields = Object.fromEntries(block.split("\n").map((line) => line.split(/: (.*)/s)));
        if (fields.data) yield { id: fields.id, type: fields.event, data: fields.data };
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}
