// All vehicles as pictures, filtered by camera, time, class and color.

import { clockText, dateText, el, plural, secondsOf } from "./dom.js";
import { chip, crop } from "./parts.js";
import { store } from "./store.js";

const PER_PAGE = 60;
const filter = { camera: "", class: "", color: "", from: "", to: "", shared: false, shown: PER_PAGE };

export function galleryPage() {
  const list = el("ul.gallery");
  const count = el("p.count", { role: "status" });
  const more = el("button.more", { type: "button", onclick: () => show(filter.shown + PER_PAGE) }, "Show more");
  const all = () => [...store.vehicles.values()].sort((a, b) => a.start - b.start || a.id - b.id);

  function show(shown = PER_PAGE) {
    filter.shown = shown;
    const found = all().filter(fits);
    count.textContent = `${plural(found.length, "vehicle")} of ${store.vehicles.size}`;
    list.replaceChildren(...found.slice(0, shown).map(card));
    more.hidden = found.length <= shown;
  }

  const choice = (key, name, values) => {
    if (values.length < 2) return null;
    const options = [["", "all"], ...values].map(([value, text]) => el("option", { value }, text));
    const select = el("select", { onchange: (event) => change(key, event.target.value) }, options);
    select.value = filter[key];
    return el("label", {}, name, select);
  };
  const change = (key, value) => {
    filter[key] = value;
    show();
  };
  const moment = (key, name, placeholder) => {
    const kind = dateText() ? { type: "datetime-local", step: 1 } : { type: "number", step: "any" };
    const oninput = (event) => change(key, event.target.value);
    const input = el("input", { ...kind, value: filter[key], placeholder: placeholder.toFixed(0), oninput });
    return el("label", {}, dateText() ? name : `${name} second`, input);
  };
  const values = (key) => [...new Set(all().map((vehicle) => vehicle[key]))].filter(Boolean).sort();
  const form = el(
    "form.filter",
    { onsubmit: (event) => event.preventDefault() },
    choice("camera", "Camera", store.cameras.map((camera) => [String(camera.index), camera.id])),
    choice("class", "Class", values("class").map((name) => [name, name])),
    choice("color", "Color", values("color").map((name) => [name, name])),
    moment("from", "From", store.start),
    moment("to", "To", store.end),
    el(
      "label.check",
      {},
      el("input", { type: "checkbox", checked: filter.shared, onchange: (event) => change("shared", event.target.checked) }),
      "Several cameras",
    ),
  );
  show(filter.shown);
  const onIdentities = () => show(filter.shown);
  store.addEventListener("identities", onIdentities);
  return {
    node: el(
      "section",
      { "aria-label": "Vehicles" },
      el("h1", {}, "Vehicles"),
      el("p", {}, el("a", { href: "#/search" }, "Search with a picture")),
      form,
      count,
      list,
      more,
    ),
    close: () => store.removeEventListener("identities", onIdentities),
  };
}

function fits(vehicle) {
  return (
    (!filter.camera || vehicle.cameras.includes(Number(filter.camera))) &&
    (!filter.class || vehicle.class === filter.class) &&
    (!filter.color || vehicle.color === filter.color) &&
    (!filter.shared || vehicle.isShared) &&
    (filter.from === "" || vehicle.end >= secondsOf(filter.from)) &&
    (filter.to === "" || vehicle.start <= secondsOf(filter.to))
  );
}

function card(vehicle) {
  const largest = vehicle.passages.slice().sort((a, b) => b.boxes - a.boxes).slice(0, 3);
  const where = vehicle.cameras.map((index) => store.cameras[index].id).join(", ");
  return el(
    "li",
    {},
    el(
      "a.card",
      { href: `#/vehicle/${vehicle.id}` },
      el("span.crops", {}, largest.map(crop)),
      el("span.title", {}, chip(vehicle), `${vehicle.color} ${vehicle.class}`),
      el("span.detail", {}, `${clockText(vehicle.start)}–${clockText(vehicle.end)} · ${where}`),
    ),
  );
}
