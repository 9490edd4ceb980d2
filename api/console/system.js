// Is it well? Workers, queues and the work under way, at a glance.
import { get, Problem } from "./api.js";
import { h, pause } from "./dom.js";
import { count, milliseconds, plural } from "./format.js";
import { keyForm } from "./key.js";
import { notice } from "./problems.js";

const EVERY = 3000; // milliseconds
const PARTS = {
  redis: ["Redis", "keeps the queue, the records and the aliases"],
  prediction_worker: ["Prediction worker", "answers pictures"],
  production_model: ["Production model", "what answers by default"],
};
const QUEUES = { predictions: "Pictures", batches: "Batches", training: "Training", webhooks: "Webhooks" };

export function show(outlet, _, signal) {
  const state = h(
    "section",
    { class: "card", "aria-label": "State", "aria-live": "polite" },
    h("p", { class: "soft" }, "Looking…"),
  );
  const work = h("div", { class: "tiles" });
  outlet.append(
    h(
      "header",
      { class: "lead" },
      h("h1", {}, "System"),
      h("p", {}, "What the service says about itself, asked anew every three seconds."),
    ),
    state,
    work,
    h(
      "section",
      { class: "card" },
      h("h2", {}, "API key"),
      h("p", { class: "soft" }, "Where the service asks for one. It stays in this tab, until that is closed."),
      keyForm(),
    ),
  );
  watch(state, work, signal);
}

async function watch(state, work, signal) {
  for (let first = true; !signal.aborted; first = false) {
    try {
      const ready = await readiness(signal, !first);
      const [training, tuning, recent] = await Promise.all(
        ["training-jobs?limit=100", "tuning-jobs?limit=100", "predictions?limit=100&status=succeeded"].map((list) =>
          items(list, signal),
        ),
      );
      render(state, work, ready, [...training, ...tuning], recent);
    } catch (problem) {
      if (signal.aborted) return;
      work.replaceChildren();
      state.dataset.said = "";
      state.replaceChildren(notice(problem));
    }
    do await pause(EVERY, signal);
    while (document.hidden && !signal.aborted);
  }
}

/** What is on a list, as far as the key is good for it. */
async function items(list, signal) {
  try {
    return (await get(`/v1/${list}`, { quiet: true, signal })).items;
  } catch (problem) {
    if ([401, 403].includes(problem.status)) return [];
    throw problem;
  }
}

/** What /health/ready says, also where it says that something is wrong. */
async function readiness(signal, quiet) {
  try {
    return await get("/health/ready", { quiet, signal });
  } catch (problem) {
    if (problem instanceof Problem && problem.document.checks) return problem.document;
    throw problem;
  }
}

function render(state, work, ready, jobs, recent) {
  const isWell = ready.status === "ready";
  const headline = isWell ? "All is well" : "Something is wrong";
  if (state.dataset.said !== JSON.stringify(ready.checks)) {
    // said once, not every three seconds
    state.dataset.said = JSON.stringify(ready.checks);
    state.replaceChildren(
      h("h2", { class: isWell ? "well" : "ill" }, headline),
      h(
        "dl",
        { class: "checks" },
        Object.entries(ready.checks).map(([name, says]) => [
          h("dt", {}, h("strong", {}, PARTS[name]?.[0] ?? name), h("span", { class: "soft" }, PARTS[name]?.[1] ?? "")),
          h("dd", { class: says === "ok" ? "well" : "ill" }, says === "ok" ? "well" : says),
        ]),
      ),
    );
  }
  const running = jobs.filter(({ status }) => status === "running").length;
  const waiting = jobs.filter(({ status }) => status === "queued").length;
  work.replaceChildren(
    ...[
      ready.workers
        ? tile("Workers", [
            ["answer pictures", ready.workers.predictions],
            ["train models", ready.workers.training],
            ["send webhooks", ready.workers.webhooks],
          ])
        : null,
      ready.queues
        ? tile(
            "Messages that wait",
            Object.entries(ready.queues).map(([name, length]) => [QUEUES[name] ?? name, length]),
          )
        : null,
      tile(
        "Jobs",
        [
          ["running", running],
          ["waiting", waiting],
        ],
        "#training",
      ),
      recentTile(recent),
    ].filter(Boolean),
  );
}

function tile(title, rows, link) {
  return h(
    "section",
    { class: "card tile" },
    h("h2", {}, link ? h("a", { href: link }, title) : title),
    h(
      "dl",
      {},
      rows.map(([name, value]) =>
        h("div", {}, h("dt", {}, name), h("dd", {}, typeof value === "number" ? count(value) : value)),
      ),
    ),
  );
}

function recentTile(recent) {
  if (!recent.length)
    return h("section", { class: "card tile" }, h("h2", {}, "Recent answers"), h("p", { class: "soft" }, "None yet."));
  const middle = (values) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)];
  const of = (name) => milliseconds(middle(recent.map(({ timings }) => timings[name])));
  return tile(`Last ${plural(recent.length, "answer")}`, [
    ["reading, median", of("decode_ms")],
    ["waiting, median", of("queue_ms")],
    ["computing, median", of("inference_ms")],
    ["together, at most", Math.max(...recent.map(({ timings }) => timings.batch_size))],
  ]);
}
