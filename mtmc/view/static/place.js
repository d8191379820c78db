// The place editor: zones, region of interest, links, ground and clocks, saved to the scene's scene.yaml.

import { el } from "./dom.js";
import { draft } from "./draft.js";
import { button } from "./parts.js";
import { clockTab } from "./place_clock.js";
import { groundTab } from "./place_ground.js";
import { linksTab } from "./place_links.js";
import { regionTab, zonesTab } from "./place_zones.js";

const TABS = {
  zones: ["Zones", zonesTab],
  region: ["Region of interest", regionTab],
  links: ["Links", linksTab],
  ground: ["Ground", groundTab],
  clock: ["Clocks", clockTab],
};

export function placePage(parameters, tools) {
  const name = Object.keys(TABS).includes(parameters.get("tab")) ? parameters.get("tab") : "zones";
  const body = el("div.tab", {}, el("p.loading", {}, "Loading …"));
  const save = button("Save to scene.yaml", "Write the changes into the scene's scene.yaml", () => store(), "save");
  const revert = button("Discard changes", "Show again what scene.yaml says", () => reload());
  const state = el("p.detail", { role: "status" });
  const links = Object.entries(TABS).map(([key, [text]]) =>
    el("a", { href: `#/place?tab=${key}`, "aria-current": key === name ? "true" : null }, text),
  );
  const tabs = el("div.tabs", { role: "group", "aria-label": "Parts of the place" }, links);
  let tab = null;
  let isClosed = false;

  function showState() {
    const isChanged = Boolean(draft.changes());
    save.disabled = !isChanged || Boolean(draft.problem);
    revert.disabled = !isChanged;
    const isShown = draft.cameras?.length > 0;
    for (const part of [tabs, save, revert, state]) part.hidden = !isShown;
    state.textContent = draft.problem || (isChanged ? "Changes are not saved yet." : "");
  }

  function showTab() {
    tab?.close();
    tab = null;
    if (draft.problem && !draft.cameras.length) {
      body.replaceChildren(el("p", {}, `The place cannot be edited: ${draft.problem}`));
      return;
    }
    tab = TABS[name][1](tools);
    body.replaceChildren(tab.node);
  }

  async function store() {
    try {
      await draft.save();
      tools.say(`Saved to ${draft.file}. The next mtmc run uses it.`);
      if (!isClosed) showTab();
    } catch (error) {
      tools.say(error.status === 409 ? `${error.message}. Your changes are kept in this window.` : error.message, true);
    }
  }

  async function reload() {
    await draft.load();
    if (!isClosed) showTab();
  }

  async function begin() {
    try {
      if (!draft.hasLoaded || !draft.changes()) await draft.load();
      if (!isClosed) showTab();
    } catch (error) {
      body.replaceChildren(el("p", {}, `The place cannot be shown: ${error.message}`));
    }
    showState();
  }

  draft.addEventListener("change", showState);
  begin();
  return {
    node: el(
      "section.place",
      { "aria-label": "Place" },
      el("h1", {}, "Place"),
      el("div.row", {}, tabs, save, revert, state),
      body,
    ),
    keys: {},
    close() {
      isClosed = true;
      draft.removeEventListener("change", showState);
      tab?.close();
    },
  };
}

window.addEventListener("beforeunload", (event) => {
  if (draft.hasLoaded && draft.changes()) event.preventDefault();
});
