// A homography from points that are matched between a camera's picture and a map, or another camera.

import { el, plural } from "./dom.js";
import { draft } from "./draft.js";
import { button } from "./parts.js";
import { cameraChoice, markColor, Still } from "./place_parts.js";
import { Sketch } from "./sketch.js";
import { postFile, postJson, store } from "./store.js";

const LEAST_PAIRS = 4;
const WRONG = "#ff5a4a";
const work = new Map(); // of each camera: {target, pairs: [{source, target}]}
let index = 0;

export function groundTab(tools) {
  const node = el("div");
  let parts = [];
  let changed = () => {}; // the scale of a map may have changed
  const onDraft = () => changed();
  draft.addEventListener("change", onDraft);

  function show() {
    for (const part of parts) part.close();
    parts = [];
    const targets = targetsOf(index);
    if (!work.has(index)) work.set(index, { target: targets[0]?.key ?? "", pairs: [] });
    const matched = work.get(index);
    const target = targets.find(({ key }) => key === matched.target) ?? targets[0];
    const choice = cameraChoice("Camera", index, (camera) => {
      index = camera;
      show();
    });
    const others = targetChoice(targets, target, matched, show);
    const top = el("div.row", {}, choice, others, upload(tools, show));
    if (!target) {
      const hint = "Add a picture of the ground from above, or calibrate another camera first.";
      node.replaceChildren(top, el("p.hint", {}, hint), originFields(index) ?? "");
      return;
    }
    const [left, right] = [sourceSide(index), targetSide(target, show)];
    parts = [left, right];
    const list = el("div.shapes");
    const report = el("p", { role: "status" });
    let fit = null;

    const points = (side) =>
      matched.pairs.flatMap((pair, k) => {
        if (!pair[side]) return [];
        const place = fit ? complete().indexOf(pair) : -1;
        const to = side === "source" && place >= 0 ? fit.target_in_source[place] : null;
        const color = place >= 0 && !fit.is_inlier[place] ? WRONG : markColor(k);
        return [{ points: [pair[side]], color, label: String(k + 1), isPoint: true, to, pair, side }];
      });
    const complete = () => matched.pairs.filter((pair) => pair.source && pair.target);
    const press = (side) => (point) => {
      const open = matched.pairs.find((pair) => !pair[side]);
      if (open) open[side] = point;
      else matched.pairs.push({ [side]: point });
      refit();
    };
    const drag = ({ shape }, point) => {
      shape.pair[shape.side] = point;
      shape.points[0] = point;
      refit();
    };
    const sketches = [
      ["source", left, "Point of the camera's picture"],
      ["target", right, "The same point"],
    ].map(([side, { frame, size }, name]) => {
      return new Sketch(frame, size, { name, shapes: () => points(side), onPress: press(side), onDrag: drag });
    });
    parts.push(...sketches);

    const use = button("Use this homography", "Make it the camera's ground_from_image", () => {
      const camera = draft.cameras[index];
      camera.ground_from_image = fit.ground_from_image;
      camera.ground_plane = target.plane();
      draft.changed();
      tools.say("It is saved with the other changes.");
    });

    let asked = 0;
    async function refit() {
      const pairs = complete();
      asked += 1;
      const turn = asked;
      fit = null;
      let problem = "";
      if (pairs.length >= LEAST_PAIRS) {
        try {
          const found = await postJson("/api/place/homography", {
            source: pairs.map((pair) => pair.source),
            target: pairs.map((pair) => pair.target),
            ...target.facts(),
          });
          if (turn !== asked) return;
          fit = found;
        } catch (error) {
          if (turn !== asked) return;
          problem = error.message;
        }
      }
      use.disabled = !fit;
      report.textContent = problem || reportOf(fit, pairs.length);
      report.classList.toggle("worse", Boolean(problem));
      list.replaceChildren(...matched.pairs.map(row));
      for (const sketch of sketches) sketch.draw();
    }

    function row(pair, k) {
      const place = complete().indexOf(pair);
      const isOut = fit && place >= 0 && !fit.is_inlier[place];
      const error = fit && place >= 0 ? `${fit.error_px[place].toFixed(1)} px${isOut ? ", left out" : ""}` : "";
      const missing = place < 0 ? `now the same point on the ${pair.source ? "right" : "left"}` : "";
      return el(
        "div.shape",
        {},
        el("span.swatch", { style: { background: markColor(k) } }),
        `Point ${k + 1}`,
        el("span.detail", {}, missing || error),
        button("Remove", `Remove point ${k + 1}`, () => {
          matched.pairs.splice(k, 1);
          refit();
        }),
      );
    }

    node.replaceChildren(
      top,
      el("p.hint", {}, "Set a point of the ground on the left, then the same one on the right; spread them widely."),
      el(
        "div.pair",
        {},
        el("div.side", {}, left.node),
        el("div.side", {}, right.node),
      ),
      el("div.row", {}, use, report),
      list,
      originFields(index) ?? "",
    );
    changed = refit;
    refit();
  }

  show();
  return {
    node,
    close() {
      draft.removeEventListener("change", onDraft);
      parts.forEach((part) => part.close());
    },
  };
}

