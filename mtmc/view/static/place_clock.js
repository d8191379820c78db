// A clock offset: two cameras are brought to the same event, each with its own slider.

import { clockText, el, signed } from "./dom.js";
import { draft } from "./draft.js";
import { button } from "./parts.js";
import { cameraChoice, Still } from "./place_parts.js";
import { store } from "./store.js";

const LEAST_S = 0.0005; // differences that are shown
const cameras = [0, 1];

export function clockTab() {
  const node = el("div");
  let stills = [];

  function show() {
    for (const still of stills) still.close();
    if (store.cameras.length < 2) {
      node.replaceChildren(dateField(), el("p.hint", {}, "One camera has no other to agree with."));
      return;
    }
    const report = el("p", { role: "status" });
    const table = el("div");
    const set = button("Both show the same moment", "Move the clock of the second camera", () => {
      draft.cameras[cameras[1]].start_s = Math.round((startOf(cameras[1]) + difference()) * 1000) / 1000;
      draft.changed();
      refresh();
    });
    const difference = () => {
      const [a, b] = cameras.map((camera, k) => draft.clock(camera).timeAt(stills[k].frame));
      return a - b;
    };
    const refresh = () => {
      if (stills.length < 2) return;
      const apart = difference();
      const [first, second] = cameras.map((camera) => store.cameras[camera].id);
      const isSame = Math.abs(apart) < LEAST_S;
      const order = `${Math.abs(apart).toFixed(2)} s ${apart < 0 ? "after" : "before"}`;
      report.textContent = isSame
        ? "By their clocks, both pictures show the same moment."
        : `By their clocks, the picture of ${second} was taken ${order} that of ${first}.`;
      set.disabled = cameras[0] === cameras[1] || isSame;
      table.replaceChildren(startTable());
    };
    stills = [];
    stills = cameras.map((camera) => new Still(camera, { onFrame: () => refresh() }));
    const side = (still, k) =>
      el(
        "div.side",
        {},
        cameraChoice(["First camera", "Second camera"][k], cameras[k], (camera) => {
          cameras[k] = camera;
          show();
        }),
        still.node,
      );
    node.replaceChildren(
      dateField(),
      el("p.hint", {}, "Find a picture of one event in each camera, such as a vehicle at one point of the road."),
      el("div.pair", {}, stills.map(side)),
      el("div.row", {}, set, report),
      table,
    );
    refresh();
  }

  show();
  return { node, close: () => stills.forEach((still) => still.close()) };
}

/** When second 0 of the scene's clock was. */
function dateField() {
  const change = (event) => {
    draft.start_utc = event.target.value.trim() || draft.saved.start_utc;
    event.target.value = draft.start_utc;
    draft.changed();
  };
  const input = el("input.date", {
    type: "text",
    value: draft.start_utc,
    placeholder: "2026-05-12T07:00:00+02:00",
    onchange: change,
  });
  return el("label.row", {}, "Date and time of second 0, with the time zone", input);
}

function startOf(camera) {
  return draft.clock(camera).timeAt(0);
}

function startTable() {
  const rows = store.cameras.map((camera) => {
    const start = startOf(camera.index);
    const change = draft.cameras[camera.index].start_s === undefined ? 0 : start - savedStart(camera.index);
    return el(
      "tr",
      {},
      el("th", { scope: "row" }, camera.id),
      el("td.number", {}, `${start.toFixed(3)} s`),
      el("td.number", {}, change ? `${signed(change, 3)} s` : ""),
      el("td.detail", {}, clockText(start)),
    );
  });
  const head = ["Camera", "First picture", "Change", "On the clock"].map((text) => el("th", { scope: "col" }, text));
  return el("table.editable", {}, el("thead", {}, el("tr", {}, head)), el("tbody", {}, rows));
}

function savedStart(camera) {
  const { time_map: knots, fps } = draft.saved.cameras[camera];
  return knots[0][1] - (knots[0][0] * fps[1]) / fps[0];
}
