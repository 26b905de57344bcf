// Edits of a document (see reading.mjs). Each gives a new document and leaves the old one as it was.
// Targets are those of queries.mjs.

import { JOINT_ROOM, MAX_POINTS, orderedBox } from "./reading.mjs";
import { PARTS, wristOf } from "./joints.mjs";
import { activePerson, jointOf, placeOf, sidesOf } from "./queries.mjs";
import { boxRoundBoth } from "./places.mjs";

const DECIMALS = 10;
export const SMALLEST_BOX_PX = 1;

/** A coordinate as it is written: tenths of a pixel. */
export function rounded(value) {
  return Math.round(value * DECIMALS) / DECIMALS;
}

/** The nearest point xy_px inside the document's picture. */
export function inside(doc, xy_px) {
  return insideBox(pictureOf(doc), xy_px);
}

/** The box of the document's picture; a side that is not known has no end. */
export function pictureOf(doc) {
  return [0, 0, doc.width ?? Infinity, doc.height ?? Infinity];
}

function insideBox([x0, y0, x1, y1], [x, y]) {
  return [rounded(clamp(x, x0, x1)), rounded(clamp(y, y0, y1))];
}

/** Whether the node takes a joint at xy_px of a picture of that size [width, height] px: inside, or not far outside. */
export function isNear(size, xy_px) {
  return xy_px.every((value, axis) => Math.abs(value / size[axis] - 0.5) <= 0.5 + JOINT_ROOM);
}

/** The nearest point xy_px at which the node takes a joint. */
export function nearby([width, height], xy_px) {
  const [x, y] = [JOINT_ROOM * width, JOINT_ROOM * height];
  return insideBox([-x, -y, width + x, height + y], xy_px);
}

function clamp(value, low, high) {
  return Math.min(Math.max(value, low), high);
}

/**
 * Put a joint of the active person at xy_px, or as near to it as the picture reaches; keeps its other fields. state:
 * undefined keeps the old one, or "given".
 */
export function placeJoint(doc, part, name, xy_px, state) {
  return setJoint(doc, part, name, inside(doc, xy_px), state);
}

/** Put a joint of the active person at xy_px, also outside of the picture. */
export function setJoint(doc, part, name, xy_px, state) {
  const [x, y] = xy_px.map(rounded);
  const old = jointOf(doc, part, name);
  return withJoint(doc, part, name, { ...old, x, y, state: state ?? old?.state ?? "given" });
}

/**
 * Move a joint by hand. A proposed joint becomes a given one: it is no longer what was proposed. A detected one stays
 * detected and is marked as moved, so that the next import leaves it where it is. One that lies outside of the picture
 * may stay there, but goes no further.
 */
export function moveJoint(doc, part, name, xy_px) {
  const { x, y, state } = jointOf(doc, part, name);
  const place = insideBox(boxRoundBoth(pictureOf(doc), [x, y, x, y]), xy_px);
  const moved = setJoint(doc, part, name, place, state === "proposed" ? "given" : undefined);
  return state === "detected" ? withJoint(moved, part, name, { ...jointOf(moved, part, name), moved: true }) : moved;
}

/** Mark a joint as one of STATES. */
export function setJointState(doc, part, name, state) {
  const old = jointOf(doc, part, name);
  return old ? withJoint(doc, part, name, { ...old, state }) : doc;
}

/** Take a joint away. A detected one leaves null behind, so that a connected pose does not bring it back. */
export function removeJoint(doc, part, name) {
  const old = jointOf(doc, part, name);
  if (old?.state === "detected") return banJoint(doc, part, name);
  return withPerson(doc, { ...activePerson(doc), [part]: leaveOut(activePerson(doc)[part], name) });
}

/** Take a joint away for good: null stands for it, so that a connected pose does not bring it back. */
export function banJoint(doc, part, name) {
  return withJoint(doc, part, name, null);
}

function withJoint(doc, part, name, point) {
  const person = activePerson(doc);
  return withPerson(doc, { ...person, [part]: { ...person[part], [name]: point } });
}

/** The document with another active person. */
export function withPerson(doc, person) {
  return { ...doc, people: doc.people.map((old, index) => (index === doc.active ? person : old)) };
}

function leaveOut(object, key) {
  return Object.fromEntries(Object.entries(object).filter(([other]) => other !== key));
}

/** Take all joints of a hand away. */
export function removeHand(doc, hand) {
  return withPerson(doc, { ...activePerson(doc), [hand]: {} });
}

/**
 * Give the active person an open hand of a likely size at its wrist, pointing on from the forearm. It may lie outside of
 * the picture; of its joints, those that the node would not take are left out.
 */
export function addHand(doc, hand) {
  const { joints } = activePerson(doc);
  const wrist = joints[wristOf(hand)] ?? { x: (doc.width ?? 512) / 2, y: (doc.height ?? 512) / 2 };
  const elbow = joints[wristOf(hand).replace("wrist", "elbow")] ?? { x: wrist.x, y: wrist.y - (doc.height ?? 512) / 8 };
  const [dx, dy] = [wrist.x - elbow.x, wrist.y - elbow.y];
  const mirror = hand === "left_hand" ? 1 : -1;
  const places = PARTS[hand].map((name) => {
    const [along, aside] = openHand(name);
    return [name, [wrist.x + along * dx - mirror * aside * dy, wrist.y + along * dy + mirror * aside * dx].map(rounded)];
  });
  const points = places.filter(([, place]) => isNear(pictureOf(doc).slice(2), place))
    .map(([name, [x, y]]) => [name, { x, y, state: "given" }]);
  return withPerson(doc, { ...activePerson(doc), [hand]: Object.fromEntries(points) });
}

