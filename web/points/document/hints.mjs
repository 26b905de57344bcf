// How long a limb may be. A person's scale is taken from the limbs that have both ends; a limb looks at most as long as
// it is, and shorter when it points at the camera, so only a limb that is too long is worth a remark.

import { LIMBS } from "./joints.mjs";
import { distance } from "./places.mjs";

// Typical lengths, in body heights.
const LENGTHS = {
  neck: { right_shoulder: 0.105, left_shoulder: 0.105, right_hip: 0.3, left_hip: 0.3, nose: 0.12 },
  right_shoulder: { right_elbow: 0.175 }, left_shoulder: { left_elbow: 0.175 },
  right_elbow: { right_wrist: 0.15 }, left_elbow: { left_wrist: 0.15 },
  right_hip: { right_knee: 0.24 }, left_hip: { left_knee: 0.24 },
  right_knee: { right_ankle: 0.235 }, left_knee: { left_ankle: 0.235 },
  nose: { right_eye: 0.025, left_eye: 0.025 },
  right_eye: { right_ear: 0.045 }, left_eye: { left_ear: 0.045 },
};
const TOO_LONG = 1.35;
const LONGEST_SHARE = 0.75;

/** Body height in px that a person's limbs speak for, or null when no limb has both ends. */
export function bodyHeight(joints) {
  const heights = LIMBS.filter(([a, b]) => joints[a] && joints[b] && LENGTHS[a][b] > 0.09)
    .map(([a, b]) => lengthOf(joints, a, b) / LENGTHS[a][b])
    .sort((one, other) => one - other);
  // Foreshortened limbs speak for too small a body: not the middle, but one of the longer ones.
  return heights.length === 0 ? null : heights[Math.floor((heights.length - 1) * LONGEST_SHARE)];
}

function lengthOf(joints, a, b) {
  return distance([joints[a].x, joints[a].y], [joints[b].x, joints[b].y]);
}

/** The length in px a limb has at most, from the same limb of the other side or from the body; null: not known. */
export function limbLength(joints, a, b) {
  const [c, d] = [otherSide(a), otherSide(b)];
  const twin = (c !== a || d !== b) && joints[c] && joints[d] ? lengthOf(joints, c, d) : 0;
  const height = bodyHeight(joints);
  return Math.max(twin, height === null ? 0 : height * LENGTHS[a][b]) || null;
}

/** The joint of the other side of the body; nose and neck are their own. */
export function otherSide(name) {
  if (name.startsWith("left_")) return name.replace("left_", "right_");
  return name.replace("right_", "left_");
}

/** Where a missing joint may lie: circles {x, y, radius} px round its placed neighbours. */
export function reachOf(joints, name) {
  return LIMBS.filter((limb) => limb.includes(name)).flatMap(([a, b]) => {
    const neighbour = joints[a === name ? b : a];
    const radius = limbLength(joints, a, b);
    return neighbour && radius ? [{ x: neighbour.x, y: neighbour.y, radius }] : [];
  });
}

/** Limbs that are longer than a body of this size has them, as [a, b] names. */
export function longLimbs(joints) {
  return LIMBS.filter(([a, b]) => {
    if (!joints[a] || !joints[b]) return false;
    const others = Object.fromEntries(Object.entries(joints).filter(([name]) => name !== b));
    const length = limbLength(others, a, b);
    return length !== null && lengthOf(joints, a, b) > TOO_LONG * length;
  });
}
