// What lies under the pointer. Places are in picture pixels; reach_px says how far from a point still counts, so the
// caller makes it larger for fingers and for a zoomed-out picture.

import { HANDS, PARTS } from "../document/joints.mjs";
import { distance } from "../document/places.mjs";
import { handlePlace, sidesOf } from "../document/queries.mjs";
import { BOXES } from "../document/reading.mjs";

const HANDLES = ["nw", "n", "ne", "e", "se", "s", "sw", "w"];

/** The handles of a box as [name, xy_px]: corners and middles of the sides. */
export function boxHandles(box) {
  return HANDLES.map((name) => [name, handlePlace(box, name)]);
}

/**
 * The nearest thing within reach, or null: a joint of the active person, a point, a ghost (see ghosts.mjs; null: none can
 * be hit), a box with the handle that was hit ("move" on its outline), or {kind: "person", person} for a joint of another
 * person. Joints go before boxes.
 *
 * A ghost: {kind: "ghost", index, part, name, point}; index is 0 for the active person's, 1 for those of others[0], ...
 */
export function hitTest(doc, xy_px, reach_px, ghosts = null) {
  return nearest([...ghostJoints(ghosts), ...joints(doc), ...points(doc)], xy_px, reach_px)
    ?? nearest(handles(doc), xy_px, reach_px)
    ?? nearest(others(doc), xy_px, reach_px)
    ?? outline(doc, xy_px, reach_px);
}

/** The nearest of candidates [target, xy_px] within reach, or null. */
export function nearest(candidates, xy_px, reach_px) {
  let found = null;
  let best = reach_px;
  for (const [target, place] of candidates) {
    const away = distance(place, xy_px);
    if (away <= best) [found, best] = [target, away];
  }
  return found;
}

function joints(doc) {
  const person = doc.people[doc.active];
  return ["joints", ...HANDS].flatMap((part) => PARTS[part]
    .filter((name) => person[part][name])
    .map((name) => [{ kind: "joint", part, name }, [person[part][name].x, person[part][name].y]]));
}

function ghostJoints(ghosts) {
  const people = ghosts ? [ghosts.person, ...ghosts.others] : [];
  return people.flatMap((person, index) => Object.keys(PARTS).flatMap((part) => Object.entries(person[part])
    .map(([name, point]) => [{ kind: "ghost", index, part, name, point }, [point.x, point.y]])));
}

function points(doc) {
  return ["positive", "negative"].flatMap((kind) => doc[kind].map((place, index) => [{ kind, index }, place]));
}

function handles(doc) {
  return BOXES.filter((box) => doc[box]).flatMap((box) =>
    boxHandles(doc[box]).map(([handle, place]) => [{ kind: "box", box, handle }, place]));
}

/** The joints of the people who are not active, as targets. */
export function others(doc) {
  return doc.people.flatMap((someone, person) => (person === doc.active ? [] : Object.values(someone.joints))
    .filter(Boolean).map((joint) => [{ kind: "person", person }, [joint.x, joint.y]]));
}

function outline(doc, [x, y], reach_px) {
  const box = BOXES.find((key) => {
    if (!doc[key]) return false;
    const [x0, y0, x1, y1] = doc[key];
    const across = x >= x0 - reach_px && x <= x1 + reach_px;
    const along = y >= y0 - reach_px && y <= y1 + reach_px;
    const near = Math.min(Math.abs(x - x0), Math.abs(x - x1)) <= reach_px || Math.min(Math.abs(y - y0), Math.abs(y - y1)) <= reach_px;
    return across && along && near;
  });
  return box ? { kind: "box", box, handle: "move" } : null;
}

/** Whether two targets are the same thing, whatever part of it was hit. */
export function sameTarget(one, other) {
  if (!one || !other || one.kind !== other.kind) return one === other;
  return one.part === other.part && one.name === other.name && one.index === other.index && one.box === other.box;
}

/** Whether two targets are the same part of the same thing. */
export function sameStop(one, other) {
  return sameTarget(one, other) && (one?.kind !== "box" || sidesOf(one) === sidesOf(other));
}
