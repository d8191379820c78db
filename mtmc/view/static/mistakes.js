// Wrong and missing links by ground truth, those with most boxes first, each with its two clips side by side.

import { clipKeys, clipsOf, partOf, zoomClips } from "./clips.js";
import { clockText, el } from "./dom.js";
import { button } from "./parts.js";
import { store } from "./store.js";

const JOINED_WRONGLY = new Set(["false merge", "mixed tracklet"]);

export function mistakesPage(parameters, tools) {
  const status = el("p.hint", { role: "status" }, "Comparing the run with its ground truth …");
  const shown = el("div");
  const list = el("div");
  const node = el("section.review", { "aria-label": "Mistakes" }, el("h1", {}, "Mistakes"), status, shown, list);
  let mistakes = [];
  let chosen = 0;
  let clips = null;
  let isClosed = false;
  let isZoomed = true;

  async function load() {
    try {
      mistakes = await store.mistakes();
    } catch (error) {
      status.textContent = `No mistakes can be shown: ${error.message}`;
      return;
    }
    if (isClosed) return;
    if (mistakes === null) status.textContent = "The scene has no ground truth.";
    else if (!mistakes.length) status.textContent = "The run has no wrong and no missing link.";
    else {
      status.textContent = "Those of the run as it was made, by the number of boxes that have a wrong identity or none.";
      show();
    }
  }

  function show() {
    clips?.player.close();
    const mistake = mistakes[chosen];
    const parts = [mistake.first, mistake.second].filter(Boolean).map(clipPart);
    clips = clipsOf(parts, isZoomed);
    shown.replaceChildren(
      el("h2", {}, `${chosen + 1} of ${mistakes.length}: ${mistake.kind}, ${mistake.reason}`),
      el("div.pair", {}, parts.map((part, index) => el("div.side", {}, clips.tiles[index].node, el("p", {}, caption(part))))),
      el("p", {}, mistake.text),
      answers(mistake),
    );
    clips.player.play();
    showList();
  }

  function answers(mistake) {
    const pair = [mistake.first, mistake.second].map((side) => side && passageOf(side)?.index);
    const canAnswer = pair.every((index) => index !== undefined && index !== null) && !store.run.review_problem;
    const answer = (kind) => () => tools.answer(kind, { pair });
    return el(
      "div.answers",
      {},
      button("‹ Before", "The mistake before (i)", () => step(-1)),
      button("Next ›", "The next mistake (j)", () => step(1)),
      button("Whole picture", "Whole picture or enlarged (z)", () => zoom()),
      canAnswer ? button("Same", "They are one vehicle (s)", answer("same"), "same") : null,
      canAnswer ? button("Different", "They are two vehicles (d)", answer("different"), "different") : null,
      button("Undo", "Undo the last answer (u)", () => tools.undo()),
    );
  }

  function showList() {
    const names = ["Boxes", "Kind", "Reason", "Tracklets", ""];
    const head = el("tr", {}, names.map((name) => el("th", { scope: "col" }, name)));
    const rows = mistakes.map((mistake, index) =>
      el(
        "tr",
        { "aria-current": index === chosen ? "true" : null },
        el("td.number", {}, String(mistake.boxes)),
        el("td", {}, mistake.kind),
        el("td", {}, mistake.reason),
        el("td", {}, [mistake.first, mistake.second].filter(Boolean).map(nameOf).join(", ")),
        el("td", {}, button(isMended(mistake) ? "Mended" : "Compare", `Show mistake ${index + 1}`, () => choose(index))),
      ),
    );
    list.replaceChildren(el("table.mistakes", {}, el("thead", {}, head), el("tbody", {}, rows)));
  }

  function choose(index) {
    chosen = index;
    show();
    window.scrollTo(0, 0);
  }

  const step = (by) => mistakes?.length && choose(Math.min(Math.max(chosen + by, 0), mistakes.length - 1));
  const press = (name) => () => shown.querySelector(`button.${name}`)?.click();

  function zoom() {
    isZoomed = !isZoomed;
    zoomClips(clips, isZoomed);
  }

  load();
  const onIdentities = () => mistakes?.length && show();
  store.addEventListener("identities", onIdentities);
  return {
    node,
    keys: {
      j: () => step(1),
      i: () => step(-1),
      s: press("same"),
      d: press("different"),
      u: () => tools.undo(),
      z: () => zoom(),
      ...clipKeys(() => clips),
    },
    close() {
      isClosed = true;
      store.removeEventListener("identities", onIdentities);
      clips?.player.close();
    },
  };
}

/** The passage of a side of a mistake; none for true boxes without a tracklet, or once it was deleted. */
function passageOf({ camera, track }) {
  return track ? store.byKey(`${camera}-${track}`) : undefined;
}

function clipPart(side) {
  const passage = passageOf(side);
  if (passage) return partOf(passage);
  const camera = store.cameras[side.camera];
  return { camera, start: camera.clock.timeAt(side.first_frame), end: camera.clock.timeAt(side.last_frame), passage: null };
}

function nameOf({ camera, track }) {
  const name = store.cameras[camera].id;
  return track ? `${name}/${track}` : `${name} (no tracklet)`;
}

function caption({ camera, start, end, passage }) {
  const vehicle = passage === null ? "no tracklet" : `vehicle ${store.vehicle[passage]}`;
  return `${camera.id}, ${clockText(start)}–${clockText(end)}, ${vehicle}`;
}

/** Whether the identities as corrected now are right about the two tracklets. */
function isMended({ kind, first, second }) {
  const [a, b] = [first, second].map((side) => side && passageOf(side));
  if (!a || !b) return false;
  const isSame = store.vehicle[a.index] === store.vehicle[b.index];
  return JOINED_WRONGLY.has(kind) ? !isSame : isSame;
}
