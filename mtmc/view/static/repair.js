// One tracklet as a clip: cut before the picture on screen, delete, change the class.

import { clockText, el } from "./dom.js";
import { button, chip } from "./parts.js";
import { Player } from "./player.js";
import { store } from "./store.js";
import { CameraTile } from "./tile.js";

const MARGIN_S = 0.5;

export function repairPage(parameters, tools) {
  const key = parameters.get("id");
  const node = el("section.repair", { "aria-label": "Tracklet" });
  let clip = null;
  let isZoomed = true;

  function show() {
    const time = clip?.player.time;
    clip?.player.close();
    clip = null;
    const passage = store.byKey(key);
    if (!passage) {
      node.replaceChildren(
        el("h1", {}, "Tracklet"),
        el("p", {}, "There is no such tracklet (any more)."),
        button("Undo the last answer", "Undo (u)", () => tools.undo()),
      );
      return;
    }
    clip = clipOf(passage, isZoomed);
    const place = el("output.time", { "aria-label": "Frame" });
    const cut = action("Cut before this picture", "c", () => divide());
    clip.player.addEventListener("time", () => {
      const frame = clip.frame();
      place.textContent = `frame ${frame ?? "–"} of ${passage.firstFrame}–${passage.lastFrame}, ${clockText(clip.player.time)}`;
      cut.disabled = !canCut(passage, frame);
    });
    node.replaceChildren(heading(passage), clip.tile.node, el("div.row", {}, transport(), place), repairs(passage, cut));
    clip.player.seek(time ?? clip.player.first);
  }

  function transport() {
    const { player } = clip;
    return el(
      "div.bar",
      {},
      button("◂", "One picture back (←)", () => player.step(-1)),
      button("▶ ❚❚", "Play or pause (space)", () => player.toggle()),
      button("▸", "One picture on (→)", () => player.step(1)),
      button("Whole picture", "Whole picture or enlarged (z)", () => zoom()),
    );
  }

  function repairs(passage, cut) {
    const select = el("select", { "aria-label": "Class" }, store.run.classes.map((name) => el("option", {}, name)));
    select.value = passage.class;
    const change = () => tools.answer("class", { passages: [passage.index], class: select.value });
    if (store.run.review_problem) return el("p.hint", {}, `No repairs: ${store.run.review_problem}.`);
    return el(
      "div.answers",
      {},
      cut,
      action("Delete the tracklet", "x", () => remove()),
      el("label.row", {}, "Class ", select, button("Change", "Change the class of the tracklet", change)),
      action("Undo", "u", () => tools.undo()),
    );
  }

  async function divide() {
    const passage = store.byKey(key);
    const frame = clip?.frame();
    if (passage && canCut(passage, frame)) await tools.answer("cut", { passages: [passage.index], frame });
  }

  async function remove() {
    const passage = store.byKey(key);
    if (passage) await tools.answer("delete", { passages: [passage.index] });
  }

  function zoom() {
    isZoomed = !isZoomed;
    if (!clip) return;
    clip.tile.zoomOn = isZoomed ? store.byKey(key).index : null;
    clip.tile.draw();
  }

  show();
  store.addEventListener("identities", show);
  return {
    node,
    keys: {
      c: () => divide(),
      x: () => remove(),
      u: () => tools.undo(),
      z: () => zoom(),
      " ": () => clip?.player.toggle(),
      ArrowLeft: () => clip?.player.step(-1),
      ArrowRight: () => clip?.player.step(1),
      "shift+ArrowLeft": () => clip?.player.seek(clip.player.time - 5),
      "shift+ArrowRight": () => clip?.player.seek(clip.player.time + 5),
      Home: () => clip?.player.seek(clip.player.first),
      End: () => clip?.player.seek(clip.player.last),
    },
    get player() {
      return clip?.player;
    },
    close() {
      store.removeEventListener("identities", show);
      clip?.player.close();
    },
  };
}

/** Both parts keep a box. */
function canCut(passage, frame) {
  return frame !== null && frame > passage.firstFrame && frame <= passage.lastFrame;
}

function clipOf(passage, isZoomed) {
  const camera = store.camera(passage);
  const tile = new CameraTile(camera);
  tile.passage = passage;
  tile.zoomOn = isZoomed ? passage.index : null;
  const range = [
    Math.max(passage.start - MARGIN_S, camera.clock.timeAt(0)),
    Math.min(passage.end + MARGIN_S, camera.clock.timeAt(camera.frame_count - 1)),
  ];
  const player = new Player([tile], { range });
  return { tile, player, frame: () => camera.clock.frameAt(player.time) };
}

function heading(passage) {
  const vehicle = store.vehicles.get(store.vehicle[passage.index]);
  return el(
    "h1",
    {},
    `Tracklet ${passage.track}, camera ${store.camera(passage).id} `,
    el("a", { href: `#/vehicle/${vehicle.id}`, "aria-label": `Vehicle ${vehicle.id}` }, chip(vehicle)),
  );
}

function action(text, key, onclick) {
  return el("button", { type: "button", onclick }, text, el("kbd", {}, key));
}
