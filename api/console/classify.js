// One picture in, one answer out.
import { answer, busyAnswer, emptyAnswer, unanswered } from "./answer.js";
import { ask, bodySchema, follow, get } from "./api.js";
import { quoted } from "./curl.js";
import { announce, h } from "./dom.js";
import { drawingPad } from "./draw.js";
import { percent } from "./format.js";
import { forget, predictionHistory } from "./history.js";
import { modelChoice } from "./models.js";
import { choice } from "./parts.js";
import { base64, camera, dropZone, fromDataUri, isPhotograph, samples } from "./pictures.js";
import { guarded } from "./problems.js";

export function show(outlet, id, signal) {
  const place = h("section", { class: "card answer", "aria-label": "The answer" });
  const model = modelChoice(signal);
  const past = predictionHistory(signal, (gone) => {
    if (gone === shownId) reset();
  });
  let shownId = id;

  const reset = () => {
    shownId = "";
    history.replaceState(null, "", "#classify");
    place.replaceChildren(emptyAnswer());
  };

  /** Send a picture and show what comes back. An answer with an explanation takes the place of the one without. */
  const classify = ([file], explain = false) =>
    guarded(place, async () => {
      const replaced = explain ? shownId : "";
      place.replaceChildren(busyAnswer(file));
      if (innerWidth < 800) place.scrollIntoView({ block: "start" }); // the answer is below the picture
      const body = {
        image: await base64(file),
        ...(model.value === "production" ? {} : { model: model.value }),
        ...(explain ? { explain } : {}),
      };
      const accepted = await ask("POST", "/v1/predictions", {
        json: body,
        signal,
        headers: { Prefer: "wait=10" },
        shown: shellBody(body, file),
      });
      history[replaced ? "replaceState" : "pushState"](null, "", `#classify/${accepted.id}`);
      await follow(`/v1/predictions/${accepted.id}`, () => {}, signal);
      await open(accepted.id, file);
      if (replaced) await forget(replaced, true);
      past.refresh();
    });

  /** Show a prediction, with the file that it is of where it was sent from here. */
  const open = (prediction, file) =>
    guarded(place, async () => {
      const found = await get(`/v1/predictions/${prediction}`, { signal, quiet: Boolean(file) });
      const explains = Boolean((await bodySchema("/v1/predictions"))?.properties.explain);
      shownId = prediction;
      const remove = () =>
        guarded(place, async () => {
          await forget(prediction);
          reset();
          past.refresh();
        });
      if (!found.result) return place.replaceChildren(unanswered(found, remove));
      place.replaceChildren(
        answer(found, {
          original: file && (await isPhotograph(file)) ? URL.createObjectURL(file) : null,
          why: explains ? () => classify([file ?? fromDataUri(found.result.preview, "preview.png")], true) : null,
          forget: remove,
        }),
      );
      announce(`${found.result.label}, ${percent(found.result.confidence)}`);
    });

  outlet.append(
    h(
      "header",
      { class: "lead" },
      h("h1", {}, "What is this garment?"),
      h(
        "p",
        {},
        "Show Hemline a picture of a piece of clothing. It says which of ten kinds it is, how sure it is of that, " +
          "and what it saw.",
      ),
    ),
    h("div", { class: "columns" }, input(classify, model, signal), place),
    past.element,
  );
  place.append(emptyAnswer());
  if (id) open(id);
}

function input(classify, model, signal) {
  const pick = h(
    "div",
    { class: "stack" },
    dropZone({
      id: "file",
      title: "Choose a picture",
      hint: "or drop or paste one here: PNG, JPEG, WebP, GIF, BMP or TIFF",
      take: classify,
      signal,
    }),
    camera(classify),
    h("h2", { class: "minor" }, "Or take a sample"),
    samples(classify),
  );
  const draw = h("div", { class: "stack", hidden: true }, drawingPad(classify));
  const turn = (isDrawing) => {
    draw.hidden = !isDrawing;
    pick.hidden = isDrawing;
  };
  return h(
    "section",
    { class: "card", "aria-label": "The picture" },
    choice("Where the picture comes from", { Picture: false, Draw: true }, "Picture", turn),
    pick,
    draw,
    model.element,
  );
}

/** The body of the request as a word of shell, where the picture comes from its file. */
function shellBody(body, file) {
  const rest = JSON.stringify({ ...body, image: undefined }).slice(1);
  return `-d '{"image": "'"$(base64 -w0 ${quoted(file.name)})"'"${rest === "}" ? rest : `, ${rest}`}'`;
}
