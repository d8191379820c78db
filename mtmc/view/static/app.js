// Pages by the part of the address behind #, keys, messages.

import { camerasPage } from "./cameras.js";
import { checkPage } from "./check.js";
import { el, plural } from "./dom.js";
import { galleryPage } from "./gallery.js";
import { mapPage } from "./map.js";
import { mistakesPage } from "./mistakes.js";
import { placePage } from "./place.js";
import { repairPage } from "./repair.js";
import { resultPage } from "./result.js";
import { reviewPage } from "./review.js";
import { searchPage } from "./search.js";
import { getJson, store } from "./store.js";
import { vehiclePage } from "./vehicle.js";

const PAGES = {
  "": camerasPage,
  vehicles: galleryPage,
  vehicle: vehiclePage,
  check: checkPage,
  tracklet: repairPage,
  search: searchPage,
  review: reviewPage,
  place: placePage,
  result: resultPage,
  mistakes: mistakesPage,
  map: mapPage,
};
/** Where pages without an entry of their own belong. */
const PARENTS = { vehicle: "vehicles", tracklet: "vehicles", mistakes: "result" };
const LINKS = [...document.querySelectorAll("nav a")];
const HELP = [
  ["space", "play or pause"],
  ["← →", "one picture back or on"],
  ["shift ← →", "five seconds back or on"],
  ["[ ]", "slower, faster"],
  ["+ −", "enlarge or shrink the timeline"],
  ["n p", "next or previous passage of the chosen vehicle"],
  [`1 … ${LINKS.length}`, LINKS.map((link) => link.textContent.toLowerCase()).join(", ")],
  ["s d k", "review: same, different, skip"],
  ["z", "review, tracklet: whole picture or enlarged"],
  ["j i", "mistakes: the next, the one before"],
  ["enter a", "check: this vehicle is right, all on the page are"],
  ["↑ ↓ e", "check: the vehicle before or after, the next jump"],
  ["s m n", "check: split off, merge with another, the next page"],
  ["c x", "check, tracklet: cut before this picture, delete"],
  ["shift ← → t", "check: choose several boxes, make them a vehicle of their own"],
  ["b enter t", "tracklet: choose a dashed box, give the chosen ones to it, begin a tracklet with them"],
  ["u", "undo the last answer"],
  ["escape", "choose nothing"],
];
/** Keys that give an answer on some page: held down, they would answer what has not been read. */
const ANSWERING = new Set(["Enter", "a", "b", "c", "d", "m", "s", "t", "u", "x"]);
const MESSAGE_MS = 6000;

const main = document.getElementById("page");
const message = document.getElementById("message");
let page = null;
let fading = 0;
let isAnswering = false;

function say(text, isError = false) {
  message.textContent = text;
  message.hidden = false;
  message.classList.toggle("error", isError);
  clearTimeout(fading);
  fading = setTimeout(() => (message.hidden = true), MESSAGE_MS);
}

/** What pages may do beyond showing. */
const tools = {
  say,
  /**
   * Send an answer and say what followed. Returns whether it was noted: not if the run takes none, nor while another
   * one is on its way, since what that one changes has not been seen.
   */
  async answer(action, facts) {
    const problem = store.run.review_problem || (isAnswering && "the answer before is still on its way");
    if (problem) {
      say(`Nothing was noted: ${problem}.`, true);
      return false;
    }
    isAnswering = true;
    try {
      const changed = await store.answer(action, facts);
      say(changed ? `${plural(changed, "passage")} changed the vehicle.` : "Noted; nothing else changed.");
      return true;
    } catch (error) {
      say(error.message, true);
      return false;
    } finally {
      isAnswering = false;
    }
  },
  async undo() {
    const last = (await getJson("/api/journal")).findLast((entry) => entry.counts && entry.action !== "undo");
    if (last) await tools.answer("undo", { undoes: last.sequence });
    else say("There is no answer to undo.");
  },
};

function open() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [name, id] = path.split("/");
  const parameters = new URLSearchParams(query);
  if (id) parameters.set("id", id);
  page?.close();
  page = (Object.hasOwn(PAGES, name) ? PAGES[name] : camerasPage)(parameters, tools);
  main.replaceChildren(page.node);
  main.dataset.page = name || "cameras";
  for (const link of LINKS) {
    const isHere = link.hash.replace(/^#\/?/, "") === (PARENTS[name] ?? name);
    if (isHere) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  window.scrollTo(0, 0);
}

const help = el(
  "dialog.help",
  { "aria-label": "Keyboard shortcuts" },
  el("h2", {}, "Keyboard"),
  el("dl", {}, HELP.flatMap(([keys, meaning]) => [el("dt", {}, el("kbd", {}, keys)), el("dd", {}, meaning)])),
  el("form", { method: "dialog" }, el("button", {}, "Close")),
);
document.body.append(help);
document.getElementById("help").addEventListener("click", () => help.showModal());

document.addEventListener("keydown", (event) => {
  const isTyping = event.target.closest("input:not([type=checkbox]), select, textarea");
  if (isTyping || event.ctrlKey || event.metaKey || event.altKey || help.open) return;
  const isPressing = event.target.closest("button, a") && (event.key === " " || event.key === "Enter");
  if (event.repeat && (isPressing || ANSWERING.has(event.key))) event.preventDefault();
  else if (!isPressing) press(event);
});

function press(event) {
  const name = event.shiftKey && event.key.startsWith("Arrow") ? `shift+${event.key}` : event.key;
  if (event.key === "?") help.showModal();
  else if (page?.keys?.[name]) page.keys[name]();
  else if (LINKS[Number(event.key) - 1]) location.hash = LINKS[Number(event.key) - 1].hash;
  else return;
  event.preventDefault();
}

try {
  await store.load();
  document.getElementById("name").textContent = store.run.folder;
  document.title = `${store.run.folder} – mtmc view`;
  if (!store.run.agrees) say("This version of mtmc associates otherwise than the one that made the run.", true);
  window.addEventListener("hashchange", open);
  open();
} catch (error) {
  main.replaceChildren(el("p", {}, `The run cannot be shown: ${error.message}`));
}
// For tests and for the curious.
Object.assign(window, { mtmc: { store, page: () => page } });
