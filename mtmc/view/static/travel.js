// Travel times between cameras, from the vehicles as they are corrected now.

import { store } from "./store.js";

/** Seconds from the end of a passage to the start of the next one in another camera, by "from-to", sorted. */
export function travelTimes() {
  const times = new Map();
  for (const { passages } of store.vehicles.values()) {
    passages.slice(1).forEach((passage, index) => {
      const before = passages[index];
      const seconds = passage.start - before.end;
      if (before.camera === passage.camera || seconds < 0) return;
      const key = `${before.camera}-${passage.camera}`;
      if (!times.has(key)) times.set(key, []);
      times.get(key).push(seconds);
    });
  }
  for (const found of times.values()) found.sort((a, b) => a - b);
  return times;
}

/** How many vehicles two cameras saw at the same time, by "a-b" with a < b. */
export function sharedSightings() {
  const counts = new Map();
  for (const { passages } of store.vehicles.values()) {
    const pairs = new Set();
    for (const a of passages) {
      for (const b of passages) {
        if (a.camera < b.camera && a.start <= b.end && b.start <= a.end) pairs.add(`${a.camera}-${b.camera}`);
      }
    }
    for (const pair of pairs) counts.set(pair, (counts.get(pair) ?? 0) + 1);
  }
  return counts;
}

/** The value below which a share of sorted values lies. */
export function quantile(sorted, share) {
  return sorted[Math.floor(share * (sorted.length - 1))];
}
