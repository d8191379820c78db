// Vehicles one after the other, each with all its boxes as pictures: an identity switch is seen at a glance.

import { clockText, el, plural } from "./dom.js";
import { button, chip } from "./parts.js";
import { PathPlot, cellsOf, prefetch, sheetOf } from "./sheets.js";
import { getJson, store } from "./store.js";

const PER_PAGE = 8;
const POLL_MS = 700;
const LARGE_JUMP = 1; // box heights
const filter = { camera: "", withChecked: false };

export function checkPage(parameters, tools) {
  const list = el("ol.rows");
  const progress = el("p.count", { role: "status" });
  let from = null; // place of the first vehicle of the page
  let done = new Set(); // vehicles that were checked on this page
  let rows = [];
  let current = 0; // row
  let anchor = null; // vehicle that the next one is merged with
  let isClosed = false;
  const videos = new Map(); // of each camera: whether there are pictures of it, once that is certain

  const all = () => [...store.vehicles.values()].filter(fits).sort(inOrder);

  /** The vehicles of the page: those not checked yet, from a place on. */
  function open(place, first = 0) {
    from = place;
    done = new Set();
    rows = [];
    current = first;
    show();
  }

  async function show() {
    const vehicles = all();
    if (!store.vehicles.has(anchor)) anchor = null;
    const isShown = (vehicle) => (!from || inOrder(vehicle, from) >= 0) && (isOpen(vehicle) || done.has(vehicle.id));
    const page = vehicles.filter(isShown).slice(0, PER_PAGE);
    const checked = vehicles.filter((vehicle) => vehicle.isChecked).length;
    progress.textContent = `${checked} of ${plural(vehicles.length, "vehicle")} checked`;
    const before = new Map(rows.map((row) => [row.content, row]));
    const chosen = rows[current]?.vehicle.id;
    rows = page.map((vehicle) => before.get(contentOf(vehicle))?.of(vehicle) ?? rowOf(vehicle, pick));
    // The choice stays with its vehicle, wherever its row is now.
    const place = rows.findIndex((row) => row.vehicle.id === chosen);
    current = place >= 0 ? place : Math.max(Math.min(current, rows.length - 1), 0);
    list.replaceChildren(...rows.map((row) => row.node));
    if (!rows.length) list.replaceChildren(el("li.hint", {}, checked < vehicles.length ? "These were the last ones; earlier ones are left (home)." : "All are checked."));
    mark();
    try {
      await Promise.all(rows.map((row) => row.load(hasPictures)));
    } catch (error) {
      if (error.status !== 409) throw error;
      await store.refresh(); // another window has changed the tracklets; this shows the page anew
      return;
    }
    // The pictures of the next page are fetched while this one is read.
    const next = vehicles.filter(isShown).slice(PER_PAGE, 2 * PER_PAGE);
    for (const passage of next.flatMap(({ passages }) => passages)) {
      if (await hasPictures(passage)) prefetch(passage);
    }
  }

  /** Whether there are pictures of a passage, once that is certain. */
  function hasPictures({ camera }) {
    if (!videos.has(camera)) videos.set(camera, isFilmed(camera, () => isClosed));
    return videos.get(camera);
  }

  function mark() {
    rows.forEach((row, index) => row.mark(index === current, anchor));
    rows[current]?.node.scrollIntoView({ block: "nearest" });
  }

  function pick(row, cell, extends_) {
    current = rows.indexOf(row);
    row.cell = cell;
    if (!extends_) row.start = cell;
    mark();
  }

  function move(step) {
    current = Math.max(Math.min(current + step, rows.length - 1), 0);
    mark();
  }

  function step(cells, extends_ = false) {
    rows[current]?.step(cells, extends_);
    mark();
  }

  /** Mark the vehicle of a row, unless it is; returns whether it is marked now. */
  async function check({ vehicle }) {
    if (vehicle.isChecked) return true;
    done.add(vehicle.id); // before the page is shown anew
    return tools.answer("check", { passages: vehicle.passages.map((passage) => passage.index) });
  }

  async function checkOne() {
    const row = rows[current];
    if (!row || !(await check(row)) || row !== rows[current]) return; // another one was chosen meanwhile
    if (rows.every(({ vehicle }) => vehicle.isChecked)) turn();
    else move(1);
  }

  async function checkAll() {
    const page = done;
    // What another window has changed was not seen: the rest is not marked.
    for (const row of rows) if (!(await check(row))) return;
    if (page === done) turn();
  }

  /** The page of those that come next. */
  function turn() {
    const last = rows.at(-1)?.vehicle;
    const next = all().find((vehicle) => isOpen(vehicle) && (!last || inOrder(vehicle, last) > 0));
    open(next ?? { start: Infinity, id: 0 });
  }

  async function cut() {
    const place = rows[current]?.place();
    if (!place || place.frame <= place.passage.firstFrame) return;
    await tools.answer("cut", { passages: [place.passage.index], frame: place.frame });
  }

  /** Make the chosen boxes a vehicle of their own; what its tracklet has before and after them stays one. */
  async function takeOut() {
    const chosen = rows[current]?.range();
    if (!chosen) return tools.say("Choose boxes of one tracklet (shift ← →).", true);
    const { key, first, next } = chosen;
    const { camera, firstFrame } = store.byKey(key);
    /** Cut a tracklet of the camera; the number of the new one is the greatest. Undefined if it was not noted. */
    const cutOff = async (frame) => {
      if (!(await tools.answer("cut", { passages: [store.byKey(key).index], frame }))) return undefined;
      const tracks = store.passages.filter((passage) => passage.camera === camera).map(({ track }) => track);
      return `${camera}-${Math.max(...tracks)}`;
    };
    const after = next === null ? null : await cutOff(next);
    if (after === undefined) return undefined;
    const taken = first > firstFrame ? await cutOff(first) : key;
    if (taken === undefined) return undefined;
    const rest = [taken === key ? null : key, after].filter(Boolean).map((name) => store.byKey(name).index);
    const vehicleOf = (index) => store.vehicles.get(store.vehicle[index]);
    if (rest.length === 2 && vehicleOf(rest[0]) !== vehicleOf(rest[1])) {
      if (!(await tools.answer("same", { pair: rest }))) return undefined;
    }
    const { index } = store.byKey(taken);
    if (vehicleOf(index).passages.length > 1) return tools.answer("split", { passages: [index] });
    return true;
  }

  async function about(action) {
    const place = rows[current]?.place();
    if (place) await tools.answer(action, { passages: [place.passage.index] });
  }

  async function merge() {
    const vehicle = rows[current]?.vehicle;
    if (!vehicle) return;
    if (anchor === null || anchor === vehicle.id) {
      anchor = anchor === null ? vehicle.id : null;
      mark();
      return;
    }
    if (await tools.answer("merge", { vehicles: [anchor, vehicle.id] })) anchor = null;
    mark();
  }

  function jump() {
    rows[current]?.jump();
    mark();
  }

  const choose = el(
    "select",
    {
      "aria-label": "Camera",
      onchange: (event) => {
        filter.camera = event.target.value;
        open(null);
      },
    },
    [["", "all"], ...store.cameras.map((camera) => [String(camera.index), camera.id])].map(([value, text]) =>
      el("option", { value }, text),
    ),
  );
  choose.value = filter.camera;
  const more = el("input", {
    type: "checkbox",
    checked: filter.withChecked,
    onchange: (event) => {
      filter.withChecked = event.target.checked;
      open(null);
    },
  });
  const problem = store.run.review_problem;
  const answers = [
    action("Checked", "enter", checkOne),
    action("All of these", "a", checkAll),
    action("Cut before", "c", cut),
    action("Take out", "t", takeOut),
    action("Split off", "s", () => about("split")),
    action("Delete", "x", () => about("delete")),
    action("Merge", "m", merge),
    action("Undo", "u", () => tools.undo()),
  ];
  const actions = el(
    "div.answers.tools",
    {},
    problem ? el("p.hint", {}, `Nothing can be noted: ${problem}.`) : answers,
    action("Next jump", "e", jump),
    action("Skip page", "n", turn),
  );
  show();
  store.addEventListener("identities", show);
  return {
    node: el(
      "section.check",
      { "aria-label": "Check" },
      el("h1", {}, "Check"),
      el("div.row", {}, el("form.filter", {}, el("label", {}, "Camera", choose), el("label.check", {}, more, "Checked ones, too")), progress),
      actions,
      list,
    ),
    keys: {
      Enter: checkOne,
      a: checkAll,
      c: cut,
      t: takeOut,
      s: () => about("split"),
      x: () => about("delete"),
      m: merge,
      e: jump,
      n: turn,
      u: () => tools.undo(),
      Home: () => open(null),
      ArrowDown: () => move(1),
      ArrowUp: () => move(-1),
      ArrowLeft: () => step(-1),
      ArrowRight: () => step(1),
      "shift+ArrowLeft": () => step(-1, true),
      "shift+ArrowRight": () => step(1, true),
      Escape: () => {
        anchor = null;
        mark();
      },
    },
    get rows() {
      return rows;
    },
    close() {
      isClosed = true;
      store.removeEventListener("identities", show);
    },
  };
}

