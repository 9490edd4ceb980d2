// What the model said about one picture, for people.
import { probabilityBars } from "./charts.js";
import { h } from "./dom.js";
import { milliseconds, percent } from "./format.js";

export const CLASSES = [
  "T-shirt/top",
  "Trouser",
  "Pullover",
  "Dress",
  "Coat",
  "Sandal",
  "Shirt",
  "Sneaker",
  "Bag",
  "Ankle boot",
];

/** Before there is any answer. */
export function emptyAnswer() {
  return h(
    "div",
    { class: "empty" },
    h("h2", {}, "Nothing asked yet"),
    h(
      "p",
      { class: "soft" },
      "Pick a sample or bring a picture of your own. The answer appears here: one of these ten " +
        "kinds of garment, how sure the model is, and the picture that it really saw.",
    ),
    probabilityBars(CLASSES.map((label) => ({ label, probability: 0 }))),
  );
}

export function busyAnswer(file) {
  return h(
    "div",
    { class: "empty busy" },
    h("h2", {}, "Looking…"),
    h("p", { class: "soft" }, file?.name ?? ""),
    probabilityBars(CLASSES.map((label) => ({ label, probability: 0 }))),
  );
}

/**
 * An answer. `original`: the URL of the picture as it was sent, where it is known; `why` asks for an explanation, where
 * the service gives some; `forget` deletes the prediction.
 */
export function answer(prediction, { original, why, forget }) {
  const { result, timings } = prediction;
  return h(
    "div",
    { class: "answered" },
    h("div", { class: "headline" }, seen(result, original), verdict(result)),
    h("h3", { class: "hidden" }, "Probabilities"),
    probabilityBars(result.probabilities),
    result.explanation ? explanation(result) : null,
    facts(prediction, timings),
    h(
      "div",
      { class: "row" },
      why && !result.explanation ? h("button", { type: "button", class: "why", onclick: why }, "Why?") : null,
      h("button", { type: "button", class: "quiet", onclick: forget }, "Forget this picture"),
    ),
  );
}

/** A prediction that has no result. */
export function unanswered(prediction, forget) {
  const words = prediction.error?.detail ?? `The prediction is ${prediction.status}.`;
  return h(
    "div",
    { class: "notice bad" },
    h("p", { class: "what" }, "There is no answer"),
    h("p", {}, words),
    h("button", { type: "button", onclick: forget }, "Forget this picture"),
  );
}

function verdict(result) {
  const notes = result.warnings.map(({ detail }) => detail);
  if (!result.is_fashion) {
    return h(
      "div",
      { class: "verdict" },
      h("h2", {}, "None of the ten"),
      h(
        "p",
        {},
        "This looks like none of the ten classes, so do not trust the bars. Closest is ",
        h("strong", { class: "label" }, result.label),
        `, with ${percent(result.confidence)}.`,
      ),
      notes.map(note),
    );
  }
  return h(
    "div",
    { class: "verdict" },
    h("h2", { class: "label" }, result.label),
    h("p", {}, h("strong", {}, percent(result.confidence)), " sure. ", usual(result.novelty)),
    notes.map(note),
  );
}

const note = (text) => h("p", { class: "note" }, text);

function usual(novelty) {
  if (novelty < 0.8) return "It looks like other garments that the model knows.";
  return `It is an unusual one, though: ${percent(novelty, 0)} of the garments that the model knows look less odd.`;
}

function seen(result, original) {
  const origin = { contract: "taken as it is", photo: "cut out of the photograph" }[result.source];
  return h(
    "div",
    { class: "seen" },
    original
      ? h(
          "figure",
          {},
          h("img", { class: "original", src: original, alt: "The picture as it was sent" }),
          h("figcaption", {}, "your picture"),
        )
      : null,
    h(
      "figure",
      {},
      h(
        "div",
        { class: "layers" },
        h("img", { class: "pixels", src: result.preview, alt: "What the model saw, 28 by 28 pixels" }),
      ),
      h("figcaption", {}, "what the model saw", origin ? h("span", { class: "hidden" }, `, ${origin}`) : null),
    ),
  );
}

/** Where the model looked, and which pictures it learned from are most alike. */
function explanation(result) {
  const { overlay, neighbors = [] } = result.explanation;
  return h(
    "section",
    { class: "explanation" },
    h("h3", {}, "Why"),
    overlay
      ? h(
          "figure",
          {},
          h("img", {
            src: overlay,
            width: 224,
            height: 224,
            alt: `What the model saw, coloured where it speaks for ${result.label}`,
          }),
          h(
            "figcaption",
            {},
            `Coloured where covering the spot would make it less sure of ${result.label}; the brighter, the more.`,
          ),
        )
      : null,
    neighbors.length
      ? h(
          "div",
          {},
          h("p", {}, "Most alike among the pictures that it learned from:"),
          h(
            "ol",
            {},
            neighbors.map(({ index, label }) => h("li", {}, label, h("span", { class: "soft" }, ` no. ${index}`))),
          ),
        )
      : null,
  );
}

function facts(prediction, timings) {
  if (!timings) return null;
  const total = timings.decode_ms + timings.queue_ms + timings.inference_ms;
  const parts = [
    ["reading", timings.decode_ms],
    ["waiting", timings.queue_ms],
    ["computing", timings.inference_ms],
  ];
  const company = timings.batch_size > 1 ? `, together with ${timings.batch_size - 1} others` : "";
  return h(
    "p",
    { class: "facts" },
    "Answered by ",
    h("a", { href: `#models/${prediction.model_version}` }, prediction.model_version),
    ` in ${milliseconds(total)}: `,
    parts.map(([name, value]) => `${name} ${milliseconds(value)}`).join(", "),
    `${company}.`,
  );
}
