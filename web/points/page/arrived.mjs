// What the node handed the page when it ran, by the node's name: the page's undo makes nodes anew, and a node whose result
// the server remembers is not told again. It holds as long as what is connected stays the same, also when the page is loaded
// again: the server keeps its files until it ends.

import { shownEntry } from "./source.mjs";

// See nodes/people.py.
const POSES = "figura_poses";
const PICTURE = "figura_picture";

const KEPT = "figura.arrived";
const MOST = 20;

const poses = new Map();
const pictures = read();

function read() {
  try {
    return new Map(JSON.parse(globalThis.sessionStorage?.getItem(KEPT) ?? "[]"));
  } catch {
    return new Map();
  }
}

function write() {
  try {
    globalThis.sessionStorage?.setItem(KEPT, JSON.stringify([...pictures].slice(-MOST)));
  } catch {
    // A page without room for it shows the picture after the next run.
  }
}

/** Keep what a run gave. keys: what tells the picture and the pose that came in from others. */
export function keepArrived(name, output, { picture, pose }) {
  if (Array.isArray(output?.[POSES])) poses.set(name, { value: output[POSES][0]?.[0] ?? null, key: pose });
  const entry = shownEntry(output?.[PICTURE]?.[0]);
  if (!entry) return;
  pictures.delete(name);
  pictures.set(name, { value: entry, key: picture });
  write();
}

/** The pose that came in, or null when it belongs to something else. */
export function arrivedPose(name, key) {
  return of(poses, name, key);
}

/** The source of the picture that came in, or null when it belongs to something else. */
export function arrivedPicture(name, key) {
  return of(pictures, name, key);
}

function of(kept, name, key) {
  const found = kept.get(name);
  return found && key !== null && found.key === key ? found.value : null;
}