const FINGER_SPREAD = { thumb: 0.3, index: 0.16, middle: 0.04, ring: -0.08, little: -0.2 };
const FINGER_REACH = { thumb: 0.42, index: 0.66, middle: 0.7, ring: 0.65, little: 0.55 };

/** Where a hand's joint lies: along and aside of the forearm, in forearm lengths. */
function openHand(name) {
  if (name === "wrist") return [0, 0];
  const [finger, number] = name.split("_");
  const share = 0.4 + 0.2 * (Number(number) - 1);
  return [FINGER_REACH[finger] * share, FINGER_SPREAD[finger] * share];
}

/** Set a box from two opposite corners xy_px; one without area takes the box away. */
export function setBox(doc, key, from_px, to_px) {
  const box = orderedBox([...inside(doc, from_px), ...inside(doc, to_px)]);
  const small = box[2] - box[0] < SMALLEST_BOX_PX || box[3] - box[1] < SMALLEST_BOX_PX;
  return { ...doc, [key]: small ? null : box };
}

/** Move a box by (dx, dy) px; it stays inside the picture. */
export function moveBox(doc, key, [dx, dy]) {
  const [x0, y0, x1, y1] = doc[key];
  const x = clamp(dx, -x0, Math.max((doc.width ?? Infinity) - x1, -x0));
  const y = clamp(dy, -y0, Math.max((doc.height ?? Infinity) - y1, -y0));
  return { ...doc, [key]: [x0 + x, y0 + y, x1 + x, y1 + y].map(rounded) };
}

/** Move the sides of a box that a handle ("n", "se", ...) holds to xy_px; sides may pass each other. */
export function resizeBox(doc, key, handle, xy_px) {
  const [x, y] = inside(doc, xy_px);
  const [x0, y0, x1, y1] = doc[key];
  const left = handle.includes("w") ? x : x0;
  const right = handle.includes("e") ? x : x1;
  const top = handle.includes("n") ? y : y0;
  const bottom = handle.includes("s") ? y : y1;
  const box = orderedBox([left, top, right, bottom]);
  return box[2] - box[0] < SMALLEST_BOX_PX || box[3] - box[1] < SMALLEST_BOX_PX ? doc : { ...doc, [key]: box };
}

/** Add a positive or negative point; nothing happens when there are too many. */
export function addPoint(doc, key, xy_px) {
  return doc[key].length >= MAX_POINTS ? doc : { ...doc, [key]: [...doc[key], inside(doc, xy_px)] };
}

/** A point as one of the other kind, and which one it is then: {doc, target}; null when there are too many of them. */
export function switchPoint(doc, { kind, index }) {
  const other = kind === "positive" ? "negative" : "positive";
  if (doc[other].length >= MAX_POINTS) return null;
  const left = removeTarget(doc, { kind, index });
  return { doc: { ...left, [other]: [...doc[other], doc[kind][index]] }, target: { kind: other, index: doc[other].length } };
}

/** Move what is selected by px. The held sides of a box do not pass the others: one goes on with the same ones. */
export function nudgeTarget(doc, target, [dx, dy]) {
  const [x, y] = placeOf(doc, target);
  if (target.kind !== "box" || !sidesOf(target)) return moveTarget(doc, target, [x + dx, y + dy]);
  const [x0, y0, x1, y1] = doc[target.box];
  const limit = (value, low, high, sides) => {
    if (target.handle.includes(sides[0])) return Math.min(value, high - SMALLEST_BOX_PX);
    return target.handle.includes(sides[1]) ? Math.max(value, low + SMALLEST_BOX_PX) : value;
  };
  return moveTarget(doc, target, [limit(x + dx, x0, x1, "we"), limit(y + dy, y0, y1, "ns")]);
}

/** Move a target to xy_px (of a box the held sides, or its centre). */
export function moveTarget(doc, target, xy_px) {
  if (target.kind === "joint") return moveJoint(doc, target.part, target.name, xy_px);
  if (target.kind === "box" && sidesOf(target)) return resizeBox(doc, target.box, target.handle, xy_px);
  if (target.kind === "box") {
    const [x, y] = placeOf(doc, target);
    return moveBox(doc, target.box, [xy_px[0] - x, xy_px[1] - y]);
  }
  const points = doc[target.kind].map((point, index) => (index === target.index ? inside(doc, xy_px) : point));
  return { ...doc, [target.kind]: points };
}

/** Take a target away. */
export function removeTarget(doc, target) {
  if (target.kind === "joint") return removeJoint(doc, target.part, target.name);
  if (target.kind === "box") return { ...doc, [target.box]: null };
  return { ...doc, [target.kind]: doc[target.kind].filter((_, index) => index !== target.index) };
}
