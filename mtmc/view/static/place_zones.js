// Zones and regions of interest, drawn as polygons on a camera's picture.

import { el } from "./dom.js";
import { draft } from "./draft.js";
import { button } from "./parts.js";
import { cameraChoice, markColor, Still } from "./place_parts.js";
import { Sketch } from "./sketch.js";
import { store } from "./store.js";

const ROLES = { both: "in and out", in: "in", out: "out" };
let index = 0; // of the camera

export const zonesTab = () => polygonsTab(zoneList);
export const regionTab = () => polygonsTab(regionList);

/** A tab in which polygons are drawn; `listOf(camera, redraw)` says which, and shows them as a list. */
function polygonsTab(listOf) {
  const node = el("div");
  let still = null;
  let sketch = null;

  function show() {
    still?.close();
    sketch?.close();
    const list = listOf(draft.cameras[index], () => refresh());
    let open = null; // corners of the polygon that is being drawn
    let chosen = null;
    const instructions = el("p.hint", { role: "status" });

    const shapes = () => [
      ...list.polygons().map((shape) => ({ ...shape, isChosen: shape.polygon === chosen })),
      ...(open ? [{ points: open, color: "#ffffff", isOpen: true }] : []),
    ];
    const finish = () => {
      if (!open || open.length < 3) return;
      chosen = list.add(open);
      open = null;
      refresh();
    };
    const cancel = () => {
      open = null;
      refresh();
    };
    const takeBack = () => {
      open?.pop();
      refresh();
    };
    const begin = () => {
      open = [];
      refresh();
      sketch.canvas.focus();
    };

    still = new Still(index);
    sketch = new Sketch(still.frameNode, store.cameras[index].size, {
      name: `Camera ${store.cameras[index].id}`,
      shapes,
      onPress: (point, corner) => {
        if (!open) chosen = corner?.shape.polygon ?? null;
        else if (corner?.shape.points === open && corner.index === 0 && open.length >= 3) finish();
        else open.push(point);
        refresh();
      },
      onDrag: ({ shape, index: k }, point) => {
        shape.points[k] = point;
        if (shape.points !== open) draft.changed();
      },
      onKey: (key) => {
        const action = { Escape: cancel, Backspace: takeBack }[key];
        if (open && action) action();
        return Boolean(open && action);
      },
    });

    const draw = button(list.title, "Set its corners on the picture", begin);
    const done = button("Finish", "Join the last corner with the first (enter on the first corner)", finish);
    const back = button("Take back", "Remove the last corner (backspace)", takeBack);
    const stop = button("Cancel", "Draw nothing (escape)", cancel);
    const rows = el("div.shapes");

    function refresh() {
      draw.hidden = Boolean(open);
      for (const tool of [done, back, stop]) tool.hidden = !open;
      done.disabled = !open || open.length < 3;
      instructions.textContent = open
        ? "Set corners with clicks, or with arrow keys and enter; finish on the first corner."
        : "Drag a corner to move it.";
      rows.replaceChildren(...list.rows());
      sketch?.draw();
    }
    const change = (camera) => {
      index = camera;
      show();
    };
    node.replaceChildren(
      el("div.row", {}, cameraChoice("Camera", index, change), draw, done, back, stop, list.more ?? null),
      el("div.drawing", {}, el("div", {}, still.node, instructions), rows),
    );
    refresh();
  }

  show();
  return {
    node,
    close() {
      still?.close();
      sketch?.close();
    },
  };
}

function zoneList(camera, refresh) {
  const { id } = store.cameras[index];
  const endsAt = (zone) => (end) => end[0] === id && end[1] === zone.name;
  const linksOf = (zone) => draft.links.filter((link) => [link.from, link.to].some(endsAt(zone)));
  const rename = (zone, name) => {
    for (const end of linksOf(zone).flatMap((link) => [link.from, link.to]).filter(endsAt(zone))) end[1] = name;
    zone.name = name;
    draft.changed();
    refresh();
  };
  const remove = (zone) => {
    const gone = linksOf(zone);
    camera.zones.splice(camera.zones.indexOf(zone), 1);
    draft.links = draft.links.filter((link) => !gone.includes(link));
    draft.changed();
    refresh();
  };
  const take = () => {
    camera.zones = structuredClone(camera.learned_zones);
    draft.changed();
    refresh();
  };
  const row = (zone, k) =>
    el(
      "fieldset.shape",
      {},
      el("legend", {}, el("span.swatch", { style: { background: markColor(k) } }), `Zone ${k + 1}`),
      el(
        "label",
        {},
        "Name",
        el("input", { type: "text", value: zone.name, onchange: (event) => rename(zone, event.target.value) }),
      ),
      el("label", {}, "Vehicles go", roleChoice(zone)),
      button("Remove", `Remove zone ${zone.name}${linksOf(zone).length ? " and its links" : ""}`, () => remove(zone)),
    );
  return {
    title: "Draw a zone",
    polygons: () =>
      camera.zones.map((zone, k) => ({ polygon: zone, points: zone.polygon, color: markColor(k), label: zone.name })),
    add(points) {
      const names = new Set(camera.zones.map((zone) => zone.name));
      let number = camera.zones.length + 1;
      while (names.has(`zone ${number}`)) number += 1;
      const zone = { name: `zone ${number}`, role: "both", polygon: points };
      camera.zones.push(zone);
      draft.changed();
      return zone;
    },
    rows: () =>
      camera.zones.length ? camera.zones.map(row) : [el("p.hint", {}, "scene.yaml has no zone of this camera.")],
    more:
      !camera.zones.length && camera.learned_zones.length
        ? button("Take the learned zones", "Begin with the zones that the run has learned", take)
        : null,
  };
}

function roleChoice(zone) {
  const options = Object.entries(ROLES).map(([value, text]) => el("option", { value }, text));
  const onchange = (event) => {
    zone.role = event.target.value;
    draft.changed();
  };
  const select = el("select", { onchange }, options);
  select.value = zone.role;
  return select;
}

function regionList(camera, refresh) {
  const remove = (polygon) => {
    camera.roi.splice(camera.roi.indexOf(polygon), 1);
    draft.changed();
    refresh();
  };
  return {
    title: "Draw a part",
    polygons: () =>
      camera.roi.map((points, k) => ({
        polygon: points,
        points,
        color: markColor(k),
        label: `${k + 1}`,
        isFaint: true,
      })),
    add(points) {
      camera.roi.push(points);
      draft.changed();
      return points;
    },
    rows: () =>
      camera.roi.length
        ? camera.roi.map((polygon, k) =>
            el(
              "div.shape",
              {},
              el("span.swatch", { style: { background: markColor(k) } }),
              `Part ${k + 1}`,
              button("Remove", `Remove part ${k + 1}`, () => remove(polygon)),
            ),
          )
        : [el("p.hint", {}, "The whole picture counts.")],
  };
}
