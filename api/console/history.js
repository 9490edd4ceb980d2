// The predictions that the service still keeps, to look at again or to forget.
import { ask, get } from "./api.js";
import { announce, h } from "./dom.js";
import { ago, percent } from "./format.js";
import { guarded } from "./problems.js";

/** The strip of recent answers; `forgotten` is told which prediction was deleted. */
export function predictionHistory(signal, forgotten) {
  const list = h("ol", { class: "thumbs" });
  const more = h("button", { type: "button", hidden: true }, "Show older ones");
  const nothing = h(
    "p",
    { class: "soft", hidden: true },
    "No answers yet. They are kept for a while after they were given, then forgotten.",
  );
  const trouble = h("div");
  const element = h("section", { class: "history" }, h("h2", {}, "Recent answers"), nothing, list, more, trouble);

  const load = (cursor) =>
    guarded(trouble, async () => {
      const query = new URLSearchParams({ limit: 12, status: "succeeded", ...(cursor ? { cursor } : {}) });
      const page = await get(`/v1/predictions?${query}`, { quiet: true, signal });
      const items = page.items.map((prediction) => thumb(prediction, () => remove(prediction)));
      if (cursor) list.append(...items);
      else list.replaceChildren(...items);
      nothing.hidden = list.children.length > 0;
      more.hidden = !page.next_cursor;
      more.onclick = () => load(page.next_cursor);
    });

  const remove = (prediction) =>
    guarded(trouble, async () => {
      await forget(prediction.id);
      forgotten(prediction.id);
      await load();
    });

  load();
  return { element, refresh: () => load() };
}

/** Delete a prediction; one that is gone already is as good. `quiet` where the user has not asked for it. */
export async function forget(id, quiet = false) {
  try {
    await ask("DELETE", `/v1/predictions/${id}`, { quiet });
  } catch (problem) {
    if (problem.status !== 404) throw problem;
  }
  if (!quiet) announce("Forgotten.");
}

function thumb({ id, result, created_at: at }, remove) {
  const name = result.is_fashion ? result.label : `None (${result.label}?)`;
  return h(
    "li",
    {},
    h(
      "a",
      { href: `#classify/${id}`, title: `${percent(result.confidence)}, ${ago(at)}` },
      h("img", { class: "pixels", src: result.preview, alt: "", width: 28, height: 28 }),
      h("span", {}, name),
    ),
    h(
      "button",
      { type: "button", class: "remove", onclick: remove, title: "Forget", "aria-label": `Forget ${name}, ${ago(at)}` },
      "×",
    ),
  );
}
