// Detected people (a POSE_KEYPOINT value in pixels) put into a document. What the user placed, moved or took away stays.

import { BODY_18, HAND_21, STATES } from "./joints.mjs";
import { emptyPerson, MAX_PEOPLE } from "./reading.mjs";
import { rounded } from "./edits.mjs";
import { boxRound, distance } from "./places.mjs";

export const KEYS = { joints: "pose_keypoints_2d", left_hand: "hand_left_keypoints_2d", right_hand: "hand_right_keypoints_2d" };
// Where Figura's own nodes say which joints were only proposed (people/keypoints.py).
export const STATES_KEY = "figura_joint_states";
// A joint of less confidence is absent (people/keypoints.py): some detectors write every joint, however unsure they are.
export const CONFIDENT = 0.3;
// How far apart two sightings of one person may be, in its own size.
const NEAR = 0.5;
const NAMES = { joints: BODY_18, left_hand: HAND_21, right_hand: HAND_21 };

/**
 * The document with the detected people in it.
 * @param {object} doc the document
 * @param {object} frame one picture's {people, canvas_width, canvas_height}, joints as flat x, y, confidence in px
 * @returns {{doc: object, joints: number, people: number}} how many joints and people were found
 */
export function importPeople(doc, frame) {
  const scale = [ratio(doc.width, frame?.canvas_width), ratio(doc.height, frame?.canvas_height)];
  const found = (Array.isArray(frame?.people) ? frame.people : [])
    .map((person) => detectedPerson(person, scale))
    .filter((person) => Object.keys(person.joints).length > 0)
    .sort((one, other) => Object.keys(other.joints).length - Object.keys(one.joints).length);
  const people = [...doc.people];
  assign(people, found, doc.active).forEach((index, number) => {
    if (index < MAX_PEOPLE) people[index] = merged(people[index] ?? emptyPerson(), found[number]);
  });
  const joints = found.reduce((sum, person) => sum + Object.keys(person.joints).length, 0);
  return { doc: { ...doc, people }, joints, people: found.length };
}

/** A side of the document's picture against the same side of the detector's; 1 when either is not known. */
export function ratio(side, canvas) {
  return side > 0 && canvas > 0 ? side / canvas : 1;
}

/**
 * A document's person from one of a POSE_KEYPOINT value, its pixels times scale [x, y] (null: as they are); wrong parts are
 * left out.
 */
export function detectedPerson(person, scale) {
  const states = person?.[STATES_KEY];
  const parts = Object.keys(KEYS).map((part) =>
    [part, detectedPart(person?.[KEYS[part]], NAMES[part], scale, part === "joints" && Array.isArray(states) ? states : [])]);
  return { ...emptyPerson(), ...Object.fromEntries(parts) };
}

function detectedPart(flat, names, scale, states) {
  if (!Array.isArray(flat) || flat.length !== 3 * names.length) return {};
  const joints = names.map((name, index) => [name, flat.slice(3 * index, 3 * index + 3), states[index]]);
  return Object.fromEntries(joints
    .filter(([, joint]) => joint.every(Number.isFinite) && joint[2] >= CONFIDENT)
    .map(([name, [x, y], state]) => [name, {
      ...(scale ? { x: rounded(x * scale[0]), y: rounded(y * scale[1]) } : { x, y }), state: STATES.includes(state) ? state : "detected",
    }]));
}

/**
 * For each found person its number in the document: the nearest one who shares joints with it, else one who shares
 * none, the active one first, else a new one. Where there is one on each side, they are the same.
 */
function assign(people, found, active) {
  if (people.length === 1 && found.length === 1) return [0];
  const pairs = found.flatMap((person, number) => people.map((known, index) =>
    ({ number, index, away: meanDistance(known.joints, person.joints) / extent(person.joints) })));
  const matched = new Map();
  const match = (chosen) => {
    for (const { number, index } of chosen) {
      if (!matched.has(number) && ![...matched.values()].includes(index)) matched.set(number, index);
    }
  };
  match(pairs.filter(({ away }) => away <= NEAR).sort((one, other) => one.away - other.away));
  match(pairs.filter(({ away }) => away === Infinity)
    .sort((one, other) => one.number - other.number || (other.index === active) - (one.index === active)));
  let next = people.length;
  return found.map((_, number) => matched.get(number) ?? next++);
}

function meanDistance(one, other) {
  const shared = Object.keys(one).filter((name) => one[name] && other[name]);
  if (shared.length === 0) return Infinity;
  return shared.reduce((sum, name) => sum + distance(xy(one[name]), xy(other[name])), 0) / shared.length;
}

function extent(joints) {
  const [x0, y0, x1, y1] = boxRound(Object.values(joints).map(xy));
  return Math.max(x1 - x0, y1 - y0, 1);
}

function xy(joint) {
  return [joint.x, joint.y];
}

function merged(old, person) {
  const part = (key) => {
    const kept = Object.entries(old[key]).filter(([, joint]) => joint?.state !== "detected" || joint.moved === true);
    return { ...person[key], ...Object.fromEntries(kept) };
  };
  return { ...old, joints: part("joints"), left_hand: part("left_hand"), right_hand: part("right_hand") };
}
