// The page speaks to the public API only, as any client would.
const samples = ["t-shirt-top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle-boot"];
const result = document.getElementById("result");
const file = document.getElementById("file");
const drop = document.querySelector(".drop");

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function say(text, className = "hint") {
  result.replaceChildren(element("p", { className, textContent: text }));
}

function asDataUri(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.replace(/^data:[^,]*,/, "data:application/octet-stream;base64,"));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}

async function ask(url, options = {}) {
  const answer = await fetch(url, options);
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.errors?.map((e) => e.detail).join(" ") || body.detail);
  return body;
}

async function classify(blob) {
  say("Looking…");
  try {
    let prediction = await ask("/v1/predictions", {
      method: "POST",
      headers: { "Content-Type": "application/json", Prefer: "wait=10" },
      body: JSON.stringify({ image: await asDataUri(blob) }),
    });
    while (["queued", "running"].includes(prediction.status)) {
      prediction = await ask(`/v1/predictions/${prediction.id}`, { headers: { Prefer: "wait=10" } });
    }
    if (prediction.status === "succeeded") show(prediction.result, prediction.timings);
    else say(prediction.error?.detail ?? `The prediction was ${prediction.status}.`, "error");
  } catch (problem) {
    say(problem.message, "error");
  }
}

function show(answer, timings) {
  const percent = (share) => `${(100 * share).toFixed(1)} %`;
  const seen = element("figure", { className: "seen" },
    element("img", { src: answer.preview, alt: "The 28 by 28 picture that the model saw" }),
    element("figcaption", { textContent: "what the model saw" }));
  const words = element("div", {},
    element("strong", { textContent: answer.label }),
    `${percent(answer.confidence)} sure`);
  const bars = answer.probabilities.map(({ label, probability }) => element("div", { className: "bar" },
    element("span", { textContent: label }),
    element("meter", { min: 0, max: 1, value: probability, ariaLabel: label }),
    element("span", { textContent: percent(probability) })));
  const notes = answer.warnings.map((warning) => warning.detail);
  if (!answer.is_fashion) notes.unshift("This does not look like any of the ten classes.");
  const time = timings.decode_ms + timings.queue_ms + timings.inference_ms;
  result.replaceChildren(
    element("div", { className: "headline" }, seen, words), ...bars,
    ...notes.map((textContent) => element("p", { className: "note", textContent })),
    element("p", { className: "hint", textContent: `Answered in ${time.toFixed(1)} ms.` }));
}

document.getElementById("upload").addEventListener("submit", (event) => {
  event.preventDefault();
  classify(file.files[0]);
});
file.addEventListener("change", () => file.files[0] && classify(file.files[0]));
for (const name of ["dragover", "dragleave", "drop"]) {
  drop.addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.toggle("over", name === "dragover");
  });
}
drop.addEventListener("drop", (event) => event.dataTransfer.files[0] && classify(event.dataTransfer.files[0]));
document.addEventListener("paste", (event) => event.clipboardData.files[0] && classify(event.clipboardData.files[0]));

document.getElementById("samples").append(...samples.map((name) => element("button", {
  type: "button",
  title: name,
  onclick: async () => classify(await (await fetch(`/console/samples/${name}.png`)).blob()),
}, element("img", { src: `/console/samples/${name}.png`, alt: name.replaceAll("-", " "), width: 28, height: 28 }))));