function reportOf(fit, count) {
  if (count < LEAST_PAIRS) return `${plural(count, "point")} matched, ${LEAST_PAIRS} are needed.`;
  const out = fit.is_inlier.filter((is) => !is).length;
  const rest = out ? `, ${plural(out, "point")} left out` : "";
  if (count === LEAST_PAIRS) return "Four points fit any picture: match more to see an error.";
  return `Reprojection error ${fit.rms_error_px.toFixed(2)} px (root mean square of ${count - out} points)${rest}.`;
}

/** What the camera's points can be matched with: maps, and other cameras that are calibrated. */
function targetsOf(camera) {
  const shown = draft.maps.filter((entry) => entry.size[0]); // the file may be gone
  const maps = shown.map((entry) => ({
    key: `map ${entry.picture}`,
    text: `map ${entry.picture + 1}`,
    map: entry,
    plane: () => entry.plane,
    facts: () => ({ map: entry }),
  }));
  const others = draft.saved.cameras.flatMap((other, k) =>
    k === camera || !other.ground_from_image
      ? []
      : [
          {
            key: `camera ${k}`,
            text: `camera ${store.cameras[k].id}`,
            camera: k,
            plane: () => other.ground_plane,
            facts: () => ({ camera: k }),
          },
        ],
  );
  return [...maps, ...others];
}

function targetChoice(targets, target, matched, show) {
  if (!target) return null;
  const change = (event) => {
    matched.target = event.target.value;
    matched.pairs = [];
    show();
  };
  const select = el("select", { onchange: change }, targets.map(({ key, text }) => el("option", { value: key }, text)));
  select.value = target.key;
  return el("label", {}, "Matched with", select);
}

function upload(tools, show) {
  const choose = async (event) => {
    const [file] = event.target.files;
    if (!file) return;
    try {
      const { picture, size } = await postFile("/api/place/pictures", file);
      const origin = size.map((side) => side / 2);
      draft.maps.push({ picture, size, plane: "", m_per_px: 0.1, origin_px: origin, rotation_deg: 0 });
      work.set(index, { target: `map ${picture}`, pairs: [] });
      draft.changed();
      show();
    } catch (error) {
      tools.say(error.message, true);
    }
  };
  return el("label", {}, "Add a map ", el("input", { type: "file", accept: "image/png,image/jpeg", onchange: choose }));
}

/** The place of a calibrated camera's ground plane on Earth: trajectories are then written in degrees, too. */
function originFields(camera) {
  const { ground_from_image: calibration, ground_plane: plane } = draft.cameras[camera];
  if (!calibration) return null;
  const found = () => draft.origins.find((origin) => origin.plane === plane);
  const inputs = {};
  const change = () => {
    const texts = Object.values(inputs).map((input) => input.value);
    const others = draft.origins.filter((origin) => origin !== found());
    const values = Object.fromEntries(Object.entries(inputs).map(([key, input]) => [key, Number(input.value)]));
    // Latitude and longitude belong together; without both the plane has no place.
    draft.origins = texts[0] === "" || texts[1] === "" ? others : [...others, { plane, ...values }];
    draft.changed();
  };
  const field = (key, text) => {
    inputs[key] = el("input", { type: "number", step: "any", value: found()?.[key] ?? "", onchange: change });
    return el("label", {}, text, inputs[key]);
  };
  return el(
    "fieldset.scrub",
    {},
    el("legend", {}, `Point (0, 0) of the ground plane ${plane} on Earth`),
    field("latitude_deg", "Latitude, °"),
    field("longitude_deg", "Longitude, °"),
    field("bearing_deg", "Bearing of the second axis, °"),
  );
}

function sourceSide(camera) {
  const still = new Still(camera);
  return {
    node: still.node,
    frame: still.frameNode,
    size: store.cameras[camera].size,
    close: () => still.close(),
  };
}

function targetSide(target, show) {
  if (target.camera !== undefined) return sourceSide(target.camera);
  const { map } = target;
  const image = el("img", { src: `/api/place/pictures/${map.picture}.jpg`, alt: "Picture of the ground from above" });
  const frame = el("div.frame", {}, image);
  frame.style.setProperty("--shape", `${map.size[0]} / ${map.size[1]}`);
  const number = (text, value, set) => {
    const onchange = (event) => change(set, Number(event.target.value));
    return el("label", {}, text, el("input", { type: "number", step: "any", value, onchange }));
  };
  const setPlane = (event) => change((value) => (map.plane = value), event.target.value);
  const change = (set, value) => {
    set(value);
    draft.changed();
  };
  const controls = el(
    "div.scrub",
    {},
    number("Meters per pixel", map.m_per_px, (value) => (map.m_per_px = value)),
    number("Origin x, px", map.origin_px[0], (value) => (map.origin_px = [value, map.origin_px[1]])),
    number("Origin y, px", map.origin_px[1], (value) => (map.origin_px = [map.origin_px[0], value])),
    number("Rotation, °", map.rotation_deg, (value) => (map.rotation_deg = value)),
    el("label", {}, "Ground plane", el("input", { type: "text", value: map.plane, onchange: setPlane })),
    button("Remove the map", "Remove it from scene.yaml", () => {
      draft.maps.splice(draft.maps.indexOf(map), 1);
      draft.changed();
      show();
    }),
  );
  return { node: el("div.still", {}, frame, controls), frame, size: map.size, close: () => {} };
}
