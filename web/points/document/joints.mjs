// The joints of a body (OpenPose-18) and of a hand (21): names, order, limbs, colours. Right and left are the person's
// own. The names and orders are those of people/keypoints.py, the colours those of the prompt picture.

export const BODY_18 = Object.freeze([
  "nose", "neck",
  "right_shoulder", "right_elbow", "right_wrist",
  "left_shoulder", "left_elbow", "left_wrist",
  "right_hip", "right_knee", "right_ankle",
  "left_hip", "left_knee", "left_ankle",
  "right_eye", "left_eye", "right_ear", "left_ear",
]);

const FINGERS = ["thumb", "index", "middle", "ring", "little"];
export const HAND_21 = Object.freeze([
  "wrist", ...FINGERS.flatMap((finger) => [1, 2, 3, 4].map((joint) => `${finger}_${joint}`)),
]);

/** The parts of a person: the key in the points text, and the joints' names in order. */
export const PARTS = Object.freeze({ joints: BODY_18, left_hand: HAND_21, right_hand: HAND_21 });
export const HANDS = Object.freeze(["right_hand", "left_hand"]);

// In the order in which the palette colours them.
export const LIMBS = Object.freeze([
  ["neck", "right_shoulder"], ["neck", "left_shoulder"],
  ["right_shoulder", "right_elbow"], ["right_elbow", "right_wrist"],
  ["left_shoulder", "left_elbow"], ["left_elbow", "left_wrist"],
  ["neck", "right_hip"], ["right_hip", "right_knee"], ["right_knee", "right_ankle"],
  ["neck", "left_hip"], ["left_hip", "left_knee"], ["left_knee", "left_ankle"],
  ["neck", "nose"], ["nose", "right_eye"], ["right_eye", "right_ear"], ["nose", "left_eye"], ["left_eye", "left_ear"],
]);

export const HAND_EDGES = Object.freeze(
  HAND_21.slice(1).map((name) => [name.endsWith("_1") ? "wrist" : HAND_21[HAND_21.indexOf(name) - 1], name]),
);

const PALETTE = [
  [255, 0, 0], [255, 85, 0], [255, 170, 0], [255, 255, 0], [170, 255, 0], [85, 255, 0],
  [0, 255, 0], [0, 255, 85], [0, 255, 170], [0, 255, 255], [0, 170, 255], [0, 85, 255],
  [0, 0, 255], [85, 0, 255], [170, 0, 255], [255, 0, 255], [255, 0, 170], [255, 0, 85],
];

/** States of a joint in the points text; only a detected one is seen in the picture. */
export const STATES = Object.freeze(["detected", "given", "proposed", "occluded"]);
export const DEFAULT_STATE = "given";

/** The limbs of a part of a person, as pairs of joint names. */
export function limbsOf(part) {
  return part === "joints" ? LIMBS : HAND_EDGES;
}

/** CSS colour of a joint. */
export function jointColour(part, name) {
  const index = PARTS[part].indexOf(name);
  return part === "joints" ? rgb(PALETTE[index]) : fingerColour(Math.floor((index + 3) / 4));
}

/** CSS colour of the limb with that number in `limbsOf(part)`. */
export function limbColour(part, index) {
  return part === "joints" ? rgb(PALETTE[index]) : fingerColour(Math.floor(index / 4) + 1);
}

function fingerColour(finger) {
  return finger < 1 ? "hsl(220 90% 65%)" : `hsl(${(finger - 1) * 72} 90% 60%)`;
}

function rgb(channels) {
  return `rgb(${channels.join(" ")})`;
}

/** The body joint a hand hangs on. */
export function wristOf(hand) {
  return hand === "left_hand" ? "left_wrist" : "right_wrist";
}
