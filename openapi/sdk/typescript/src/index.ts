/** A client of Hemline: classify pictures of clothes, train the model, follow both. */

export { Client, type ClassifyOptions, type ClientOptions, isFinal, Training } from "./client.js";
export { HemlineError, TimedOut, Unreachable, WorkFailed } from "./errors.js";
export type { components, operations, paths } from "./generated/schema.js";
export type { Picture } from "./images.js";
export type * from "./types.js";
