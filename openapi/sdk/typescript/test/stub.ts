/** A service that does what the product cannot be made to do: prepared answers, the last one again and again. */

import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";

export interface Answer {
  /** Without a status it hangs up instead. */
  status?: number;
  body?: unknown;
  headers?: Record<string, string>;
  /** Break the connection after the body. */
  cut?: boolean;
}

export interface Stub {
  url: string;
  asked: IncomingMessage[];
  close(): void;
}

export async function stub(...answers: Answer[]): Promise<Stub> {
  const asked: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    request.resume();
    request.on("end", () => {
      asked.push(request);
      const { status, body = "", headers, cut } = (answers.length > 1 ? answers.shift() : answers[0]) as Answer;
      if (status === undefined) {
        request.socket.destroy();
        return;
      }
      response.writeHead(status, headers);
      const text = typeof body === "string" ? body : JSON.stringify(body);
      if (cut) response.write(text, () => request.socket.destroy());
      else response.end(text);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}