const inOrder = (a, b) => a.start - b.start || a.id - b.id;

/** Whether a page begins or goes on with a vehicle. */
const isOpen = (vehicle) => filter.withChecked || !vehicle.isChecked;

function fits(vehicle) {
  return !filter.camera || vehicle.cameras.includes(Number(filter.camera));
}

function action(text, key, onclick) {
  const node = button(text, "", () => onclick());
  node.append(el("kbd", {}, key));
  return node;
}

/** What a row shows of a vehicle: rows that show the same are kept. */
const contentOf = ({ id, passages }) => [id, ...passages.map(({ key, boxes }) => `${key}:${boxes}`)].join(" ");

/** A vehicle as a row: its path in each camera, and a strip of cells for each passage. */
function rowOf(vehicle, pick) {
  const strips = el("div.strips", {}, el("p.loading", {}, "The pictures are being prepared …"));
  const state = el("span.state");
  const plots = new Map(vehicle.cameras.map((index) => [index, new PathPlot(store.cameras[index])]));
  const where = vehicle.cameras.map((index) => store.cameras[index].id).join(", ");
  const row = {
    vehicle,
    content: contentOf(vehicle),
    cell: 0,
    start: 0, // of the chosen cells, which end with the one above
    cells: [],
    node: el(
      "li",
      {},
      el(
        "div.head",
        {},
        el(
          "div.name",
          {},
          el("a", { href: `#/vehicle/${vehicle.id}`, "aria-label": `Vehicle ${vehicle.id}` }, chip(vehicle)),
          el("span.detail", {}, where),
          el("span.detail", {}, `${clockText(vehicle.start)}–${clockText(vehicle.end)}`),
          state,
        ),
        el("div.paths", {}, [...plots.values()].map((plot) => plot.node)),
      ),
      strips,
    ),

    /** The same row for the vehicle as it is known now. */
    of(present) {
      row.vehicle = present;
      return row;
    },

    async load(hasPictures) {
      if (row.cells.length) return;
      const { passages } = vehicle;
      const sheets = await Promise.all(
        passages.map(async (passage) => ({ ...(await sheetOf(passage)), hasPictures: await hasPictures(passage) })),
      );
      row.cells = sheets.flatMap((sheet, index) =>
        sheet.frames.map((frame, k) => ({ key: passages[index].key, frame, jump: sheet.jumps[k] })),
      );
      let first = 0;
      const parts = sheets.map((sheet, index) => {
        const start = first;
        first += sheet.frames.length;
        return cellsOf(passages[index], sheet, LARGE_JUMP, (k, extends_) => pick(row, start + k, extends_));
      });
      strips.replaceChildren(...parts);
      for (const [camera, plot] of plots) {
        plot.draw(sheets.filter((_, index) => passages[index].camera === camera), LARGE_JUMP);
      }
      row.markCell();
    },

    /** Passage and frame of the chosen cell. */
    place() {
      const cell = row.cells[row.cell];
      return cell && { passage: store.byKey(cell.key), frame: cell.frame };
    },

    /** Choose a cell that far on; `extends_`: with all from the one that was chosen before. */
    step(count, extends_) {
      row.cell = Math.max(Math.min(row.cell + count, row.cells.length - 1), 0);
      if (!extends_) row.start = row.cell;
    },

    /** Tracklet and first frame of the chosen cells, and the frame of the cell after them, null where it ends. */
    range() {
      const [first, last] = [Math.min(row.start, row.cell), Math.max(row.start, row.cell)];
      const cells = row.cells.slice(first, last + 1);
      if (!cells.length || cells.some(({ key }) => key !== cells[0].key)) return null;
      const after = row.cells[last + 1];
      return { key: cells[0].key, first: cells[0].frame, next: after?.key === cells[0].key ? after.frame : null };
    },

    /** The next cell that is far from where its tracklet led, or that begins another tracklet. */
    jump() {
      const isDoubtful = (k) => row.cells[k].jump > LARGE_JUMP || row.cells[k].key !== row.cells[k - 1]?.key;
      const later = row.cells.keys().filter((k) => k > row.cell && isDoubtful(k)).next();
      row.cell = later.done ? 0 : later.value;
      row.start = row.cell;
    },

    mark(isCurrent, anchor) {
      row.node.classList.toggle("current", isCurrent);
      row.node.classList.toggle("checked", row.vehicle.isChecked);
      if (isCurrent) row.node.setAttribute("aria-current", "true");
      else row.node.removeAttribute("aria-current");
      state.textContent = anchor === row.vehicle.id ? "merge with …" : row.vehicle.isChecked ? "✓ checked" : "";
      row.markCell();
    },

    markCell() {
      const nodes = strips.querySelectorAll(".cell");
      const [first, last] = [Math.min(row.start, row.cell), Math.max(row.start, row.cell)];
      nodes.forEach((node, index) => node.classList.toggle("chosen-cell", index >= first && index <= last));
    },
  };
  return row;
}

/** Whether a camera has a clean video: asked until that is certain, or the page is closed. */
async function isFilmed(camera, isClosed) {
  while (!isClosed()) {
    const { state } = await getJson(`/api/cameras/${camera}/proxy`);
    if (state === "ready" || state === "failed") return state === "ready";
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  return false;
}
