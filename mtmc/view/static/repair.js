// One tracklet as a clip: cut before the picture on screen, give it boxes, delete it, change its class.

import { clockText, el, plural } from "./dom.js";
import { button, chip } from "./parts.js";
import { Player } from "./player.js";
import { store } from "./store.js";
import { CameraTile } from "./tile.js";

const MARGIN_S = 5; // shown before and after a tracklet, where boxes may be missing

export function repairPage(parameters, tools) {
  const key = parameters.get("id");
  const node = el("section.repair", { "aria-label": "Tracklet" });
  let clip = null;
  let isZoomed = true;
  const taken = new Map(); // boxes without a tracklet that were chosen, by frame

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
    taken.clear();
    clip = clipOf(passage, isZoomed, {
      onUntracked: canAnswer ? choose : null,
      isTaken: (box, frame) => taken.get(frame)?.passage === box.passage,
    });
    const place = el("output.time", { "aria-label": "Frame" });
    const cut = action("Cut before this picture", "c", () => divide());
    clip.player.addEventListener("time", () => {
      const frame = clip.frame();
      place.textContent = `frame ${frame ?? "–"} of ${passage.firstFrame}–${passage.lastFrame}, ${clockText(clip.player.time)}`;
      cut.disabled = !canCut(passage, frame);
      // Before and after the tracklet the whole picture is shown: nothing says where to enlarge it.
      const isWithin = frame !== null && frame >= passage.firstFrame && frame <= passage.lastFrame;
      const zoomOn = isZoomed && isWithin ? passage.index : null;
      if (zoomOn !== clip.tile.zoomOn) Object.assign(clip.tile, { zoomOn }).draw();
    });
    node.replaceChildren(heading(passage), clip.tile.node, el("div.row", {}, transport(), place), repairs(passage, cut));
    showTaken();
    clip.player.seek(time ?? passage.start);
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
      action("Choose the dashed box", "b", () => chooseNearest()),
      give,
      begin,
      action("Delete the tracklet", "x", () => remove()),
      el("label.row", {}, "Class ", select, button("Change", "Change the class of the tracklet", change)),
      action("Undo", "u", () => tools.undo()),
    );
  }

  /** Choose a box without a tracklet in the picture on screen, or give up the choice. */
  function choose(box) {
    const { frame } = clip.tile;
    if (taken.get(frame)?.passage === box.passage) taken.delete(frame);
    else taken.set(frame, box);
    showTaken();
    clip.tile.draw();
  }

  function chooseNearest() {
    const tile = clip?.tile;
    if (!canAnswer || !tile?.loose.length) return;
    const place = tile.lastBox ?? { x1: 0, x2: tile.camera.size[0], y1: 0, y2: tile.camera.size[1] };
    const middle = ({ x1, x2, y1, y2 }) => [(x1 + x2) / 2, (y1 + y2) / 2];
    const [x, y] = middle(place);
    const distance = (box) => Math.hypot(middle(box)[0] - x, middle(box)[1] - y);
    choose(tile.loose.reduce((best, box) => (distance(box) < distance(best) ? box : best)));
  }

  function showTaken() {
    const boxes = plural(taken.size, "box").replace("boxs", "boxes");
    give.firstChild.textContent = taken.size ? `Give it ${boxes}` : "Give it the chosen boxes";
    begin.firstChild.textContent = taken.size ? `New tracklet of ${boxes}` : "New tracklet of them";
    for (const tool of [give, begin]) tool.disabled = !taken.size;
  }

  async function giveBoxes(isNew) {
    const passage = store.byKey(key);
    if (!passage || !taken.size) return;
    const boxes = [...taken].map(([frame, { x1, y1, x2, y2 }]) => [frame, x1, y1, x2, y2]);
    const facts = { camera: passage.camera, passages: isNew ? [] : [passage.index], boxes };
    if (!(await tools.answer("boxes", facts)) || !isNew) return;
    const tracks = store.passages.filter(({ camera }) => camera === facts.camera).map(({ track }) => track);
    location.hash = `#/tracklet/${facts.camera}-${Math.max(...tracks)}`;
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
    clip?.player.sync();
  }

  const canAnswer = !store.run.review_problem;
  const give = action("", "enter", () => giveBoxes(false));
  const begin = action("", "t", () => giveBoxes(true));
  show();
  store.addEventListener("identities", show);
  return {
    node,
    keys: {
      b: () => chooseNearest(),
      Enter: () => giveBoxes(false),
      t: () => giveBoxes(true),
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

function clipOf(passage, isZoomed, options) {
  const camera = store.camera(passage);
  const tile = new CameraTile(camera, options);
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
