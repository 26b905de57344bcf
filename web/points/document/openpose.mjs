// Poses from elsewhere: a POSE_KEYPOINT value, or what OpenPose and its editors write, as text of JSON, and back.

import { detectedPerson, KEYS, STATES_KEY } from "./detected.mjs";
import { BODY_18, HAND_21, PARTS } from "./joints.mjs";
import { addPerson } from "./people.mjs";
import { activePerson } from "./queries.mjs";
import { mapJoints } from "./sizes.mjs";
import { rounded, withPerson } from "./edits.mjs";
import { boxRound, insideMap } from "./transform.mjs";
import { MAX_PEOPLE } from "./reading.mjs";

const BODY_KEYS = ["pose_keypoints_2d", "pose_keypoints"];
const FROM_BODY_25 = [0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18];
// The neck is no joint of COCO: it lies between the shoulders.
const FROM_COCO_17 = [0, null, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3];
// Joints of a normalised pose may lie a little outside of their picture.
const NORMALISED_UP_TO = 2;

/**
 * The people of a JSON value, as people of a document for a picture of that size.
 * @returns {object[]|null} null when the value is no pose at all
 */
export function readOpenPose(value, size) {
  const frame = Array.isArray(value) ? value[0] : value;
  if (!Array.isArray(frame?.people)) return null;
  const people = frame.people.map((person) => withBody18(person)).filter(Boolean);
  const parts = people.flatMap((person) => Object.values(KEYS).map((key) => person[key] ?? []));
  const map = mapTo(size, frame, parts.flatMap(pairs));
  const read = people.map((person) => mapJoints(givenPerson(person), map))
    .filter(({ joints }) => Object.keys(joints).length > 0);
  return read.map((person) => keptInside(person, size));
}

/** What brings a frame's places into a picture: shares of its sides, pixels of a canvas, or pixels of any picture. */
function mapTo(size, { canvas_width: width, canvas_height: height }, places) {
  const isNormalised = places.every((place) => place.every((value) => Math.abs(value) <= NORMALISED_UP_TO));
  if (isNormalised) return (place) => place.map((value, axis) => value * size[axis]);
  if (!(width > 0 && height > 0)) return (place) => place;
  const scale = Math.min(size[0] / width, size[1] / height);
  return ([x, y]) => [(size[0] - width * scale) / 2 + x * scale, (size[1] - height * scale) / 2 + y * scale];
}

/** The places [x, y] of a flat list of x, y, confidence, of joints that are there. */
function pairs(flat) {
  return flat.flatMap((_, index) => (index % 3 === 0 && flat[index + 2] > 0 ? [[flat[index], flat[index + 1]]] : []));
}

function withBody18(person) {
  const flat = person?.[BODY_KEYS.find((key) => Array.isArray(person?.[key]))] ?? [];
  const joint = (index) => flat.slice(3 * index, 3 * index + 3);
  const body = { 54: () => flat, 75: () => FROM_BODY_25.flatMap(joint), 51: () => fromCoco(joint) }[flat.length]?.();
  return body ? { ...person, [KEYS.joints]: body } : null;
}

function fromCoco(joint) {
  const [left, right] = [joint(5), joint(6)];
  const neck = left[2] > 0 && right[2] > 0 ? left.map((value, axis) => (value + right[axis]) / 2) : [0, 0, 0];
  return FROM_COCO_17.flatMap((index) => (index === null ? neck : joint(index)));
}

/** Joints that were pasted are given, as long as nothing else is said of them. */
function givenPerson(person) {
  const read = detectedPerson(person, null);
  if (Array.isArray(person[STATES_KEY])) return read;
  const given = (joints) => Object.fromEntries(Object.entries(joints).map(([name, joint]) => [name, { ...joint, state: "given" }]));
  return { ...read, ...Object.fromEntries(Object.keys(PARTS).map((part) => [part, given(read[part])])) };
}

function keptInside(person, size) {
  const places = Object.keys(PARTS).flatMap((part) => Object.values(person[part])).map(({ x, y }) => [x, y]);
  const back = insideMap(boxRound(places), size);
  return mapJoints(person, (place) => back(place).map(rounded));
}

/** The document with more people; the first one takes the active person's place if that has no joints. */
export function insertPeople(doc, people) {
  return people.slice(0, MAX_PEOPLE).reduce((done, person) => {
    const start = Object.values(activePerson(done).joints).some(Boolean) ? addPerson(done) : done;
    const { joints, left_hand, right_hand } = person;
    return withPerson(start, { ...activePerson(start), joints, left_hand, right_hand });
  }, doc);
}

/** All people of a document as the text of a POSE_KEYPOINT value, in pixels. */
export function writeOpenPose(doc, [width, height]) {
  const flat = (joints, names) => names.flatMap((name) => (joints[name] ? [joints[name].x, joints[name].y, 1] : [0, 0, 0]));
  const hand = (joints) => (Object.keys(joints).length > 0 ? flat(joints, HAND_21) : null);
  const people = doc.people.map(({ joints, left_hand, right_hand }) => ({
    [KEYS.joints]: flat(joints, BODY_18), [KEYS.left_hand]: hand(left_hand), [KEYS.right_hand]: hand(right_hand),
    face_keypoints_2d: null, [STATES_KEY]: BODY_18.map((name) => joints[name]?.state ?? null),
  }));
  return JSON.stringify([{ people, canvas_width: width, canvas_height: height }]);
}
