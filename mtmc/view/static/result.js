// Scores, the corrected result as a file, and all answers.

import { el } from "./dom.js";
import { button } from "./parts.js";
import { getBlob, getJson, store } from "./store.js";

const ACTIONS = {
  same: "one vehicle",
  different: "two vehicles",
  merge: "merged",
  split: "split off",
  assign: "numbered",
  cut: "cut",
  delete: "deleted",
  class: "of class",
  boxes: "given boxes",
  check: "checked",
  undo: "undone",
};

const SAVING_MS = 60_000; // in which the browser begins to read what it keeps

export function resultPage(parameters, tools) {
  const scores = el("div.scores", {}, el("p.loading", {}, "Scoring …"));
  const journal = el("div");
  const exports = el("div");
  const exporting = el("p.hint", { role: "status" });
  let isClosed = false;

  async function showScores() {
    let content;
    let hasTruth = false;
    try {
      const found = await getJson("/api/scores");
      hasTruth = Boolean(found.run);
      content = hasTruth
        ? el("div", {}, scoreTable(found), el("p", {}, el("a", { href: "#/mistakes" }, "Mistakes of the run, by ground truth")))
        : el("p.hint", {}, "The scene has no ground truth.");
    } catch (error) {
      content = el("p.hint", {}, `No scores: ${error.message}`);
    }
    if (isClosed) return;
    scores.replaceChildren(content);
    if (hasTruth) store.mistakes().catch(() => {}); // the page of mistakes, linked above, says what went wrong
  }

  async function showJournal() {
    const entries = await getJson("/api/journal");
    if (isClosed) return;
    const rows = entries.toReversed().map((entry) => journalRow(entry, tools));
    journal.replaceChildren(
      rows.length
        ? el("table.journal", {}, el("tbody", {}, rows))
        : el("p.hint", {}, "No answer yet. The review asks for those that are worth most."),
    );
  }

  function showExports() {
    const hasChecked = [...store.vehicles.values()].some((vehicle) => vehicle.isChecked);
    exports.replaceChildren(
      el("p", {}, download("track1.txt", "", "Corrected track1.txt"), " AI City Challenge format; frames count from 1."),
      archive("truth.zip", "Ground truth", "All vehicles with the boxes of their tracklets, one gt.txt per camera, for mtmc evaluate.", hasChecked),
      archive("crops.zip", "Crops", "By vehicle and camera, for reid train (data set folder); reading the videos takes a while.", hasChecked),
    );
  }

  /** A file as a link, and as two where the checked vehicles alone can be had. */
  function archive(file, name, description, hasChecked) {
    const checked = hasChecked ? [" (", download(file, "?checked", "of the checked vehicles alone"), ")"] : [];
    return el("p", {}, download(file, "", name), ...checked, ` ${description}`);
  }

  /** A link whose file the page fetches itself: a browser would end an export that fails without saying why. */
  function download(file, query, text) {
    const href = `/api/${file}${query}`;
    const fetchFile = async (event) => {
      event.preventDefault();
      exporting.classList.remove("worse");
      exporting.textContent = `${text} is being prepared …`;
      try {
        save(await getBlob(href), file);
        exporting.textContent = "";
      } catch (error) {
        exporting.classList.add("worse");
        exporting.textContent = `No ${file}: ${error.message}`;
      }
    };
    return el("a", { href, onclick: fetchFile }, text);
  }

  const show = () => {
    showExports();
    showScores();
    showJournal();
  };
  show();
  store.addEventListener("identities", show);
  return {
    node: el(
      "section",
      { "aria-label": "Result" },
      el("h1", {}, "Result"),
      exports,
      exporting,
      el("h2", {}, "Scores"),
      scores,
      el("h2", {}, "Answers"),
      journal,
    ),
    keys: { u: () => tools.undo() },
    close() {
      isClosed = true;
      store.removeEventListener("identities", show);
    },
  };
}

/** Have the browser keep data as a file. */
function save(data, name) {
  const address = URL.createObjectURL(data);
  el("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), SAVING_MS);
}

function scoreTable({ run, corrected }) {
  const names = Object.keys(run[0]).filter((name) => name !== "camera");
  const head = el("tr", {}, el("th", {}, "Camera"), names.map((name) => el("th", { scope: "col" }, name)));
  const rows = corrected.map((row, index) =>
    el(
      row.camera === "all" ? "tr.all" : "tr",
      {},
      el("th", { scope: "row" }, row.camera),
      names.map((name) => scoreCell(run[index][name], row[name])),
    ),
  );
  return el("table", {}, el("thead", {}, head), el("tbody", {}, rows));
}

function scoreCell(before, after) {
  const text = (100 * after).toFixed(1);
  const change = Math.round(1000 * after) - Math.round(1000 * before);
  if (!change) return el("td.number", {}, text);
  const sign = change > 0 ? "+" : "−";
  return el("td.number", {}, text, el(change > 0 ? "small.better" : "small.worse", {}, ` ${sign}${Math.abs(change) / 10}`));
}

function journalRow(entry, tools) {
  const linked = entry.must_link.concat(entry.cannot_link).flatMap(([a, i, b, j]) => [`${a}/${i}`, `${b}/${j}`]);
  const names = [...new Set(entry.tracks.map(([camera, track]) => `${camera}/${track}`).concat(linked))];
  const tracklets = names.slice(0, 6).join(", ") + (names.length > 6 ? " …" : "");
  const about = entry.action === "undo" ? `answer ${entry.undoes}` : tracklets + detailOf(entry);
  return el(
    entry.counts ? "tr" : "tr.undone",
    {},
    el("td.number", {}, String(entry.sequence)),
    el("td", {}, ACTIONS[entry.action]),
    el("td", {}, about),
    el("td.detail", {}, entry.time_utc.replace("T", " ").replace("+00:00", " UTC")),
    el("td", {}, entry.counts ? button("Undo", `Undo answer ${entry.sequence}`, () => tools.answer("undo", { undoes: entry.sequence })) : ""),
  );
}

/** What an answer says beyond the tracklets it is about. */
function detailOf({ action, frame, number, class_name: name, boxes }) {
  if (action === "cut") return ` before frame ${frame}; the rest is ${number}`;
  if (action === "boxes") return `: ${boxes.length} in frames ${boxes[0][0]}–${boxes.at(-1)[0]}`;
  if (action === "assign") return `: vehicle ${number}`;
  return action === "class" ? `: ${name}` : "";
}
