// One vehicle: its journey, its pictures, why its passages were joined; merging and splitting by hand.

import { clockText, el, plural, signed } from "./dom.js";
import { addressOf, button, chip, crop, evidence, percent } from "./parts.js";
import { getJson, store } from "./store.js";
import { quantile, travelTimes } from "./travel.js";

export function vehiclePage(parameters, tools) {
  const id = Number(parameters.get("id"));
  const node = el("section", { "aria-label": "Vehicle" });
  const chosen = new Set();
  let isClosed = false;

  async function show() {
    const vehicle = store.vehicles.get(id);
    chosen.clear();
    if (!vehicle) {
      node.replaceChildren(el("h1", {}, `Vehicle ${id}`), el("p", {}, "There is no vehicle with this number."));
      return;
    }
    const links = await getJson(`/api/vehicles/${id}/links`);
    if (isClosed) return;
    const inside = links.filter((link) => link.is_joined);
    const others = links.filter((link) => !link.is_joined).sort((a, b) => b.probability - a.probability);
    const parts = [
      el("h1", {}, chip(vehicle), ` ${vehicle.color} ${vehicle.class}`),
      el("p.detail", {}, summary(vehicle)),
      journey(vehicle),
      corrections(vehicle),
      el("h2", {}, "Why these are one vehicle"),
      inside.length
        ? el("div.links", {}, inside.sort((a, b) => a.probability - b.probability).map((link) => linkCard(link)))
        : el("p.hint", {}, store.run.review_problem || "One tracklet alone: nothing was joined."),
      others.length ? el("h2", {}, "What it was not joined with") : null,
      el("div.links", {}, others.map((link) => linkCard(link, (other) => merge(other)))),
    ];
    node.replaceChildren(...parts.filter(Boolean));
  }

  function journey(vehicle) {
    const steps = [];
    vehicle.passages.forEach((passage, index) => {
      if (index) steps.push(el("li.gap", {}, ...travel(vehicle.passages[index - 1], passage)));
      const check = el("input", {
        type: "checkbox",
        "aria-label": `Choose the passage in camera ${store.camera(passage).id}`,
        onchange: (event) => {
          if (event.target.checked) chosen.add(passage.index);
          else chosen.delete(passage.index);
          node.querySelector(".split").disabled = !chosen.size || chosen.size === vehicle.passages.length;
          for (const other of node.querySelectorAll(".scope")) other.textContent = scope(vehicle);
        },
      });
      steps.push(
        el(
          "li.step",
          {},
          el("a", { href: addressOf(passage), title: "See it in all cameras" }, crop(passage)),
          el("label", {}, vehicle.passages.length > 1 ? check : null, el("b", {}, store.camera(passage).id)),
          el("span.detail", {}, `${clockText(passage.start)}–${clockText(passage.end)}`),
          zones(passage),
          el(
            "span.detail",
            {},
            el("a", { href: `#/search?tracklet=${passage.key}` }, "Similar ones"),
            " · ",
            el("a", { href: `#/tracklet/${passage.key}` }, "Repair"),
          ),
        ),
      );
    });
    return el("ol.journey", { "aria-label": "Journey" }, steps);
  }

  function corrections(vehicle) {
    if (store.run.review_problem) return null;
    const other = el("input", { type: "number", min: 1, "aria-label": "Number of the other vehicle", placeholder: "number" });
    const split = button("Split off the chosen passages", "They become a vehicle of their own", () =>
      tools.answer("split", { passages: [...chosen] }),
    );
    split.classList.add("split");
    split.disabled = true;
    const forms = [
      el("form", { onsubmit: submitted(() => other.value && merge(Number(other.value))) },
        el("label", {}, "Merge with vehicle ", other),
        el("button", {}, "Merge"),
      ),
      numbering(vehicle),
      classes(vehicle),
      button("Delete", "Take these tracklets out of the result", () => remove(vehicle)),
    ];
    return el(
      "div.corrections",
      {},
      vehicle.passages.length > 1 ? split : null,
      forms[0],
      el("fieldset", {}, el("legend.scope", {}, scope(vehicle)), forms.slice(1)),
    );
  }

  /** What number, class and deletion are about. */
  function scope(vehicle) {
    return chosen.size ? plural(chosen.size, "chosen passage") : `All of vehicle ${vehicle.id}`;
  }

  const passagesOf = (vehicle) => (chosen.size ? [...chosen] : vehicle.passages.map((passage) => passage.index));

  function numbering(vehicle) {
    const number = el("input", { type: "number", min: 1, "aria-label": "New number of the vehicle", placeholder: "number" });
    const assign = async () => {
      if (!number.value) return;
      const wanted = Number(number.value);
      await tools.answer("assign", { passages: passagesOf(vehicle), number: wanted });
      if (store.vehicles.has(wanted) && !store.vehicles.has(id)) location.hash = `#/vehicle/${wanted}`;
    };
    return el("form", { onsubmit: submitted(assign) }, el("label", {}, "Number ", number), el("button", {}, "Assign"));
  }

  function classes(vehicle) {
    const select = el("select", { "aria-label": "Class" }, store.run.classes.map((name) => el("option", {}, name)));
    select.value = vehicle.class;
    const change = () => tools.answer("class", { passages: passagesOf(vehicle), class: select.value });
    return el("form", { onsubmit: submitted(change) }, el("label", {}, "Class ", select), el("button", {}, "Change"));
  }

  function remove(vehicle) {
    return tools.answer("delete", { passages: passagesOf(vehicle) });
  }

  async function merge(other) {
    await tools.answer("merge", { vehicles: [id, other] });
    // The vehicle with more boxes gives the number.
    if (!store.vehicles.has(id) && store.vehicles.has(other)) location.hash = `#/vehicle/${other}`;
  }

  show();
  const onIdentities = () => show();
  store.addEventListener("identities", onIdentities);
  return {
    node,
    keys: { u: () => tools.undo() },
    close() {
      isClosed = true;
      store.removeEventListener("identities", onIdentities);
    },
  };
}

