// Draws a session on a canvas. All sizes here are CSS pixels of the canvas, whatever the zoom of the picture.

import { boxHandles, sameTarget } from "../input/hits.mjs";
import { BOXES } from "../document/reading.mjs";
import { knownBody, listGhosts } from "../document/ghosts.mjs";
import { bodyHeight, longLimbs, reachOf } from "../document/hints.mjs";
import { HANDS, jointColour, limbColour, LIMBS, limbsOf, PARTS } from "../document/joints.mjs";
import { drawLabels } from "./labels.mjs";
import { jointLabel } from "../document/names.mjs";
import { unusedIn } from "../document/prompt.mjs";
import { activePerson, sidesOf } from "../document/queries.mjs";
import { toScreen } from "../input/view.mjs";
import { wholeFrameOf, wholeHandles } from "../input/whole.mjs";
import { say } from "../words/words.mjs";

const BOX_COLOUR = { roi_box: "#ffb224", full_box: "#4cc2ff" };
const POINT_COLOUR = { positive: "#2fbf5b", negative: "#ee4b4b" };
const WARNING = "#ff5c5c";
const DARK = "rgb(0 0 0 / 0.75)";
const LIGHT = "#ffffff";
const JOINT_RADIUS = 4.5;
const HAND_RADIUS = 2.6;
const POINT_RADIUS = 6;
const HANDLE_SIDE = 7;
const LABELS_FROM_PX = 230;
const TITLE_FROM_PX = 90;
// Bodies shown smaller than this, in CSS pixels, get smaller marks, but never under this share.
const FULL_MARKS_FROM_PX = 260;
const SMALLEST_MARKS = 0.55;
const SMOOTH_UP_TO = 3;
const GHOST_ALPHA = 0.65;

/**
 * Draw everything.
 * @param {CanvasRenderingContext2D} context
 * @param {{session: object, view: object, size: number[], ratio: number, image: CanvasImageSource|null, part: number[]|null,
 *   pointer: number[]|null}} scene size: the canvas in CSS pixels; ratio: device pixels for each of them; part: what of the
 *   image is shown, [x0, y0, x1, y1] in its pixels; pointer: xy_px in the picture while the mouse is over it
 */
export function draw(context, scene) {
  const { session, view, size, ratio } = scene;
  scene.body = session.doc ? knownBody(session.doc, session.ghosts) : {};
  scene.marks = markSize(scene.body, view);
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, ...size);
  drawPicture(context, scene);
  if (!session.doc) return;
  scene.unused = unusedIn(session.doc, session.prompt);
  for (const box of BOXES) drawBox(context, scene, box);
  session.doc.people.forEach((person, index) => index !== session.doc.active && drawOther(context, person, view));
  drawGhosts(context, scene);
  drawPerson(context, scene);
  for (const kind of ["positive", "negative"]) drawPoints(context, scene, kind);
  drawReach(context, scene);
  if (session.tool === "whole") drawWhole(context, scene);
  const joints = Object.values(scene.body).map((joint) => at(view, joint));
  const points = [...session.doc.positive, ...session.doc.negative].map((point) => toScreen(view, point));
  drawLabels(context, labels(scene), size, [...joints, ...points]);
}

function drawPicture(context, { session, view, image, part }) {
  const [x, y] = toScreen(view, [0, 0]);
  const [width, height] = session.size.map((side) => side * view.scale);
  if (image) {
    context.imageSmoothingEnabled = view.scale < SMOOTH_UP_TO;
    context.imageSmoothingQuality = "high";
    const [x0, y0, x1, y1] = part;
    context.drawImage(image, x0, y0, x1 - x0, y1 - y0, x, y, width, height);
  } else {
    context.fillStyle = "rgb(128 128 128 / 0.22)";
    context.fillRect(x, y, width, height);
  }
  context.strokeStyle = "rgb(128 128 128 / 0.6)";
  context.lineWidth = 1;
  context.strokeRect(x - 0.5, y - 0.5, width + 1, height + 1);
}

