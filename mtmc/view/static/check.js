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
    await Promise.all(rows.map((row) => row.load(() => isClosed)));
    // The pictures of the next page are fetched while this one is read.
    for (const vehicle of vehicles.filter(isShown).slice(PER_PAGE, 2 * PER_PAGE)) vehicle.passages.forEach(prefetch);
  }

  function mark() {
    rows.forEach((row, index) => row.mark(index === current, anchor));
    rows[current]?.node.scrollIntoView({ block: "nearest" });
  }

  function pick(row, cell) {
    current = rows.indexOf(row);
    row.cell = cell;
    mark();
  }

  function move(step) {
    current = Math.max(Math.min(current + step, rows.length - 1), 0);
    mark();
  }

  function step(cells) {
    rows[current]?.step(cells);
    mark();
  }

  async function check(row) {
    done.add(row.vehicle.id);
    await tools.answer("check", { passages: row.vehicle.passages.map((passage) => passage.index) });
  }

  async function checkOne() {
    const row = rows[current];
    if (!row) return;
    if (!row.vehicle.isChecked) await check(row);
    if (rows.every(({ vehicle }) => vehicle.isChecked)) turn();
    else move(1);
  }

  async function checkAll() {
    for (const row of rows.filter(({ vehicle }) => !vehicle.isChecked)) await check(row);
    turn();
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
    done.delete(rows[current].vehicle.id);
    await tools.answer("cut", { passages: [place.passage.index], frame: place.frame });
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
    const other = anchor;
    anchor = null;
    await tools.answer("merge", { vehicles: [other, vehicle.id] });
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
  const actions = store.run.review_problem
    ? el("p.hint", {}, `Nothing can be noted: ${store.run.review_problem}.`)
    : el(
        "div.answers.tools",
        {},
        action("Checked", "enter", checkOne),
        action("All of these", "a", checkAll),
        action("Cut before", "c", cut),
        action("Split off", "s", () => about("split")),
        action("Delete", "x", () => about("delete")),
        action("Merge", "m", merge),
        action("Next jump", "e", jump),
        action("Skip page", "n", turn),
        action("Undo", "u", () => tools.undo()),
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

/** A vehicle as a row: its path, and a strip of cells for each passage. */
function rowOf(vehicle, pick) {
  const strips = el("div.strips");
  const state = el("span.state");
  const plot = new PathPlot(store.cameras[vehicle.cameras[0]]);
  const where = vehicle.cameras.map((index) => store.cameras[index].id).join(", ");
  const row = {
    vehicle,
    content: contentOf(vehicle),
    cell: 0,
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
        plot.node,
      ),
      strips,
    ),

    /** The same row for the vehicle as it is known now. */
    of(present) {
      row.vehicle = present;
      return row;
    },

    async load(isClosed) {
      if (row.cells.length) return;
      const sheets = await Promise.all(vehicle.passages.map((passage) => ready(passage, isClosed)));
      if (isClosed() || sheets.includes(null)) return;
      row.cells = sheets.flatMap((sheet, index) =>
        sheet.frames.map((frame, k) => ({ key: vehicle.passages[index].key, frame, jump: sheet.jumps[k] })),
      );
      let first = 0;
      const parts = sheets.map((sheet, index) => {
        const start = first;
        first += sheet.frames.length;
        return cellsOf(vehicle.passages[index], sheet, LARGE_JUMP, (k) => pick(row, start + k));
      });
      strips.replaceChildren(...parts);
      plot.draw(sheets, LARGE_JUMP);
      row.markCell();
    },

    /** Passage and frame of the chosen cell. */
    place() {
      const cell = row.cells[row.cell];
      return cell && { passage: store.byKey(cell.key), frame: cell.frame };
    },

    step(count) {
      row.cell = Math.max(Math.min(row.cell + count, row.cells.length - 1), 0);
    },

    /** The next cell that is far from where its tracklet led, or that begins another tracklet. */
    jump() {
      const isDoubtful = (k) => row.cells[k].jump > LARGE_JUMP || row.cells[k].key !== row.cells[k - 1]?.key;
      const later = row.cells.keys().filter((k) => k > row.cell && isDoubtful(k)).next();
      row.cell = later.done ? 0 : later.value;
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
      nodes.forEach((node, index) => node.classList.toggle("chosen-cell", index === row.cell));
    },
  };
  return row;
}

/** The sheet of a passage once the clean video of its camera is ready; null where there will be none. */
async function ready(passage, isClosed) {
  const sheet = await sheetOf(passage);
  for (;;) {
    const { state } = await getJson(`/api/cameras/${passage.camera}/proxy`);
    if (state === "ready" || state === "failed") return { ...sheet, hasPictures: state === "ready" };
    if (isClosed()) return null;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
