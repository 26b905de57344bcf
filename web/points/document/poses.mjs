// A small library of poses. Each is a body in a field of 100 x 100, seen from the front unless its name says otherwise.

import { isNear, removeJoint, rounded, setJoint } from "./edits.mjs";
import { BODY_18 } from "./joints.mjs";
import { boxRound } from "./places.mjs";
import { activePerson, jointOf } from "./queries.mjs";
import { insideMap } from "./transform.mjs";

// In the order of BODY_18, as "x,y".
const BODIES = {
  standing: "50,11 50,20 43,21 40,34 38,46 57,21 60,34 62,46 45,48 44,70 44,92 55,48 56,70 56,92 48.5,9 51.5,9 46.5,10 53.5,10",
  walking: "51,11 50,20 44,21 38,33 43,44 56,21 62,33 68,43 46,48 38,68 28,88 54,48 60,69 62,91 50,9 53,9 47,10 54,10",
  running: "56,13 53,22 47,23 36,31 44,41 59,23 66,35 76,27 46,49 62,60 58,82 53,49 38,64 20,68 55,11 58,11 52,12 59,12",
  arms_up: "50,20 50,29 43,30 38,17 41,4 57,30 62,17 59,4 45,56 44,76 44,96 55,56 56,76 56,96 48.5,18 51.5,18 46.5,19 53.5,19",
  arms_out: "50,11 50,20 43,21 30,22 17,22 57,21 70,22 83,22 45,48 44,70 44,92 55,48 56,70 56,92 48.5,9 51.5,9 46.5,10 53.5,10",
  hands_on_hips: "50,11 50,20 43,21 32,33 42,44 57,21 68,33 58,44 45,48 42,70 41,92 55,48 58,70 59,92 48.5,9 51.5,9 46.5,10 53.5,10",
  sitting: "50,16 50,26 43,27 39,40 43,51 57,27 61,40 57,51 44,55 38,61 38,84 56,55 62,61 62,84 48.5,14 51.5,14 46.5,15 53.5,15",
  sitting_sideways: "42,15 38,25 36,26 40,40 52,46 40,26 44,40 56,46 36,54 58,56 60,80 39,55 61,57 63,81 42.5,13 44,13 38,14 40,14",
  kneeling: "50,18 50,28 43,29 40,42 44,53 57,29 60,42 56,53 45,57 43,79 41,88 55,57 57,79 59,88 48.5,16 51.5,16 46.5,17 53.5,17",
  lying: "10,52 20,50 21,44 34,41 46,43 21,56 34,60 46,58 49,46 71,45 92,45 49,54 71,55 92,55 8,50.5 8,53.5 9,47.5 9,56",
};

export const POSES = Object.freeze(Object.keys(BODIES));
const LIBRARY = Object.fromEntries(Object.entries(BODIES).map(([name, text]) => {
  const places = text.split(" ").map((pair) => pair.split(",").map(Number));
  return [name, Object.fromEntries(BODY_18.map((joint, index) => [joint, places[index]]))];
}));
const SHARE_OF_PICTURE = 0.8;
const FEWEST_SHARED = 2;

/** The places of a pose's joints in its field of 100 x 100, by name. */
export function poseNamed(name) {
  return LIBRARY[name];
}

/**
 * The document with the active person in a pose. Joints that are seen in the picture stay, and the pose is laid over them,
 * however far that reaches outside; without them it fills the full box, or most of the picture of that size.
 */
export function applyPose(doc, name, size) {
  const pose = LIBRARY[name];
  const { joints } = activePerson(doc);
  const seen = BODY_18.filter((joint) => joints[joint]?.state === "detected");
  const map = seen.length >= FEWEST_SHARED
    ? similarity(seen.map((joint) => pose[joint]), seen.map((joint) => [joints[joint].x, joints[joint].y]))
    : fitting(boxRound(Object.values(pose)), doc.full_box, size);
  const rest = BODY_18.filter((joint) => !seen.includes(joint));
  const places = Object.fromEntries(rest.map((joint) => [joint, map(pose[joint])]));
  const back = seen.length > 0 ? (place) => place : insideMap(boxRound(Object.values(places)), size);
  return rest.reduce((done, joint) => withGiven(done, joint, back(places[joint]).map(rounded), size), doc);
}

/** The document with a joint at xy_px, or without it where the node would not take it there. */
function withGiven(doc, joint, xy_px, size) {
  if (isNear(size, xy_px)) return setJoint(doc, "joints", joint, xy_px, "given");
  return jointOf(doc, "joints", joint) ? removeJoint(doc, "joints", joint) : doc;
}

/** The scaling and shift that lays points over others, in the mean; bodies stay upright, so nothing is turned. */
function similarity(from, to) {
  const [a, b] = [from, to].map(mean);
  const spread = (points, middle) => Math.sqrt(points.reduce((sum, [x, y]) => sum + (x - middle[0]) ** 2 + (y - middle[1]) ** 2, 0));
  const scale = spread(to, b) / Math.max(spread(from, a), 1e-9);
  return ([x, y]) => [b[0] + (x - a[0]) * scale, b[1] + (y - a[1]) * scale];
}

function mean(points) {
  return [0, 1].map((axis) => points.reduce((sum, point) => sum + point[axis], 0) / points.length);
}

function fitting([x0, y0, x1, y1], box, [width, height]) {
  const margin = (1 - SHARE_OF_PICTURE) / 2;
  const [left, top, right, bottom] = box ?? [width * margin, height * margin, width * (1 - margin), height * (1 - margin)];
  const scale = Math.min((right - left) / (x1 - x0), (bottom - top) / (y1 - y0));
  const [shiftX, shiftY] = [(left + right - (x0 + x1) * scale) / 2, (top + bottom - (y0 + y1) * scale) / 2];
  return ([x, y]) => [x * scale + shiftX, y * scale + shiftY];
}
