// The whole skeleton of the active person moved, scaled, turned and mirrored. It stays what it is: where a part would
// leave the picture, or lie further outside than any did, the whole is moved back, and made smaller if it must.

import { pictureOf, rounded, withPerson } from "./edits.mjs";
import { PARTS } from "./joints.mjs";
import { boxRound, boxRoundBoth } from "./places.mjs";
import { activePerson, placedJoints } from "./queries.mjs";
import { mapJoints } from "./sizes.mjs";

const LEAST_SIDE_PX = 8;

/** The box [x0, y0, x1, y1] px round the joints of the active person, or null when it has less than two. */
export function skeletonBox(doc) {
  const places = placedJoints(doc).map(({ point }) => [point.x, point.y]);
  return places.length < 2 ? null : boxRound(places);
}

/** All joints of the active person moved by (dx, dy) px. */
export function movePerson(doc, [dx, dy]) {
  return mapPerson(doc, ([x, y]) => [x + dx, y + dy]);
}

/** All joints of the active person nearer to a place, or further from it. */
export function scalePerson(doc, factor, [cx, cy]) {
  const box = skeletonBox(doc);
  const longest = box && Math.max(box[2] - box[0], box[3] - box[1]);
  const by = longest ? Math.max(factor, LEAST_SIDE_PX / longest) : factor;
  return mapPerson(doc, ([x, y]) => [cx + (x - cx) * by, cy + (y - cy) * by]);
}

/** All joints of the active person turned about a place, clockwise by radians. */
export function rotatePerson(doc, angle, [cx, cy]) {
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  return mapPerson(doc, ([x, y]) => [cx + (x - cx) * cos - (y - cy) * sin, cy + (x - cx) * sin + (y - cy) * cos]);
}

/** The active person seen in a mirror: right joints become left ones, so that it stays a body. */
export function mirrorPerson(doc) {
  const box = skeletonBox(doc);
  if (!box) return doc;
  const person = mapJoints(activePerson(doc), ([x, y]) => [rounded(box[0] + box[2] - x), y]);
  const joints = Object.fromEntries(Object.entries(person.joints).map(([name, joint]) => [otherSide(name), joint]));
  return withPerson(doc, { ...person, joints, left_hand: person.right_hand, right_hand: person.left_hand });
}

/** "left_knee" for "right_knee", and the other way round. */
export function otherSide(name) {
  if (name.startsWith("left_")) return name.replace("left_", "right_");
  return name.replace("right_", "left_");
}

function mapPerson(doc, map) {
  const person = mapJoints(activePerson(doc), map);
  const [before, after] = [activePerson(doc), person].map(jointPlaces);
  if (after.length === 0) return doc;
  const back = mapInto(boxRound(after), boxRoundBoth(pictureOf(doc), boxRound(before)));
  return withPerson(doc, mapJoints(person, (place) => back(place).map(rounded)));
}

/** Where a person's joints are. */
export function jointPlaces(person) {
  return Object.keys(PARTS).flatMap((part) => Object.values(person[part])).filter(Boolean).map(({ x, y }) => [x, y]);
}

/** The map that brings a box into a picture of that size. */
export function insideMap(box, size) {
  return mapInto(box, [0, 0, ...size]);
}

/** The map that brings a box into a larger one: moved, and made smaller only if it must. */
function mapInto([x0, y0, x1, y1], [left, top, right, bottom]) {
  const scale = Math.min(1, (right - left) / Math.max(x1 - x0, 1e-9), (bottom - top) / Math.max(y1 - y0, 1e-9));
  const shift = [[x0, x1, left, right], [y0, y1, top, bottom]].map(([low, high, least, most]) => {
    const middle = (low + high) / 2;
    const half = ((high - low) / 2) * scale;
    return Math.min(Math.max(middle, least + half), most - half) - middle * scale;
  });
  return (place) => place.map((value, axis) => value * scale + shift[axis]);
}