function submitted(action) {
  return (event) => {
    event.preventDefault();
    action();
  };
}

function summary(vehicle) {
  const where = plural(vehicle.cameras.length, "camera");
  return `${where}, ${plural(vehicle.passages.length, "passage")}, ${clockText(vehicle.start)}–${clockText(vehicle.end)}`;
}

function zones({ entry, exit }) {
  return entry || exit ? el("span.detail", {}, `${entry || "?"} → ${exit || "?"}`) : null;
}

/** Seconds from one passage to the next, and what other vehicles took between the same cameras. */
function travel(before, after) {
  const gap = after.start - before.end;
  const texts = [el("b", {}, gap >= 0 ? `${gap.toFixed(1)} s` : `${(-gap).toFixed(1)} s together`)];
  if (before.camera !== after.camera && gap >= 0) {
    const others = travelTimes().get(`${before.camera}-${after.camera}`) ?? [];
    if (others.length >= 3) {
      const at = (share) => quantile(others, share).toFixed(1);
      texts.push(el("span.detail", {}, `median ${at(0.5)} s, ${at(0.15)}–${at(0.85)} (n = ${others.length})`));
    }
  }
  return texts;
}

function linkCard(link, merge = null) {
  const ends = [link.a, link.b].map((index) => store.passages[index]);
  const side = (passage) =>
    el(
      "a.end",
      { href: addressOf(passage) },
      crop(passage),
      el("span", {}, `${store.camera(passage).id}, ${clockText(passage.start)}`),
    );
  const other = ends.map((passage) => store.vehicle[passage.index]);
  const verdict = link.is_joined
    ? `${percent(link.probability)} one vehicle`
    : `${percent(link.probability)} one vehicle, kept apart${link.rule ? `: ${link.rule}` : ""}`;
  const current = Number(location.hash.split("/")[2]);
  const foreign = other.find((vehicle) => vehicle !== current);
  return el(
    "article.link",
    { "aria-label": `${verdict}, log odds ${signed(link.log_odds)}` },
    el("div.ends", {}, ends.map(side)),
    el("p", {}, verdict),
    evidence(link),
    merge && foreign !== undefined && !store.run.review_problem
      ? el(
          "p.row",
          {},
          el("a", { href: `#/vehicle/${foreign}` }, `Vehicle ${foreign}`),
          button("Merge", `Make vehicles ${current} and ${foreign} one`, () => merge(foreign)),
        )
      : null,
  );
}
