// Poses from elsewhere: a POSE_KEYPOINT value, or what OpenPose and its editors write, as text of JSON, and back.

import { CONFIDENT, detectedPerson, KEYS, STATES_KEY } from "./detected.mjs";
import { BODY_18, HAND_21, PARTS } from "./joints.mjs";
import { addPerson } from "./people.mjs";
import { activePerson, placedJoints } from "./queries.mjs";
import { keepingShape, mapJoints } from "./sizes.mjs";
import { isNear, rounded, withPerson } from "./edits.mjs";
import { boxRound } from "./places.mjs";
import { insideMap, jointPlaces } from "./transform.mjs";
import { emptyDocument, emptyPerson, MAX_PEOPLE } from "./reading.mjs";

// OpenPose before 1.2 wrote the keys without their end.
const BODY_KEYS = ["pose_keypoints_2d", "pose_keypoints"];
const POSE_KEYS = Object.values(KEYS).flatMap((key) => [key, key.replace("_2d", "")]);
const FROM_BODY_25 = [0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18];
// The neck is no joint of COCO: it lies between the shoulders.
const FROM_COCO_17 = [0, null, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3];
// As in people/keypoints.py: what is taken for a share of the sides, an absent joint's x and y, the padding of canvases.
const NORMALISED_UP_TO = 2;
const ABSENT = -1;
const CANVAS_MULTIPLE = 64;

/**
 * The people of a JSON value, as people of a document for a picture of that size. It tells pixels from shares of the sides,
 * and absent joints from others, as people/keypoints.py does.
 * @returns {object[]|null} null when the value is no pose at all
 */
export function readOpenPose(value, size) {
  const frame = frameOf(value);
  if (!Array.isArray(frame?.people)) return null;
  const people = frame.people.map((person) => withBody18(person)).filter(Boolean);
  const read = people.map((person) => givenPerson(inPicture(person, size, frame)));
  return keptNear(read.filter((person) => jointPlaces(person).length > 0), size);
}

/** The document of a text that the node reads as a POSE_KEYPOINT value, or null for any other text. */
export function poseDocument(text, size) {
  const value = /"(people|keypoints)"/.test(text) ? parsed(text) : null;
  const frame = frameOf(value);
  if (!isPose(frame, Array.isArray(value))) return null;
  const canvas = canvasOf(frame);
  const read = readOpenPose(value, canvas ?? size);
  const bodies = read.filter(({ joints }) => Object.keys(joints).length > 0);
  const people = (bodies.length > 0 ? bodies : read).slice(0, MAX_PEOPLE);
  return { ...emptyDocument(...(canvas ?? size)), people: people.length > 0 ? people : [emptyPerson()] };
}

/** Whether a frame is one of a pose. OpenPose's versions have fractions. */
function isPose(frame, isListed) {
  if (!Array.isArray(frame?.people)) return false;
  if (frame.people.length === 0) return isListed || (typeof frame.version === "number" && !Number.isInteger(frame.version));
  return frame.people.some((person) => POSE_KEYS.some((key) => Object.hasOwn(person ?? {}, key)));
}

/** The first picture of a POSE_KEYPOINT value; what OpenPose Editor saves is made one. */
function frameOf(value) {
  const frame = Array.isArray(value) ? value[0] : value;
  if (!Array.isArray(frame?.keypoints) || Object.hasOwn(frame, "people")) return frame;
  const joint = (point) => (Array.isArray(point) ? [...point, 1].slice(0, 3) : [0, 0, 0]);
  const people = frame.keypoints.filter(Array.isArray).map((points) => ({ [KEYS.joints]: points.flatMap(joint) }));
  return { people, canvas_width: frame.width, canvas_height: frame.height };
}

/** The value of a text of JSON; null when it is none. */
export function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function canvasOf({ canvas_width: width, canvas_height: height }) {
  return width > 0 && height > 0 ? [width, height] : null;
}

