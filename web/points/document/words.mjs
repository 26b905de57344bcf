// What the editor says in words.

import { rounded } from "./edits.mjs";
import { listGhosts } from "./ghosts.mjs";
import { longLimbs } from "./hints.mjs";
import { jointLabel } from "./joints.mjs";
import { activePerson, jointOf, placedJoints, placeOf } from "./queries.mjs";

export const NAMES = Object.freeze({
  roi_box: "ROI box", full_box: "full box", positive: "positive point", negative: "negative point",
});

/** One line for the status bar: what is wrong, or what is going on. note: what the page has to say, if anything. */
export function status(session, note = "") {
  if (session.problems.length > 0) return `points: ${session.problems[0]}${more(session.problems.length - 1)}`;
  if (session.message || note) return session.message || note;
  if (session.tool === "place" && session.next) return `Click where the ${jointLabel(session.next.part, session.next.name)} is.`;
  const place = placeOf(session.doc, session.selection);
  if (place) return `${targetLabel(session.doc, session.selection)} at ${place.map(rounded).join(", ")}${lengthHint(session)}`;
  return summary(session);
}

function summary({ doc, ghosts }) {
  const joints = placedJoints(doc).length;
  const points = doc.positive.length + doc.negative.length;
  const boxes = ["roi_box", "full_box"].filter((box) => doc[box]).map((box) => NAMES[box]);
  const said = [joints && count(joints, "joint"), ...boxes, points && count(points, "point")].filter(Boolean);
  const came = listGhosts(ghosts.person).length;
  if (came > 0) said.push(`${count(came, "joint")} came in with the pose: drag or click to take one`);
  return said.length > 0 ? said.join(", ") : "Nothing yet: place joints, draw a box, or import the detected joints.";
}

function lengthHint({ doc, selection }) {
  const limb = selection.part === "joints" && longLimbs(activePerson(doc).joints).find((ends) => ends.includes(selection.name));
  return limb ? `: ${jointLabel("joints", limb[0])} to ${jointLabel("joints", limb[1])} looks too long` : "";
}

/** What a target is called: "right knee (given)". */
export function targetLabel(doc, target) {
  if (target.kind === "joint") {
    return `${jointLabel(target.part, target.name)} (${jointOf(doc, target.part, target.name)?.state})`;
  }
  return target.kind === "box" ? NAMES[target.box] : `${NAMES[target.kind]} ${target.index + 1}`;
}

function more(number) {
  return number > 0 ? ` (and ${number} more)` : "";
}

/** "1 joint", "3 joints". */
export function count(number, one, several = `${one}s`) {
  return `${number} ${number === 1 ? one : several}`;
}