/** A box; one that the chosen kind of prompt does not show is dashed and empty. */
function drawBox(context, { session, view, unused }, key) {
  const box = session.doc[key];
  if (!box) return;
  const [[x0, y0], [x1, y1]] = [toScreen(view, box), toScreen(view, box.slice(2))];
  const chosen = session.selection?.box === key;
  const isUnused = unused.includes(key);
  context.fillStyle = key === "roi_box" ? "rgb(255 178 36 / 0.14)" : "rgb(76 194 255 / 0.05)";
  if (!isUnused) context.fillRect(x0, y0, x1 - x0, y1 - y0);
  context.setLineDash(isUnused ? [6, 5] : []);
  for (const [colour, width] of [[DARK, chosen ? 4 : 3], [BOX_COLOUR[key], chosen ? 2 : 1.5]]) {
    context.strokeStyle = colour;
    context.lineWidth = width;
    context.strokeRect(x0, y0, x1 - x0, y1 - y0);
  }
  context.setLineDash([]);
  const shows = chosen || session.tool === key || session.hover?.box === key;
  if (shows) drawHandles(context, boxHandles(box), view, BOX_COLOUR[key], chosen ? sidesOf(session.selection) : null);
}

/** The frame of the whole skeleton: corners that scale, a round handle that turns. */
function drawWhole(context, { session, view }) {
  const frame = wholeFrameOf(session.doc);
  if (!frame) return;
  const [[x0, y0], [x1, y1]] = [toScreen(view, frame), toScreen(view, frame.slice(2))];
  context.setLineDash([5, 4]);
  for (const [colour, width] of [[DARK, 3], [LIGHT, 1.25]]) {
    context.strokeStyle = colour;
    context.lineWidth = width;
    context.strokeRect(x0, y0, x1 - x0, y1 - y0);
  }
  context.setLineDash([]);
  const handles = wholeHandles(frame);
  drawHandles(context, handles.filter(([name]) => name !== "turn"), view, DARK);
  drawRing(context, toScreen(view, handles.at(-1)[1]), HANDLE_SIDE / 2 + 1, LIGHT, 3);
}

/** held: the name of the one that keys move, which is larger and filled the other way round. */
function drawHandles(context, handles, view, colour, held = null) {
  for (const [name, place] of handles) {
    const side = name === held ? HANDLE_SIDE + 5 : HANDLE_SIDE;
    const [x, y] = toScreen(view, place).map((value) => Math.round(value) - side / 2);
    context.fillStyle = name === held ? colour : LIGHT;
    context.strokeStyle = name === held ? LIGHT : colour;
    context.lineWidth = name === held ? 2 : 1.5;
    context.fillRect(x, y, side, side);
    context.strokeRect(x, y, side, side);
  }
}

function at(view, joint) {
  return toScreen(view, [joint.x, joint.y]);
}

function line(context, from, to) {
  context.beginPath();
  context.moveTo(...from);
  context.lineTo(...to);
  context.stroke();
}

function circle(context, [x, y], radius) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
}

/** A person that is not the active one: grey, without hands, with its boxes; one that came in has none. */
function drawOther(context, { joints, places }, view) {
  context.strokeStyle = "rgb(220 220 220 / 0.5)";
  context.fillStyle = "rgb(220 220 220 / 0.6)";
  context.lineWidth = 2;
  for (const [a, b] of LIMBS) {
    if (joints[a] && joints[b]) line(context, at(view, joints[a]), at(view, joints[b]));
  }
  for (const joint of Object.values(joints).filter(Boolean)) {
    circle(context, at(view, joint), 3);
    context.fill();
  }
  context.lineWidth = 1;
  for (const box of BOXES.map((key) => places?.[key]).filter(Boolean)) {
    const [[x0, y0], [x1, y1]] = [toScreen(view, box), toScreen(view, box.slice(2))];
    context.strokeRect(x0, y0, x1 - x0, y1 - y0);
  }
}

/** How large marks are drawn, 1 for a body that has room enough. */
function markSize(body, view) {
  const height = bodyHeight(body);
  return height === null ? 1 : Math.min(Math.max((height * view.scale) / FULL_MARKS_FROM_PX, SMALLEST_MARKS), 1);
}