/** A person with its lists in pixels of the picture. */
function inPicture(person, size, frame) {
  const lists = Object.values(KEYS).map((key) => {
    const flat = person[key] ?? person[key.replace("_2d", "")];
    return [key, Array.isArray(flat) ? listInPicture(flat.flat(), key === KEYS.joints, size, canvasOf(frame)) : null];
  });
  return { ...person, ...Object.fromEntries(lists) };
}

function listInPicture(flat, isBody, size, canvas) {
  const joints = Array.from({ length: flat.length / 3 }, (_, index) => flat.slice(3 * index, 3 * index + 3));
  const present = joints.filter(isPresent);
  const isShare = present.every(([x, y]) => Math.max(Math.abs(x), Math.abs(y)) <= NORMALISED_UP_TO);
  const map = isShare ? sharesTo(size, canvas) : canvas ? keepingShape(canvas, size) : (place) => place;
  // Where places are shares, a hand's absent joints have small negative ones.
  const isThere = (joint) => isPresent(joint) && (isBody || !isShare || Math.min(joint[0], joint[1]) >= 0);
  return joints.flatMap((joint) => (isThere(joint) ? [...map(joint.slice(0, 2)), joint[2]] : [0, 0, 0]));
}

function isPresent([x, y, confidence]) {
  return [x, y, confidence].every(Number.isFinite) && confidence >= CONFIDENT && !(x === ABSENT && y === ABSENT);
}

/** What brings shares of a canvas's sides, which were padded for some of them, into a picture. */
function sharesTo(size, canvas) {
  const isPadded = canvas !== null && Math.min(...canvas) % CANVAS_MULTIPLE === 0;
  const padding = (side) => (Math.ceil(side / CANVAS_MULTIPLE) * CANVAS_MULTIPLE) / side;
  return (place) => place.map((value, axis) => value * size[axis] * (isPadded ? padding(canvas[axis]) : 1));
}

function withBody18(person) {
  const flat = (person?.[BODY_KEYS.find((key) => Array.isArray(person?.[key]))] ?? []).flat();
  const joint = (index) => flat.slice(3 * index, 3 * index + 3);
  const body = { 0: () => [], 54: () => flat, 75: () => FROM_BODY_25.flatMap(joint), 51: () => fromCoco(joint) }[flat.length]?.();
  return body ? { ...person, [KEYS.joints]: body } : null;
}

function fromCoco(joint) {
  const [left, right] = [joint(5), joint(6)];
  const neck = isPresent(left) && isPresent(right) ? left.map((value, axis) => (value + right[axis]) / 2) : [0, 0, 0];
  return FROM_COCO_17.flatMap((index) => (index === null ? neck : joint(index)));
}

/** Joints that were pasted are given, as long as nothing else is said of them; of those of hands nothing is. */
function givenPerson(person) {
  const read = detectedPerson(person, null);
  const parts = Object.keys(PARTS).filter((part) => part !== "joints" || !Array.isArray(person[STATES_KEY]));
  const given = (joints) => Object.fromEntries(Object.entries(joints).map(([name, joint]) => [name, { ...joint, state: "given" }]));
  return { ...read, ...Object.fromEntries(parts.map((part) => [part, given(read[part])])) };
}

/** Skeletons stay where they are as long as the node takes them; those of a larger picture are brought inside together. */
function keptNear(people, size) {
  const places = people.flatMap(jointPlaces);
  const back = places.every((place) => isNear(size, place)) ? (place) => place : insideMap(boxRound(places), size);
  return people.map((person) => mapJoints(person, (place) => back(place).map(rounded)));
}

/** The document with more people, as far as there is room; the first one takes the place of an active one without joints. */
export function insertPeople(doc, people) {
  return people.reduce((done, person) => {
    const start = placedJoints(done).length > 0 ? addPerson(done) : done;
    if (placedJoints(start).length > 0) return done;
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
