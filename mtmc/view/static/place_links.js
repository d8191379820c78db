// Links: from a zone of one camera to a zone of another, chosen on their pictures.

import { el, plural } from "./dom.js";
import { draft } from "./draft.js";
import { button } from "./parts.js";
import { cameraChoice, markColor, Still } from "./place_parts.js";
import { isInside, Sketch } from "./sketch.js";
import { store } from "./store.js";

const ANY = "any zone";
const ends = [
  { camera: 0, zone: "" },
  { camera: 1, zone: "" },
];

export function linksTab() {
  const node = el("div");
  let sides = [];

  function show() {
    for (const side of sides) side.close();
    if (ends[1].camera >= store.cameras.length) ends[1].camera = 0;
    sides = ends.map((end, k) => zoneSide(end, ["From", "To"][k], show));
    const add = button("Add this link", "Vehicles go from the first zone to the second", () => {
      draft.links.push(linkOf(ends));
      draft.changed();
      show();
    });
    add.disabled = draft.links.some((link) => isSame(link, linkOf(ends)));
    node.replaceChildren(
      el("div.pair", {}, sides.map((side) => side.node)),
      el("div.row", {}, add, el("span.detail", {}, observed(ends))),
      draft.links.length
        ? linkTable(show)
        : el("p.hint", {}, "scene.yaml has no link: every way between cameras is possible."),
    );
  }

  show();
  return { node, close: () => sides.forEach((side) => side.close()) };
}

/** A camera's picture, on which a click chooses a zone. */
function zoneSide(end, name, show) {
  const zones = draft.cameras[end.camera].zones;
  if (end.zone && !zones.some((zone) => zone.name === end.zone)) end.zone = "";
  const still = new Still(end.camera);
  const choose = (zone) => {
    end.zone = zone;
    show();
  };
  const sketch = new Sketch(still.frameNode, store.cameras[end.camera].size, {
    name: `${name} a zone of camera ${store.cameras[end.camera].id}`,
    shapes: () =>
      zones.map((zone, k) => ({
        points: zone.polygon,
        color: markColor(k),
        label: zone.name,
        isChosen: zone.name === end.zone,
        isFixed: true,
      })),
    onPress: (point) => choose(zones.find((zone) => isInside(point, zone.polygon))?.name ?? ""),
  });
  const select = el(
    "select",
    { onchange: (event) => choose(event.target.value) },
    el("option", { value: "" }, ANY),
    zones.map((zone) => el("option", { value: zone.name }, zone.name)),
  );
  select.value = end.zone;
  const camera = cameraChoice(name, end.camera, (index) => {
    end.camera = index;
    end.zone = "";
    show();
  });
  return {
    node: el("div.side", {}, el("div.row", {}, camera, el("label", {}, "Zone", select)), still.node),
    close() {
      still.close();
      sketch.close();
    },
  };
}

/** The travel times of the run's vehicles between two ends, ascending. */
function gaps([from, to]) {
  const found = [];
  for (const { passages } of store.vehicles.values()) {
    passages.slice(1).forEach((passage, k) => {
      const before = passages[k];
      const fits = before.camera === from.camera && passage.camera === to.camera;
      if (fits && (!from.zone || before.exit === from.zone) && (!to.zone || passage.entry === to.zone)) {
        found.push(passage.start - before.end);
      }
    });
  }
  return found.sort((a, b) => a - b);
}

function observed(pair) {
  const times = gaps(pair);
  if (!times.length) return "No vehicle of the run went this way.";
  const median = times[Math.floor((times.length - 1) / 2)];
  const [least, middle, most] = [times[0], median, times.at(-1)].map((time) => time.toFixed(1).replace("-", "−"));
  return `${plural(times.length, "vehicle")} of the run: ${least} to ${most} s, median ${middle} s.`;
}

/** The link between two ends, with the travel times that the run has seen. */
function linkOf(pair) {
  const times = gaps(pair);
  const [from, to] = pair.map((end) => [store.cameras[end.camera].id, end.zone]);
  if (!times.length) return { from, to, min_s: 0, max_s: 60 };
  return { from, to, min_s: Math.floor(times[0]), max_s: Math.ceil(times.at(-1)) };
}

function isSame(a, b) {
  return JSON.stringify([a.from, a.to]) === JSON.stringify([b.from, b.to]);
}

function linkTable(show) {
  const name = ([camera, zone]) => `${camera}, ${zone || ANY}`;
  const number = (link, key, title, empty) =>
    el("input", {
      type: "number",
      step: "any",
      value: link[key] ?? "",
      "aria-label": `${title} from ${name(link.from)} to ${name(link.to)}`,
      onchange: (event) => {
        link[key] = event.target.value === "" ? empty : Number(event.target.value);
        draft.changed();
      },
    });
  const rows = draft.links.map((link) =>
    el(
      "tr",
      {},
      el("td", {}, name(link.from)),
      el("td", {}, name(link.to)),
      el("td", {}, number(link, "min_s", "Least travel time", 0)),
      el("td", {}, number(link, "max_s", "Greatest travel time", 0)),
      el("td", {}, number(link, "length_m", "Length in meters", null)),
      el(
        "td",
        {},
        button("Remove", `Remove the link from ${name(link.from)} to ${name(link.to)}`, () => {
          draft.links.splice(draft.links.indexOf(link), 1);
          draft.changed();
          show();
        }),
      ),
    ),
  );
  const head = ["From", "To", "Least s", "Greatest s", "Length m", "Remove"].map((text) => el("th", { scope: "col" }, text));
  return el("table.editable", {}, el("thead", {}, el("tr", {}, head)), el("tbody", {}, rows));
}
