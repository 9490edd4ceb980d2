// Where pictures come from: files that are chosen, dropped or pasted, the camera, the samples.
import { h } from "./dom.js";

export const SAMPLES = [
  "t-shirt-top",
  "trouser",
  "pullover",
  "dress",
  "coat",
  "sandal",
  "shirt",
  "sneaker",
  "bag",
  "ankle-boot",
];
export const ACCEPTED = "image/png,image/jpeg,image/webp,image/gif,image/bmp,image/tiff";
const LARGEST = 5 * 1024 * 1024; // bytes; in base64 a third more, and the service takes 8 MiB
const LONGEST = 2048; // pixels of an edge, far more than a model of 28×28 needs

export const sampleUrl = (name) => `/console/samples/${name}.png`;

/** A sample as a file. */
export async function sample(name) {
  return new File([await (await fetch(sampleUrl(name))).blob()], `${name}.png`, { type: "image/png" });
}

/** The bytes of a picture in base64; a photograph that is too large for a request is made smaller first. */
export async function base64(file) {
  const blob = file.size > LARGEST ? await smaller(file) : file;
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}

async function smaller(file) {
  const bitmap = await createImageBitmap(file).catch(() => null);
  if (!bitmap) return file; // no picture that a browser knows: the service says what is wrong with it
  const scale = Math.min(1, LONGEST / Math.max(bitmap.width, bitmap.height));
  const canvas = new OffscreenCanvas(Math.round(bitmap.width * scale), Math.round(bitmap.height * scale));
  canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return canvas.convertToBlob({ type: "image/jpeg", quality: 0.92 });
}

/** The file that a `data:` URI carries. */
export function fromDataUri(uri, name) {
  const [head, text] = uri.split(",");
  return new File([Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0))], name, {
    type: head.slice(5).split(";")[0],
  });
}

/** Whether a picture is worth showing beside what the model saw: it can be shown, and is not of that size already. */
export async function isPhotograph(file) {
  const bitmap = await createImageBitmap(file).catch(() => null);
  return bitmap !== null && (bitmap.width !== 28 || bitmap.height !== 28);
}

/** A place to drop or choose files, which also takes what is pasted anywhere on the page while the view is there. */
export function dropZone({ id, title, hint, accept = ACCEPTED, multiple = false, take, signal }) {
  const input = h("input", { type: "file", id, accept, multiple, class: "hidden", "aria-describedby": `${id}-hint` });
  const zone = h(
    "label",
    { class: "drop", htmlFor: id },
    h("strong", {}, title),
    input,
    h("span", { class: "soft", id: `${id}-hint` }, hint),
  );
  const taken = (files) => {
    if (files.length) take(multiple ? [...files] : [files[0]]);
  };
  input.addEventListener("change", () => {
    taken(input.files);
    input.value = "";
  });
  for (const name of ["dragover", "dragleave", "drop"]) {
    zone.addEventListener(name, (event) => {
      event.preventDefault();
      zone.classList.toggle("over", name === "dragover");
    });
  }
  zone.addEventListener("drop", (event) => taken(event.dataTransfer.files));
  document.addEventListener("paste", (event) => taken(event.clipboardData.files), { signal });
  return zone;
}

/** Opens the camera where there is one. */
export function camera(take) {
  const input = h("input", { type: "file", id: "camera", accept: "image/*", class: "hidden" });
  input.setAttribute("capture", "environment");
  input.addEventListener("change", () => {
    if (input.files.length) take([input.files[0]]);
    input.value = "";
  });
  return h("label", { class: "button camera", htmlFor: "camera" }, "Take a photograph", input);
}

/** The ten samples as buttons. */
export function samples(take) {
  return h(
    "div",
    { class: "samples", role: "group", "aria-label": "Samples" },
    SAMPLES.map((name) =>
      h(
        "button",
        { type: "button", onclick: async () => take([await sample(name)]), "data-sample": name },
        h("img", { src: sampleUrl(name), alt: name.replaceAll("-", " "), width: 28, height: 28 }),
      ),
    ),
  );
}
