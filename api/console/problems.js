// Problem documents in words, with what to do about them.
import { announce, h } from "./dom.js";
import { keyForm, onAnotherKey } from "./key.js";

const TITLES = {
  0: "The service does not answer",
  401: "An API key is needed",
  403: "Your key is not good for that",
  404: "It is not there",
  409: "It is too late for that",
  413: "That is too large",
  415: "That form is not taken",
  422: "Something has to change",
  429: "Too many requests",
  500: "Something broke",
  503: "The service has no room just now",
};

/** A notice for what was thrown; `again` makes a button. Where it is a bug of ours, it is thrown on. */
export function notice(problem, again) {
  if (problem.status === undefined) throw problem;
  const title = problem.document.type?.endsWith("invalid-image")
    ? "The picture cannot be read"
    : TITLES[problem.status];
  const errors = problem.document.errors ?? [];
  const lacksKey = problem.status === 401;
  if (lacksKey && again) onAnotherKey(again);
  announce(`${title ?? "That did not work"}. ${problem.message}`);
  return h(
    "div",
    { class: "notice bad" },
    h("p", { class: "what" }, title ?? "That did not work"),
    errors.length
      ? h(
          "ul",
          {},
          errors.map(({ pointer, detail }) => h("li", {}, named(pointer), detail)),
        )
      : h("p", {}, problem.message),
    problem.retryAfter ? h("p", { class: "soft" }, `It may work again in ${problem.retryAfter} s.`) : null,
    lacksKey ? keyForm() : null,
    again && !lacksKey ? h("button", { type: "button", onclick: again }, "Try again") : null,
  );
}

/** What a pointer points at, unless there is only one thing that it could be. */
function named(pointer) {
  const field = pointer
    .replace(/^[#?]\/?/, "")
    .replaceAll("/", " › ")
    .replaceAll("_", " ");
  return field && field !== "image" ? h("strong", {}, `${field}: `) : null;
}

/** Put a notice where the work of `action` should have gone, when it fails. */
export async function guarded(place, action) {
  try {
    await action();
  } catch (problem) {
    if (problem.name === "AbortError") return;
    place.replaceChildren(
      notice(problem, () => {
        place.replaceChildren();
        guarded(place, action);
      }),
    );
  }
}
