// What the node handed the page when it ran, by its tab and name: the page's undo makes nodes anew, and a node whose result
// the server remembers is not told again. It holds as long as what is connected stays the same, and a picture also when the
// page is loaded again: the server keeps its files until it ends.

import { shownEntry } from "./source.mjs";
import { ByTab } from "./tabs.mjs";

// See nodes/people.py.
const POSES = "figura_poses";
const PICTURE = "figura_picture";

const KEPT = "figura.arrived";
const MOST = 20;

const poses = new ByTab();
const pictures = new ByTab();
// Of tabs, only their paths are the same when the page is loaded again.
const before = read();
const stored = new Map(before);

function read() {
  try {
    return new Map(JSON.parse(globalThis.sessionStorage?.getItem(KEPT) ?? "[]"));
  } catch {
    return new Map();
  }
}

function store(place, kept) {
  stored.delete(place);
  stored.set(place, kept);
  try {
    globalThis.sessionStorage?.setItem(KEPT, JSON.stringify([...stored].slice(-MOST)));
  } catch {
    // A page without room for it shows the picture after the next run.
  }
}

function placeOf(tab, name) {
  return `${tab.path ?? ""} ${name}`;
}

/** Keep what a run gave a node. keys: what tells the picture and the pose that came in from others. */
export function keepArrived(tab, name, output, { picture, pose }) {
  if (Array.isArray(output?.[POSES])) poses.set(tab, name, { value: output[POSES][0]?.[0] ?? null, key: pose });
  const entry = shownEntry(output?.[PICTURE]?.[0]);
  if (!entry) return;
  const kept = { value: entry, key: picture };
  pictures.set(tab, name, kept);
  store(placeOf(tab, name), kept);
}

/** The pose that came in, or null when it belongs to something else. */
export function arrivedPose(tab, name, key) {
  return valueFor(key, poses.get(tab, name));
}

/** The source of the picture that came in, or null when it belongs to something else. */
export function arrivedPicture(tab, name, key) {
  return valueFor(key, pictures.get(tab, name) ?? before.get(placeOf(tab, name)));
}

/** The pose that came in was that of another picture. */
export function forgetPose(tab, name) {
  poses.set(tab, name, null);
}

/** The picture that came in is gone: a server that starts again empties its folder of temporary files. */
export function forgetPicture(tab, name) {
  pictures.set(tab, name, null);
  before.delete(placeOf(tab, name));
  stored.delete(placeOf(tab, name));
}

function valueFor(key, kept) {
  return kept && key !== null && kept.key === key ? kept.value : null;
}
