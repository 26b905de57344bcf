// What the status line says.

import { count, say } from "../words/words.mjs";
import { rounded } from "./edits.mjs";
import { listGhosts } from "./ghosts.mjs";
import { longLimbs } from "./hints.mjs";
import { jointLabel, targetLabel, thingName } from "./names.mjs";
import { lackingIn, unusedIn } from "./prompt.mjs";
import { activePerson, placedJoints, placeOf } from "./queries.mjs";
import { BOXES, POINTS } from "./reading.mjs";

/** One line: what is wrong, or what is going on; note: or what the page has to say, while nothing is selected or placed. */
export function status(session, note = "") {
  const { problems, message, tool, next, doc, selection } = session;
  const more = problems.length > 1 ? say("status.more", { number: problems.length - 1 }) : "";
  if (problems.length > 0) return `points: ${problems[0]}${more}`;
  if (message) return message;
  if (tool === "place" && next) return say("status.place", { joint: jointLabel(next.part, next.name) });
  if (tool === "whole") return say(placedJoints(doc).length > 1 ? "status.whole" : "status.noSkeleton");
  const place = placeOf(doc, selection);
  if (!place && (POINTS.includes(tool) || BOXES.includes(tool))) return hint(tool);
  if (!place && note) return note;
  if (!place) return [lacks(session) ?? summary(session), unused(session)].filter(Boolean).join(" · ");
  const [x, y] = place.map(rounded);
  return `${say("status.at", { target: targetLabel(doc, selection), x, y })}${lengthHint(session)}`;
}

/** How a tool for points or boxes is used. */
function hint(tool) {
  return POINTS.includes(tool) ? say("status.point", { point: thingName(tool) }) : say("status.box", { box: thingName(tool) });
}

function summary({ doc, ghosts }) {
  const joints = placedJoints(doc).length;
  const points = doc.positive.length + doc.negative.length;
  const boxes = BOXES.filter((box) => doc[box]).map(thingName);
  const said = [joints && count(joints, "count.joint"), ...boxes, points && count(points, "count.point")].filter(Boolean);
  const came = listGhosts(ghosts.person).length;
  if (came > 0) said.push(say("status.came", { joints: count(came, "count.joint") }));
  return said.length > 0 ? said.join(say("list")) : say("status.nothing");
}

/** What the chosen kind of prompt needs and has not; nothing while nothing was said at all. */
function lacks({ doc, ghosts, prompt }) {
  const lacking = lackingIn(doc, prompt, ghosts);
  if (lacking === null) return null;
  const kind = prompt.name;
  return lacking === "joints" ? say("status.lacksJoints", { kind }) : say("status.lacks", { kind, box: thingName(lacking) });
}

function unused({ doc, prompt }) {
  const things = unusedIn(doc, prompt).map((thing) => (thing === "joints" ? say("status.joints") : thingName(thing)));
  return things.length > 0 ? say("status.unused", { kind: prompt.name, things: things.join(say("list")) }) : null;
}

function lengthHint({ doc, selection }) {
  const limb = selection.part === "joints" && longLimbs(activePerson(doc).joints).find((ends) => ends.includes(selection.name));
  if (!limb) return "";
  const [one, other] = limb.map((name) => jointLabel("joints", name));
  return say("status.long", { one, other });
}
