// Search by example: the tracklets that look most like one of them, or like a picture that is dropped or chosen.

import { clockText, el } from "./dom.js";
import { button, chip, crop, passageAddress } from "./parts.js";
import { getJson, postFile, store } from "./store.js";

export function searchPage(parameters, tools) {
  let picture = ""; // a file that is searched for in place of a tracklet
  const named = () => (picture ? undefined : store.byKey(parameters.get("tracklet")));
  let example = named();
  let tracklets = store.tracklets; // that the matches are of
  const hint = "“Similar ones” of a passage of a vehicle searches for that one.";
  const shown = el("div.example", {}, example ? null : el("p.hint", {}, hint));
  const status = el("p.count", { role: "status" });
  const list = el("ol.gallery.matches");
  let matches = [];
  let latest = null;
  let isClosed = false;

  async function search(request) {
    latest = request;
    status.textContent = "Searching …";
    list.replaceChildren();
    try {
      const found = await request();
      if (latest !== request) return;
      matches = found;
      status.textContent = matches.length
        ? "Most similar first: 1 is the same appearance, 0 that of any two vehicles."
        : "Nothing in this run can be compared.";
    } catch (error) {
      if (latest !== request) return;
      matches = [];
      status.textContent = "";
      tools.say(error.message, true);
    }
    if (!isClosed) show();
  }

  const load = () => search(() => getJson(passageAddress(example, "similar")));

  function onIdentities() {
    const haveChanged = tracklets !== store.tracklets;
    tracklets = store.tracklets;
    example = named();
    if (!latest || !haveChanged) show();
    else if (example || picture) search(latest);
    else location.hash = "#/search";
  }

  function show() {
    list.replaceChildren(...matches.map(({ passage, similarity }) => card(store.passages[passage], similarity)));
    if (example) shown.replaceChildren(el("div.crops", {}, crop(example)), description(example));
  }

  function card(passage, similarity) {
    const isSame = example && store.vehicle[passage.index] === store.vehicle[example.index];
    const join = () => tools.answer("same", { pair: [example.index, passage.index] });
    const here = `camera ${store.camera(passage).id}, ${clockText(passage.start)}`;
    return el(
      "li.card",
      { "aria-label": `Similarity ${similarity.toFixed(2)}, ${here}` },
      el("a.crops", { href: `#/search?tracklet=${passage.key}`, title: "Search for this one" }, crop(passage)),
      el("span.title", {}, el("b.number", {}, similarity.toFixed(2).replace("-", "−")), description(passage)),
      example && !isSame && !store.run.review_problem
        ? button("Same vehicle", `One vehicle with the example: ${here}`, join)
        : null,
      isSame ? el("span.detail", {}, "One vehicle with the example") : null,
    );
  }

  function searchFile(file) {
    if (!file) return;
    URL.revokeObjectURL(picture);
    picture = URL.createObjectURL(file);
    example = named();
    matches = [];
    const image = el("img.crop", { src: picture, alt: "The picture that is searched for" });
    image.addEventListener("error", () => image.remove());
    shown.replaceChildren(el("div.crops", {}, image));
    search(() => postFile("/api/search", file));
  }

  const input = el("input", {
    type: "file",
    accept: "image/jpeg,image/png",
    onchange: ({ target }) => {
      const [file] = target.files;
      target.value = ""; // the same file can be chosen again
      searchFile(file);
    },
  });
  const drop = el("label.drop", {}, "Drop a picture of one vehicle here, or choose one (JPEG, PNG) ", input);
  const section = el("section", { "aria-label": "Search" }, el("h1", {}, "Search by example"), drop, shown, status, list);
  section.addEventListener("dragover", (event) => event.preventDefault());
  section.addEventListener("drop", (event) => {
    event.preventDefault();
    searchFile(event.dataTransfer.files[0]);
  });
  if (example) load();
  store.addEventListener("identities", onIdentities);
  return {
    node: section,
    keys: { u: () => tools.undo() },
    close() {
      isClosed = true;
      URL.revokeObjectURL(picture);
      store.removeEventListener("identities", onIdentities);
    },
  };
}

function description(passage) {
  const vehicle = store.vehicles.get(store.vehicle[passage.index]);
  return el(
    "span",
    {},
    el("a", { href: `#/vehicle/${vehicle.id}` }, chip(vehicle)),
    el("span.detail", {}, ` ${store.camera(passage).id}, ${clockText(passage.start)}`),
  );
}
