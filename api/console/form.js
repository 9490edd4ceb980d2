// A form made from a JSON schema of the OpenAPI document: what the API says of a field is what the form says.
import { freshId, h } from "./dom.js";

/**
 * Fields for the properties of a schema: those in `main`, in this order, then the others, folded away, without those in
 * `without`. `choices`: values for fields whose values the schema cannot know, with "" where the field may be left out.
 * Empty fields are left to the service. Gives `{element, values(), fill(values), point(errors)}`; `point` shows the
 * errors of a problem document at their fields and returns those that belong to none.
 */
export function schemaForm(schema, { main, without = [], choices = {} }) {
  const names = [
    ...main,
    ...Object.keys(schema.properties).filter((name) => !main.includes(name) && !without.includes(name)),
  ];
  const fields = new Map(
    names
      .filter((name) => schema.properties[name])
      .map((name) => [name, field(name, schema.properties[name], choices[name])]),
  );
  const others = [...fields].filter(([name]) => !main.includes(name));
  const folded = h(
    "details",
    { class: "advanced" },
    h("summary", {}, `${others.length} more settings, each with a sensible default`),
    h(
      "div",
      { class: "fields" },
      others.map(([, { element }]) => element),
    ),
  );
  const element = h(
    "div",
    { class: "stack" },
    h(
      "div",
      { class: "fields" },
      main.map((name) => fields.get(name)?.element ?? null),
    ),
    others.length ? folded : null,
  );
  return {
    element,
    values: () =>
      Object.fromEntries(
        [...fields].map(([name, { value }]) => [name, value()]).filter(([, value]) => value !== undefined),
      ),
    fill: (values) => {
      for (const [name, value] of Object.entries(values)) fields.get(name).input.value = value;
    },
    point(errors) {
      for (const { wrong } of fields.values()) wrong("");
      const lost = errors.filter(({ pointer, detail }) => {
        const name = pointer.split("/")[1];
        fields.get(name)?.wrong(detail);
        if (others.some(([other]) => other === name)) folded.open = true;
        return !fields.has(name);
      });
      element.querySelector("[aria-invalid=true]")?.focus();
      return lost;
    },
  };
}

function field(name, schema, choices) {
  const id = freshId(name);
  const input = control(schema, choices ?? schema.enum ?? known(schema));
  Object.assign(input, { id, name });
  input.setAttribute("aria-describedby", `${id}-about ${id}-wrong`);
  const error = h("p", { class: "wrong", id: `${id}-wrong` });
  const element = h(
    "div",
    { class: "field" },
    h("label", { htmlFor: id }, title(name)),
    input,
    h("p", { class: "soft small", id: `${id}-about` }, description(schema)),
    error,
  );
  return {
    element,
    input,
    value: () => (input.value.trim() === "" ? undefined : read(input.value.trim(), schema)),
    wrong(text) {
      error.textContent = text;
      input.setAttribute("aria-invalid", String(Boolean(text)));
    },
  };
}

function control(schema, values) {
  if (schema.type === "boolean")
    return select(
      ["true", "false"].map((value) => [value, value === "true" ? "yes" : "no"]),
      schema,
    );
  if (values)
    return select(
      values.map((value) => [value, value]),
      schema,
    );
  if (schema.type === "integer" || schema.type === "number") {
    return h("input", {
      type: "number",
      min: schema.minimum,
      max: schema.maximum,
      step: schema.type === "integer" ? 1 : "any",
      placeholder: schema.default ?? schema.example ?? "",
      inputMode: "decimal",
    });
  }
  const example = schema.type === "object" ? "name=1, other=2" : schema.example;
  return h("input", {
    type: "text",
    maxLength: schema.maxLength,
    placeholder: schema.type === "object" ? example : "",
    autocomplete: "off",
  });
}

function select(values, schema) {
  const isOptional = values.some(([value]) => value === ""); // then nothing is what it is by itself
  const standard = isOptional
    ? ""
    : (schema.default ?? /(\S+) unless given/.exec(schema.description)?.[1] ?? schema.example);
  const text = values.find(([value]) => value === String(standard))?.[1];
  return h(
    "select",
    {},
    h("option", { value: "" }, text ? `${text} (default)` : "none"),
    values.filter(([value]) => value !== String(standard)).map(([value, shown]) => h("option", { value }, shown)),
  );
}

/** Values that the description lists, where the schema does not: "one of a, b." */
function known({ format, description = "" }) {
  return format?.endsWith("-name") ? /one of ([\w, -]+)\./.exec(description)?.[1].split(", ") : undefined;
}

function description({ description = "", minimum, maximum }) {
  const words = description.replaceAll("`", "");
  if (minimum === undefined || /\d to \d/.test(words)) return words;
  return `${words} ${minimum} to ${maximum}.`;
}

function read(text, { type }) {
  if (type === "integer" || type === "number") return Number(text);
  if (type === "boolean") return text === "true";
  if (type !== "object") return text;
  return Object.fromEntries(
    text
      .split(/[\s,]+/)
      .filter(Boolean)
      .map((pair) => pair.split("="))
      .map(([name, value]) => [name, Number(value)]),
  );
}

const title = (name) => name.replaceAll("_", " ").replace(/^./, (first) => first.toUpperCase());