/** Joints that came in and are no part of the text: paler, dashed, and hollow when they are not seen in the picture. */
function drawGhosts(context, { session, view, marks }) {
  const { person, others } = session.ghosts;
  context.globalAlpha = GHOST_ALPHA;
  for (const other of others) drawOther(context, other, view);
  for (const part of ["joints", ...HANDS]) {
    drawGhostLimbs(context, person[part], activePerson(session.doc)[part], part, view, marks);
  }
  for (const { part, name, point } of listGhosts(person)) {
    const radius = (part === "joints" ? JOINT_RADIUS : HAND_RADIUS) * marks;
    const colour = jointColour(part, name);
    circle(context, at(view, point), radius + 1);
    context.fillStyle = point.state === "detected" ? colour : DARK;
    context.fill();
    drawRing(context, at(view, point), radius + 1.5, point.state === "detected" ? DARK : colour, 1.5, null, [2.5, 1.5]);
    const isHovered = sameTarget(session.hover, { kind: "ghost", index: 0, part, name });
    if (isHovered) drawRing(context, at(view, point), radius + 4, LIGHT, 1.5);
  }
  context.globalAlpha = 1;
}

function drawGhostLimbs(context, ghosts, placed, part, view, marks) {
  context.lineCap = "butt";
  context.setLineDash([4, 4]);
  context.lineWidth = (part === "joints" ? 2.5 : 1.25) * marks;
  limbsOf(part).forEach(([a, b], index) => {
    const ends = [a, b].map((name) => placed[name] ?? ghosts[name]);
    if (!ends.every(Boolean) || (placed[a] && placed[b])) return;
    context.strokeStyle = limbColour(part, index);
    line(context, ...ends.map((end) => at(view, end)));
  });
  context.setLineDash([]);
}

function drawPerson(context, scene) {
  const { session, view, marks } = scene;
  const person = activePerson(session.doc);
  const long = longLimbs(person.joints).map(String);
  for (const part of ["joints", ...HANDS]) drawLimbs(context, person[part], part, view, marks, long);
  for (const part of [...HANDS, "joints"]) {
    for (const name of PARTS[part]) {
      if (person[part][name]) drawJoint(context, scene, { kind: "joint", part, name }, person[part][name]);
    }
  }
}

function drawLimbs(context, joints, part, view, marks, long) {
  const width = (part === "joints" ? 3 : 1.5) * marks;
  context.lineCap = "round";
  limbsOf(part).forEach(([a, b], index) => {
    if (!joints[a] || !joints[b]) return;
    const ends = [at(view, joints[a]), at(view, joints[b])];
    const warn = part === "joints" && long.includes(String([a, b]));
    context.setLineDash([]);
    context.strokeStyle = "rgb(0 0 0 / 0.45)";
    context.lineWidth = width + 1.5;
    line(context, ...ends);
    context.setLineDash(warn ? [3, 6] : []);
    context.strokeStyle = warn ? WARNING : limbColour(part, index);
    context.lineWidth = width;
    line(context, ...ends);
  });
  context.setLineDash([]);
}

/** Seen joints are filled, given ones have a white rim, proposed ones a dashed rim, occluded ones are rings. */
function drawJoint(context, { session, view, marks }, target, joint) {
  const place = at(view, joint);
  const colour = jointColour(target.part, target.name);
  const radius = (target.part === "joints" ? JOINT_RADIUS : HAND_RADIUS) * marks;
  if (sameTarget(target, session.selection)) drawRing(context, place, radius + 5, LIGHT, 2);
  else if (sameTarget(target, session.hover)) drawRing(context, place, radius + 4, "rgb(255 255 255 / 0.7)", 1.5);
  circle(context, place, radius + 1.5 * marks);
  context.fillStyle = joint.state === "given" ? LIGHT : DARK;
  context.fill();
  circle(context, place, radius);
  context.fillStyle = joint.state === "occluded" ? DARK : colour;
  context.fill();
  if (joint.state === "occluded") drawRing(context, place, radius - 0.5, colour, 2, null);
  if (joint.state === "proposed") drawRing(context, place, radius + 2.5, LIGHT, 1.25, null, [2, 2.5]);
}

function drawRing(context, place, radius, colour, width, under = DARK, dash = []) {
  circle(context, place, radius);
  if (under) {
    context.strokeStyle = under;
    context.lineWidth = width + 2;
    context.stroke();
  }
  context.setLineDash(dash);
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.stroke();
  context.setLineDash([]);
}

