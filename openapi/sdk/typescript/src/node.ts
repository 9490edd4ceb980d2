/** What only Node can do: pictures from files. */

import { readFile } from "node:fs/promises";

/** The picture at a path. */
export async function open(path: string | URL): Promise<Uint8Array> {
  return readFile(path);
}
