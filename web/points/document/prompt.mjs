// What the chosen kind of prompt shows of a document, and what it lacks.
//
// A prompt: {name, joints (whether it shows joints), boxes (those it shows), hasBox, hasPose (whether a bounding_box or a
// pose_keypoint is connected)}, or null while no kind is known.

import { listGhosts } from "./ghosts.mjs";
import { placedJoints } from "./queries.mjs";
import { BOXES } from "./reading.mjs";
import { hasPlaces } from "./sizes.mjs";

/** The box, or "joints", that the prompt needs and has not; null when it has all, or as long as nothing was said. */
export function lackingIn(doc, prompt, ghosts) {
  if (!prompt || !doc || !hasPlaces(doc)) return null;
  if (prompt.joints && !prompt.hasPose && placedJoints(doc).length + listGhosts(ghosts.person).length === 0) return "joints";
  // A connected box stands for the first one that is missing.
  return prompt.boxes.filter((box) => !doc[box])[prompt.hasBox ? 1 : 0] ?? null;
}

/** The boxes, and "joints", that a document has and the prompt does not show. */
export function unusedIn(doc, prompt) {
  if (!prompt || !doc) return [];
  const joints = !prompt.joints && placedJoints(doc).length > 0 ? ["joints"] : [];
  return [...joints, ...BOXES.filter((box) => doc[box] && !prompt.boxes.includes(box))];
}