function drawPoints(context, { session, view, marks }, kind) {
  const [radius, arm] = [POINT_RADIUS * marks, 3 * marks];
  session.doc[kind].forEach((point, index) => {
    const [x, y] = toScreen(view, point);
    if (sameTarget({ kind, index }, session.selection)) drawRing(context, [x, y], radius + 4, LIGHT, 2);
    else if (sameTarget({ kind, index }, session.hover)) drawRing(context, [x, y], radius + 3, "rgb(255 255 255 / 0.7)", 1.5);
    circle(context, [x, y], radius);
    context.fillStyle = POINT_COLOUR[kind];
    context.fill();
    context.strokeStyle = LIGHT;
    context.lineWidth = 1.5;
    context.stroke();
    line(context, [x - arm, y], [x + arm, y]);
    if (kind === "positive") line(context, [x, y - arm], [x, y + arm]);
  });
}

/** While a joint is placed or dragged: how far from its neighbours it may lie, and where it would go. */
function drawReach(context, { session, view, pointer, body }) {
  const target = session.drag?.target ?? (session.tool === "place" ? session.next : null);
  if (target?.part !== "joints") return;
  context.setLineDash([4, 4]);
  context.lineWidth = 1;
  for (const { x, y, radius } of reachOf(body, target.name)) {
    for (const [colour, shift] of [["rgb(0 0 0 / 0.6)", 4], ["rgb(255 255 255 / 0.8)", 0]]) {
      context.lineDashOffset = shift;
      context.strokeStyle = colour;
      circle(context, toScreen(view, [x, y]), radius * view.scale);
      context.stroke();
    }
  }
  context.setLineDash([]);
  if (!session.drag && pointer) drawNext(context, session.next, body, view, pointer);
}

function drawNext(context, next, body, view, pointer) {
  const place = toScreen(view, pointer);
  context.globalAlpha = 0.7;
  context.lineWidth = 2;
  context.strokeStyle = jointColour(next.part, next.name);
  for (const [a, b] of limbsOf(next.part).filter((limb) => limb.includes(next.name))) {
    const neighbour = body[a === next.name ? b : a];
    if (neighbour) line(context, at(view, neighbour), place);
  }
  circle(context, place, JOINT_RADIUS);
  context.fillStyle = jointColour(next.part, next.name);
  context.fill();
  context.globalAlpha = 1;
}

/** The labels to be shown, most important first: {text, at, loud}. */
function labels({ session, view, pointer }) {
  const { doc, selection, hover, next, tool, drag, ghosts } = session;
  const shown = [];
  if (tool === "place" && next && pointer && !drag) {
    shown.push({ text: jointLabel(next.part, next.name), at: toScreen(view, pointer), loud: true });
  }
  for (const target of [selection, hover]) {
    const place = target?.kind === "joint" && activePerson(doc)[target.part][target.name];
    if (place) shown.push({ text: jointLabel(target.part, target.name), at: at(view, place), loud: true });
  }
  const ghost = hover?.kind === "ghost" && !drag && [ghosts.person, ...ghosts.others][hover.index]?.[hover.part][hover.name];
  if (ghost) shown.push({ text: say("named", { name: jointLabel(hover.part, hover.name), state: say(`state.${ghost.state}`) }), at: at(view, ghost), loud: true });
  return [...shown, ...boxTitles(session, view), ...quietLabels(doc, view, shown)];
}

/** The titles of boxes that are wide enough for one, or that are looked at. */
function boxTitles({ doc, selection, hover }, view) {
  const wide = (box) => (doc[box][2] - doc[box][0]) * view.scale >= TITLE_FROM_PX;
  return BOXES.filter((box) => doc[box] && (wide(box) || selection?.box === box || hover?.box === box))
    .map((box) => ({ text: say(`title.${box}`), at: toScreen(view, doc[box]), colour: BOX_COLOUR[box], above: true }));
}

function quietLabels(doc, view, shown) {
  const { joints } = activePerson(doc);
  const placed = PARTS.joints.filter((name) => joints[name]);
  const heights = placed.map((name) => joints[name].y * view.scale);
  if (placed.length === 0 || Math.max(...heights) - Math.min(...heights) < LABELS_FROM_PX) return [];
  const middle = placed.reduce((sum, name) => sum + joints[name].x, 0) / placed.length;
  return placed
    .map((name) => ({ text: jointLabel("joints", name), at: at(view, joints[name]), left: joints[name].x < middle }))
    .filter(({ text }) => !shown.some((label) => label.text === text));
}
