/** Server-sent events, read from the body of an answer. */

export interface ServerSentEvent {
  id: string;
  type: string;
  data: string;
}

/** The events of a stream, as they come; ends with it, and throws where it breaks. */
export async function* events(body: ReadableStream<Uint8Array>): AsyncGenerator<ServerSentEvent, void, undefined> {
  let event: { type: string; data: string[] } = { type: "message", data: [] };
  let id = "";
  for await (const line of lines(body)) {
    if (line === "") {
      if (event.data.length > 0) yield { id, type: event.type, data: event.data.join("\n") };
      event = { type: "message", data: [] };
      continue;
    }
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "id") id = value;
    else if (field === "event") event.type = value;
    else if (field === "data") event.data.push(value);
  }
}

async function* lines(body: ReadableStream<Uint8Array>): AsyncGenerator<string, void, undefined> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return; // an event without its empty line is none
      rest += decoder.decode(value, { stream: true });
      // A \r at the very end may be half of a \r\n.
      const whole = rest.split(/\r\n|\n|\r(?!$)/);
      rest = whole.pop() ?? "";
      yield* whole;
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}
