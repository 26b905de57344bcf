// What a pressed button or finger begins, by the tool and by what lies under it, and what the document is meanwhile.
//
// A drag: {from_px, before (the document), target, draws (the box that is drawn) or whole (the handle of the whole skeleton),
// placed (the target is new), grip (from the pointer to the target), moved}.

import { addPoint, moveTarget, placeJoint, setBox } from "../document/edits.mjs";
import { adoptGhost } from "../document/ghosts.mjs";
import { placeOf } from "../document/queries.mjs";
import { MAX_POINTS } from "../document/reading.mjs";
import { say } from "../words/words.mjs";
import { draggedWhole } from "./whole.mjs";

/**
 * Begin a drag at xy_px; sets the session's document, selection and message.
 * @returns the drag; {person} for a press on another person; null when there is nothing to be done here
 */
export function beginDrag(session, xy_px, reach_px) {
  const drag = { from_px: xy_px, before: session.doc, moved: false };
  if (session.tool === "place" && session.next) return place(session, drag, xy_px);
  const hit = session.hit(xy_px, reach_px);
  if (session.tool === "whole") return hit?.kind === "whole" ? { ...drag, whole: hit.handle } : hit;
  if (session.tool === "positive" || session.tool === "negative") return addOrMove(session, drag, hit, xy_px);
  if (session.tool === "roi_box" || session.tool === "full_box") return drawOrMove(session, drag, hit);
  return move(session, drag, hit);
}

function place(session, drag, xy_px) {
  const { part, name } = session.next;
  session.doc = placeJoint(session.doc, part, name, xy_px, "given");
  session.selection = { kind: "joint", part, name };
  return { ...drag, target: session.selection, placed: true };
}

function addOrMove(session, drag, hit, xy_px) {
  const kind = session.tool;
  if (hit?.kind === kind) return move(session, drag, hit);
  const index = session.doc[kind].length;
  if (index >= MAX_POINTS) {
    session.message = say("say.most", { number: MAX_POINTS });
    return null;
  }
  session.doc = addPoint(session.doc, kind, xy_px);
  session.selection = { kind, index };
  return { ...drag, target: session.selection, placed: true };
}

function drawOrMove(session, drag, hit) {
  if (hit?.kind === "box" && hit.box === session.tool) return move(session, drag, hit);
  session.selection = null;
  return { ...drag, draws: session.tool };
}

/** A ghost becomes a joint where it lies; the drag moves it on from there. */
function adopt(session, drag, ghost) {
  session.doc = adoptGhost(session.doc, ghost);
  session.selection = { kind: "joint", part: ghost.part, name: ghost.name };
  return { ...drag, target: session.selection, placed: true, grip: gripOf(session, drag) };
}

function move(session, drag, hit) {
  if (hit?.kind === "ghost") return adopt(session, drag, hit);
  session.selection = hit?.kind === "person" ? null : hit;
  if (hit === null || hit.kind === "person") return hit;
  return { ...drag, target: hit, grip: gripOf(session, drag) };
}

/** From the pointer to what is selected. */
function gripOf(session, drag) {
  return placeOf(session.doc, session.selection).map((value, axis) => value - drag.from_px[axis]);
}

/** The document while the pointer of a drag is at xy_px. doc: the document until now. */
export function dragged(drag, doc, xy_px) {
  if (drag.whole) return draggedWhole(drag, xy_px);
  if (drag.draws) return setBox(drag.before, drag.draws, drag.from_px, xy_px);
  const { target, grip = [0, 0] } = drag;
  const start = drag.placed ? doc : drag.before;
  return moveTarget(start, target, [xy_px[0] + grip[0], xy_px[1] + grip[1]]);
}
