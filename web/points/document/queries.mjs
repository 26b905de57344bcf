// Questions to a document (see reading.mjs).
//
// A target names one thing that can be selected: {kind: "joint", part, name} of the active person,
// {kind: "positive" | "negative", index}, or {kind: "box", box: "roi_box" | "full_box", handle}; handle: which corner or side
// of it is held ("nw", "e", ...), or "move", or nothing, for the whole.

import { BOXES, emptyPerson, POINTS } from "./reading.mjs";
import { reachOf } from "./hints.mjs";
import { HANDS, PARTS } from "./joints.mjs";
import { boxRound, widened } from "./places.mjs";

const ORDER = ["joints", ...HANDS].flatMap((part) => PARTS[part].map((name) => `${part}.${name}`));

/** The active person. */
export function activePerson(doc) {
  return doc.people[doc.active];
}

/** A joint of the active person: a point, null when it was taken away, undefined when it is missing. */
export function jointOf(doc, part, name) {
  return activePerson(doc)[part][name];
}

/** The joints of the active person that have a place, as {part, name, point}, in the order of their steps. */
export function placedJoints(doc) {
  const person = activePerson(doc);
  return ["joints", ...HANDS].flatMap((part) =>
    PARTS[part].filter((name) => person[part][name]).map((name) => ({ part, name, point: person[part][name] })));
}

/** Where a target lies, xy_px (of a box the handle, or its centre), or null when it is not there. */
export function placeOf(doc, target) {
  if (!target) return null;
  if (target.kind === "joint") {
    const joint = jointOf(doc, target.part, target.name);
    return joint ? [joint.x, joint.y] : null;
  }
  if (target.kind === "box") {
    const box = doc[target.box];
    return box && handlePlace(box, sidesOf(target));
  }
  return doc[target.kind][target.index] ?? null;
}

/** The sides of a box that a target holds, such as "nw"; "" when it holds the whole. */
export function sidesOf({ handle = "move" }) {
  return handle === "move" ? "" : handle;
}

/** Where the named sides of a box meet, xy_px: "nw" is its upper left corner, "e" the middle of its right side. */
export function handlePlace([x0, y0, x1, y1], sides) {
  const between = (low, high, isLow, isHigh) => (isLow ? low : isHigh ? high : (low + high) / 2);
  return [
    between(x0, x1, sides.includes("w"), sides.includes("e")), between(y0, y1, sides.includes("n"), sides.includes("s")),
  ];
}

// Two opposite corners set every side.
const BOX_STOPS = ["move", "nw", "se"];

/** What steps go through of a box: the whole, its upper left corner, its lower right one. */
export function boxStops(box) {
  return BOX_STOPS.map((handle) => ({ kind: "box", box, handle }));
}

/** Everything that can be selected, in the order of their steps. */
export function targetsOf(doc) {
  const joints = placedJoints(doc).map(({ part, name }) => ({ kind: "joint", part, name }));
  const points = POINTS.flatMap((kind) => doc[kind].map((_, index) => ({ kind, index })));
  return [...joints, ...points, ...BOXES.filter((box) => doc[box]).flatMap(boxStops)];
}

/**
 * Missing joints of the active person as {part, name}: the body's, and those of hands that were begun. A joint that
 * `known`, parts of names, has from elsewhere is not missing.
 */
export function missingJoints(doc, known = emptyPerson()) {
  const person = activePerson(doc);
  const parts = ["joints", ...HANDS.filter((hand) => hasHand(doc, hand))];
  const isMissing = (part, name) => !person[part][name] && !known[part][name];
  return parts.flatMap((part) => PARTS[part].filter((name) => isMissing(part, name)).map((name) => ({ part, name })));
}

/** The first missing joint after {part, name}, from the start when there is none after it; undefined: none at all. */
export function missingAfter(doc, joint, known = emptyPerson()) {
  const rank = ({ part, name }) => ORDER.indexOf(`${part}.${name}`);
  const missing = missingJoints(doc, known);
  return (joint && missing.find((other) => rank(other) > rank(joint))) ?? missing[0];
}

/** Whether the active person's hand was begun. */
export function hasHand(doc, hand) {
  return Object.keys(activePerson(doc)[hand]).length > 0;
}

/**
 * A likely place xy_px of a missing joint: a limb's length from a neighbour, or the middle of a picture of that size.
 * body: the joints that are known.
 */
export function suggestedPlace(body, part, name, size) {
  const [near] = part === "joints" ? reachOf(body, name) : [];
  if (!near) return size.map((side) => side / 2);
  const upwards = name === "nose" || name.endsWith("_eye") || name.endsWith("_ear") ? -1 : 1;
  return [near.x, near.y + upwards * near.radius];
}

/**
 * The box round the active person's joints and the boxes; or null. It has some room, but none outside of a picture of that
 * size. more: further joints of the person, as [{point}].
 */
export function personBox(doc, size, more = []) {
  const places = [...placedJoints(doc), ...more].map(({ point }) => [point.x, point.y])
    .concat(BOXES.filter((box) => doc[box]).flatMap((box) => [doc[box].slice(0, 2), doc[box].slice(2)]));
  if (places.length < 2) return null;
  const box = boxRound(places);
  return widened(box, 0.25 * Math.max(box[2] - box[0], box[3] - box[1]), [0, 0, ...size]);
}

/** The least size [width, height] px, not below `least`, that holds everything the document says. */
export function extentOf(doc, least) {
  const joints = doc.people.flatMap((person) => Object.keys(PARTS).flatMap((part) => Object.values(person[part])));
  const boxes = BOXES.map((box) => doc[box]).filter(Boolean);
  const places = [
    ...joints.filter(Boolean).map(({ x, y }) => [x, y]), ...POINTS.flatMap((kind) => doc[kind]),
    ...boxes.map((box) => box.slice(2)),
  ];
  return [0, 1].map((axis) => places.reduce((most, place) => Math.max(most, Math.ceil(place[axis])), least[axis]));
}
