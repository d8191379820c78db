// The review queue: one question at a time, those first whose answer is expected to correct most boxes.

import { clipKeys, clipsOf, partOf, zoomClips } from "./clips.js";
import { clockText, el, plural } from "./dom.js";
import { chip, crop, evidence, percent } from "./parts.js";
import { getJson, store } from "./store.js";

export function reviewPage(parameters, tools) {
  const node = el("section.review", { "aria-label": "Review" });
  let queue = [];
  let asked = null; // the question on screen
  let total = 0;
  let skipped = 0;
  let clips = null;
  let isClosed = false;
  let isZoomed = true;

  async function load() {
    asked = null;
    if (store.run.review_problem) {
      node.replaceChildren(el("h1", {}, "Review"), el("p", {}, `There is nothing to answer: ${store.run.review_problem}.`));
      return;
    }
    ({ questions: queue, total } = await getJson("/api/questions"));
    skipped = Math.min(skipped, queue.length);
    if (!isClosed) show();
  }

  async function show() {
    clips?.player.close();
    clips = null;
    asked = null;
    const question = queue[skipped];
    if (!question) {
      node.replaceChildren(
        el("h1", {}, "Review"),
        el("p", {}, skipped ? "That was the last question; the skipped ones are still open." : "No question is left."),
        skipped ? action("Skipped ones again", "k", () => again()) : el("span"),
      );
      return;
    }
    const link = await getJson(`/api/links?a=${question.a}&b=${question.b}`);
    if (isClosed || question !== queue[skipped]) return;
    asked = question;
    const passages = [question.a, question.b].map((index) => store.passages[index]);
    clips = clipsOf(passages.map(partOf), isZoomed);
    node.replaceChildren(
      el("h1", {}, "Are these one vehicle?"),
      el("div.pair", {}, passages.map((passage, index) => side(passage, clips.tiles[index]))),
      el(
        "div.answers",
        {},
        action("Same", "s", () => answer("same"), "same"),
        action("Different", "d", () => answer("different"), "different"),
        action("Skip", "k", () => skip()),
        action("Undo", "u", () => tools.undo()),
        action("Whole picture", "z", () => zoom()),
      ),
      el("p.detail", {}, statement(question, total - skipped)),
      link ? evidence(link) : "", // none once another window has changed the tracklets
    );
    clips.player.play();
  }

  async function answer(kind) {
    if (asked) await tools.answer(kind, { pair: [asked.a, asked.b] });
  }

  function skip() {
    skipped = Math.min(skipped + 1, queue.length);
    show();
  }

  function again() {
    skipped = 0;
    show();
  }

  function zoom() {
    isZoomed = !isZoomed;
    zoomClips(clips, isZoomed);
  }

  load();
  store.addEventListener("identities", load);
  return {
    node,
    keys: {
      s: () => answer("same"),
      d: () => answer("different"),
      k: () => (queue[skipped] ? skip() : again()),
      u: () => tools.undo(),
      z: () => zoom(),
      ...clipKeys(() => clips),
    },
    close() {
      isClosed = true;
      store.removeEventListener("identities", load);
      clips?.player.close();
    },
  };
}

function action(text, key, onclick, kind = "") {
  return el(kind ? `button.${kind}` : "button", { type: "button", onclick }, text, el("kbd", {}, key));
}

function side(passage, tile) {
  const vehicle = store.vehicles.get(store.vehicle[passage.index]);
  return el(
    "div.side",
    {},
    tile.node,
    el(
      "p.who",
      {},
      crop(passage),
      el(
        "span",
        {},
        el("a", { href: `#/vehicle/${vehicle.id}` }, chip(vehicle)),
        ` ${passage.color} ${passage.class}, ${store.camera(passage).id}, `,
        `${clockText(passage.start)}–${clockText(passage.end)}`,
      ),
    ),
  );
}

function statement(question, open) {
  const now = question.is_joined ? "Joined now" : "Two vehicles now";
  const stake = plural(question.boxes, "box").replace("boxs", "boxes");
  return `${now}, ${percent(question.probability)} one vehicle; ${stake} depend on it. ${plural(open, "question")} open.`;
}
