// What one editor knows and does, without a page: beside its text what is selected, the tool, a drag on its way. Places
// are in pixels of the shown picture. A drag is one step of undo, and Esc during it leaves no trace.

import * as edits from "./document/edits.mjs";
import { importPeople } from "./document/detected.mjs";
import { adoptGhost, adoptGhosts, knownBody, listGhosts } from "./document/ghosts.mjs";
import { thingName } from "./document/names.mjs";
import { insertPeople } from "./document/openpose.mjs";
import { addPerson, removePerson, setActive } from "./document/people.mjs";
import { applyPose } from "./document/poses.mjs";
import {
  hasHand, jointOf, missingAfter, missingJoints, placedJoints, placeOf, suggestedPlace, targetsOf,
} from "./document/queries.mjs";
import { centreOf } from "./document/places.mjs";
import { MAX_PEOPLE, MAX_POINTS, POINTS } from "./document/reading.mjs";
import { mirrorPerson, movePerson, rotatePerson, scalePerson, skeletonBox } from "./document/transform.mjs";
import { begin } from "./input/begin.mjs";
import { beginDrag, dragged } from "./input/drags.mjs";
import { hitTest, sameStop, sameTarget } from "./input/hits.mjs";
import { hitWhole } from "./input/whole.mjs";
import { TextSession } from "./text_session.mjs";
import { count, say } from "./words/words.mjs";

export { BLANK_SIZE } from "./text_session.mjs";
const CLICK_PX = 3;

export class Session extends TextSession {
  tool = "select";
  selection = null;
  hover = null;
  next = null;
  // What Enter has begun and arrows have moved since, in the text of that name: one step of undo, which Esc takes back.
  #begun = null;

  settle() {
    if (!this.doc || !placeOf(this.doc, this.selection)) this.selection = null;
    this.#aim(this.next);
  }

  /** After an edit nothing is selected that went, and the place tool aims at no joint that has its place by now. */
  commit(doc, merge = null) {
    super.commit(doc, merge);
    this.settle();
  }

  /** Choose one of TOOLS (keys.mjs). */
  setTool(tool) {
    this.cancel();
    this.tool = tool;
    this.message = "";
    this.hover = null;
    this.#begun = null;
    if (tool === "place") this.#aim(this.next, true);
    else this.next = null;
    this.changed();
  }

  /** Place this joint of the active person with the next click, and after it the missing ones that follow. */
  startPlacing(part, name) {
    this.setTool("place");
    this.next = { part, name };
    this.selection = null;
    this.changed();
  }

