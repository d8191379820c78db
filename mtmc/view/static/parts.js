// Pieces that several pages show: pictures, chips, evidence.

import { clockText, colorOf, el, signed } from "./dom.js";
import { store } from "./store.js";

const CUE_NAMES = {
  position: "position",
  heading: "heading",
  same_camera: "same camera",
  travel_time: "travel time",
  duplicate: "overlap",
  appearance: "appearance",
  class: "class",
  color: "color",
  limit: "limit of the sum",
};
const FULL_BAR = 8; // log odds of a bar of full length

export function chip(vehicle) {
  const { id, isShared } = vehicle;
  return el("span.chip", { style: { background: colorOf(id, isShared) } }, String(id));
}

/** The address of data of a passage, which names the run and the tracklet: the place changes with other tracklets. */
export function passageAddress(passage, name) {
  const { index, key, firstFrame, lastFrame } = passage;
  return `/api/passages/${index}/${name}?of=${store.run.key}.${key}.${firstFrame}-${lastFrame}`;
}

/** The picture of a passage; a passage without one gets an empty frame. */
export function crop(passage) {
  const name = `Camera ${store.camera(passage).id}, ${clockText(passage.start)}`;
  if (!passage.hasPicture) return el("span.crop", { role: "img", "aria-label": `${name}, no picture` });
  return el("img.crop", { src: passageAddress(passage, "crop.jpg"), alt: name, loading: "lazy" });
}

/** The address of the cameras' page at the moment in which a passage is largest. */
export function addressOf(passage) {
  const time = store.camera(passage).clock.timeAt(passage.largestFrame);
  return `#/?vehicle=${store.vehicle[passage.index]}&t=${time.toFixed(3)}`;
}

/** Why two passages are one vehicle, or two: the log odds of each cue as a bar to the right or to the left. */
export function evidence(link) {
  const rows = Object.entries(link.cues).map(([cue, value]) => evidenceRow(CUE_NAMES[cue] ?? cue, value));
  const sum = evidenceRow("sum", link.log_odds, "sum");
  return el("table.evidence", {}, el("caption", {}, "Log odds by cue"), el("tbody", {}, rows, sum));
}

function evidenceRow(name, value, kind = "") {
  const share = Math.min(Math.abs(value) / FULL_BAR, 1) * 50;
  const bar = el(value < 0 ? "i.against" : "i.for", {
    style: { width: `${share}%`, left: value < 0 ? `${50 - share}%` : "50%" },
  });
  return el(
    kind ? `tr.${kind}` : "tr",
    {},
    el("th", { scope: "row" }, name),
    el("td.bar", { "aria-hidden": "true" }, el("span", {}, bar)),
    el("td.number", {}, signed(value)),
  );
}

export function percent(probability) {
  return `${(100 * probability).toFixed(0)} %`;
}

export function button(text, title, onclick, kind = "") {
  return el(kind ? `button.${kind}` : "button", { type: "button", title, onclick }, text);
}