  /** Aim the place tool at a joint if it is still missing, else at the next missing one. */
  #aim(wanted, fromStart = false) {
    if (this.tool !== "place" || !this.doc) return;
    const known = this.ghosts.person;
    const missing = missingJoints(this.doc, known);
    this.next = missing.find((joint) => wanted && joint.part === wanted.part && joint.name === wanted.name)
      ?? (fromStart ? missing[0] : missingAfter(this.doc, wanted, known)) ?? null;
    if (this.next === null) {
      this.tool = "select";
      this.message = say("say.every");
    }
  }

  /** Select a target, or nothing (null). */
  select(target) {
    this.selection = target;
    this.message = "";
    this.changed();
  }

  /**
   * A button or finger went down at xy_px; things within reach_px are hit.
   * @returns {boolean} false when nothing is to be done here, so that the view may be dragged instead
   */
  pointerDown(xy_px, reach_px) {
    if (!this.doc) return false;
    this.message = "";
    this.#begun = null;
    const drag = beginDrag(this, xy_px, reach_px);
    if (drag?.person !== undefined) this.setPerson(drag.person);
    else this.drag = drag;
    this.changed();
    return drag !== null;
  }

  /** The pointer moved to xy_px; slack_px is how far a click may shake. */
  pointerMove(xy_px, reach_px, slack_px = CLICK_PX) {
    if (!this.doc) return;
    if (!this.drag) {
      this.#hoverAt(xy_px, reach_px);
      return;
    }
    const { from_px } = this.drag;
    this.drag.moved ||= Math.hypot(xy_px[0] - from_px[0], xy_px[1] - from_px[1]) > slack_px;
    if (!this.drag.moved) return;
    this.doc = dragged(this.drag, this.doc, xy_px);
    this.changed();
  }

  /** What lies at xy_px, as hits.mjs says it; ghosts are hit with the select tool only, handles of the whole by its own. */
  hit(xy_px, reach_px) {
    if (this.tool === "whole") return hitWhole(this.doc, xy_px, reach_px);
    return hitTest(this.doc, xy_px, reach_px, this.tool === "select" ? this.ghosts : null);
  }

  #hoverAt(xy_px, reach_px) {
    const hover = this.tool === "place" ? null : this.hit(xy_px, reach_px);
    const changed = !sameTarget(hover, this.hover) || hover?.handle !== this.hover?.handle;
    this.hover = hover;
    if (changed || this.tool === "place") this.changed();
  }

  /** The pointer is over nothing here any more. */
  leave() {
    if (!this.hover || this.drag) return;
    this.hover = null;
    this.changed();
  }

  /** The button or finger went up: the drag becomes an edit. */
  pointerUp() {
    const { drag, doc } = this;
    if (!drag) return;
    if (!drag.moved && !drag.placed) {
      this.drag = null;
      this.doc = drag.before;
      if (drag.draws) this.message = say("say.drag", { box: thingName(drag.draws) });
      this.changed();
      return;
    }
    if (drag.draws && doc[drag.draws]) this.selection = { kind: "box", box: drag.draws };
    this.commit(doc);
  }

  /** Take back a drag on its way; says whether there was one. */
  cancel() {
    if (!this.drag) return false;
    this.doc = this.drag.before;
    this.drag = null;
    if (!placeOf(this.doc, this.selection)) this.selection = null;
    this.changed();
    return true;
  }

  /** Carry out a command of keys.mjs; false when it means nothing here, so that the page may have the key. */
  perform(command) {
    const does = {
      undo: () => (this.undo(), true),
      redo: () => (this.redo(), true),
      escape: () => this.escape(),
      tool: () => (this.setTool(command.tool), true),
      nudge: () => this.nudge(command.by_px),
      next: () => this.step(1),
      previous: () => this.step(-1),
      first: () => (this.select(null), this.step(1)),
      last: () => (this.select(null), this.step(-1)),
      remove: () => this.remove(),
      put: () => this.put(command.seen),
      occluded: () => this.toggleState(),
      mirror: () => this.mirror(),
      scale: () => this.transform((doc, centre) => scalePerson(doc, command.by, centre)),
      rotate: () => this.transform((doc, centre) => rotatePerson(doc, command.by, centre)),
    }[command.name];
    if (!does || !(this.doc || ["undo", "redo", "escape"].includes(command.name))) return false;
    this.message = "";
    return does();
  }

  /** Give up, one thing at a time: a drag, what was begun, the tool, the selection. False when there is nothing left. */
  escape() {
    if (this.cancel()) return true;
    if (this.#isBegun) return (this.undo(), true);
    if (this.tool !== "select") return (this.setTool("select"), true);
    if (this.selection) return (this.select(null), true);
    return false;
  }

  /** Move what is selected by px. */
  nudge([dx, dy]) {
    if (this.tool === "whole") return this.transform((doc) => movePerson(doc, [dx, dy]));
    if (!placeOf(this.doc, this.selection) || this.drag) return false;
    const doc = edits.nudgeTarget(this.doc, this.selection, [dx, dy]);
    if (this.#isBegun) this.#goOn(doc, this.#begun.key);
    else this.commit(doc, `nudge ${JSON.stringify(this.selection)}`);
    return true;
  }

  /** Whether what is selected was begun by Enter, and nothing else happened since. */
  get #isBegun() {
    return this.#begun?.text === this.text && sameTarget(this.#begun.target, this.selection);
  }

  /** Commit what was begun, or how it was moved since. */
  #goOn(doc, key) {
    this.commit(doc, key);
    this.#begun = { key, target: this.selection, text: this.text };
  }

  /** Change the whole skeleton by its own tool: change(doc, centre) gives the new document. */
  transform(change) {
    const box = this.tool === "whole" && skeletonBox(this.doc);
    if (!box || this.drag) return false;
    this.commit(change(this.doc, centreOf(box)), "whole");
    return true;
  }

  /** Mirror the active person. */
  mirror() {
    if (!this.doc || !skeletonBox(this.doc) || this.drag) return false;
    this.selection = null;
    this.commit(mirrorPerson(this.doc));
    return true;
  }

  /** Give the active person a pose of the library. */
  takePose(name) {
    if (!this.doc) return;
    this.selection = null;
    this.commit(applyPose(this.doc, name, this.size));
  }

  /** Put people of a pasted pose (see openpose.mjs) into the document. */
  insertPeople(people) {
    if (!this.doc || people.length === 0) return void this.say(say("say.none"));
    const before = this.doc.people.length - (placedJoints(this.doc).length === 0);
    this.#turnTo(insertPeople(this.doc, people));
    const put = this.doc.people.length - before;
    const isAll = put === people.length;
    this.say(isAll ? say("say.pasted", { people: count(put, "count.person") }) : say("say.most", { number: MAX_PEOPLE }));
  }

  /** Select the next thing (1) or the one before (-1), round the end; false when there is nothing to be selected. */
  step(direction) {
    const targets = targetsOf(this.doc);
    const exact = targets.findIndex((target) => sameStop(target, this.selection));
    const at = exact === -1 ? targets.findIndex((target) => sameTarget(target, this.selection)) : exact;
    const start = direction > 0 ? 0 : targets.length - 1;
    const index = at === -1 ? start : (at + direction + targets.length) % targets.length;
    this.select(targets[index] ?? null);
    return targets.length > 0;
  }

  /** Delete what is selected. */
  remove() {
    if (!placeOf(this.doc, this.selection)) return false;
    const target = this.selection;
    const { part, name } = target;
    const left = edits.removeTarget(this.doc, target);
    const comesBack = target.kind === "joint" && Object.hasOwn(this.ghostsOf(left).person[part], name);
    this.selection = null;
    this.commit(comesBack ? edits.banJoint(left, part, name) : left);
    return true;
  }

  /**
   * Put something there without a pointer; arrows move it from there. The next joint comes where its neighbours suggest, a
   * point or a box in the middle of what is seen [x0, y0, x1, y1] px.
   */
  put(seen = [0, 0, ...this.size]) {
    if (this.drag) return false;
    if (this.tool === "place") return this.#putJoint();
    const begun = begin(this, seen);
    if (!begun) return false;
    const isNew = begun.doc !== this.doc;
    if (!isNew && begun.target.kind !== "box") return (this.say(say("say.most", { number: MAX_POINTS })), true);
    this.selection = begun.target;
    if (isNew) this.#goOn(begun.doc, `begin ${JSON.stringify(begun.target)}`);
    else this.changed();
    return true;
  }

  #putJoint() {
    if (!this.next) return false;
    const { part, name } = this.next;
    const place = suggestedPlace(knownBody(this.doc, this.ghosts), part, name, this.size);
    const doc = edits.setJoint(this.doc, part, name, edits.nearby(this.size, place), "given");
    this.selection = { kind: "joint", part, name };
    this.commit(doc);
    return true;
  }

  /** Mark the selected joint as occluded, or as given again; make a selected point one of the other kind. */
  toggleState() {
    const { kind, part, name } = this.selection ?? {};
    if (POINTS.includes(kind)) return this.#switchPoint();
    if (kind !== "joint") return false;
    this.setState(jointOf(this.doc, part, name).state === "occluded" ? "given" : "occluded");
    return true;
  }

  #switchPoint() {
    const switched = !this.drag && edits.switchPoint(this.doc, this.selection);
    if (!switched) return (this.say(say("say.most", { number: MAX_POINTS })), true);
    this.selection = switched.target;
    this.commit(switched.doc);
    return true;
  }

  /** Mark the selected joint as one of STATES. */
  setState(state) {
    const { kind, part, name } = this.selection ?? {};
    if (kind === "joint") this.commit(edits.setJointState(this.doc, part, name, state));
  }

  /** Begin a hand, from its ghosts if there are any, or take it away. */
  toggleHand(hand) {
    if (!this.doc) return;
    const begun = hasHand(this.doc, hand);
    const ghosts = listGhosts(this.ghosts.person, [hand]);
    if (begun && this.selection?.part === hand) this.selection = null;
    if (begun) this.commit(edits.removeHand(this.doc, hand));
    else this.commit(ghosts.length > 0 ? adoptGhosts(this.doc, ghosts) : edits.addHand(this.doc, hand));
  }

  /** Make a ghost of the active person a joint of the text, where it lies, and select it. */
  adopt(part, name) {
    const point = this.ghosts.person[part][name];
    if (!point) return;
    this.selection = { kind: "joint", part, name };
    this.commit(adoptGhost(this.doc, { part, name, point }));
  }

  /** Make all ghosts of the active person joints of the text; false when there are none. */
  adoptAll() {
    const ghosts = listGhosts(this.ghosts.person);
    if (ghosts.length === 0) return false;
    this.commit(adoptGhosts(this.doc, ghosts));
    this.say(say("say.importedPose", { joints: count(ghosts.length, "count.joint") }));
    return true;
  }

  /** Make another person the active one. */
  setPerson(index) {
    this.drag = null;
    this.#turnTo(setActive(this.doc, index));
  }

  addPerson() {
    if (!this.doc) return;
    if (this.doc.people.length >= MAX_PEOPLE) return void this.say(say("say.most", { number: MAX_PEOPLE }));
    this.#turnTo(addPerson(this.doc));
  }

  removePerson() {
    if (this.doc) this.#turnTo(removePerson(this.doc));
  }

  /** Another person is active in this document: nothing is selected, and placing begins at its first missing joint. */
  #turnTo(doc) {
    this.selection = null;
    this.next = null;
    this.commit(doc);
  }

  /** Put detected people (one picture of a POSE_KEYPOINT value) into the document, and say who found them. */
  importPeople(frame, detector = "mini") {
    if (!this.doc) return;
    const found = importPeople(this.doc, frame);
    if (found.people === 0) return void this.say(say("say.none"));
    this.commit(found.doc);
    const [joints, people] = [count(found.joints, "count.joint"), count(found.people, "count.person")];
    this.say(say("say.imported", { joints, people, detector }));
  }
}
