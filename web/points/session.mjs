// What one editor knows and does, without a page: the text and its document, what is selected, the tool, a drag on its
// way, undo and redo. Places are in pixels of the shown picture.
//
// An edit becomes part of the text at its end (`commit`): a drag is one step, and Esc during it leaves no trace. A text
// that nobody edited stays as it is, character by character, however wrong it is.

import { beginDrag, dragged } from "./input/drags.mjs";
import * as edits from "./document/edits.mjs";
import { adoptGhost, adoptGhosts, findGhosts, knownBody, listGhosts } from "./document/ghosts.mjs";
import { History } from "./document/history.mjs";
import { hitTest, sameTarget } from "./input/hits.mjs";
import { importPeople } from "./document/people.mjs";
import {
  extentOf, hasHand, jointOf, missingAfter, missingJoints, placeOf, suggestedPlace, targetsOf,
} from "./document/queries.mjs";
import { emptyDocument, MAX_PEOPLE, readDocument, writeDocument } from "./document/reading.mjs";
import { count, NAMES } from "./document/words.mjs";

export const TOOLS = Object.freeze(["select", "place", "roi_box", "full_box", "positive", "negative"]);
export const BLANK_SIZE = Object.freeze([512, 512]);
const CLICK_PX = 3;

export class Session {
  #onCommit;
  #onChange;
  #picture = null;
  #incoming = { people: null, number: -1 };
  #ghosts = { doc: null, found: null };

  /** onCommit(text): an edit was made. onChange(): something that is shown has changed. */
  constructor({ onCommit = () => {}, onChange = () => {} } = {}) {
    this.#onCommit = onCommit;
    this.#onChange = onChange;
    this.history = new History("");
    this.tool = "select";
    this.selection = null;
    this.hover = null;
    this.next = null;
    this.drag = null;
    this.message = "";
    this.#read();
  }

  get text() {
    return this.history.present;
  }

  /** Width and height in px of what is shown: the picture's, or the text's, or a blank sheet's. */
  get size() {
    const [width, height] = this.#picture ?? (this.doc ? extentOf(this.doc, BLANK_SIZE) : BLANK_SIZE);
    return [this.doc?.width ?? width, this.doc?.height ?? height];
  }

  /** Take a text from outside. Undo leads back from it, but not before the first edit: a node gets its text late. */
  load(text) {
    if (text === this.text) return;
    if (this.history.canUndo || this.history.canRedo) this.history.push(text);
    else this.history = new History(text);
    this.#restore();
  }

  /** Show a picture of [width, height] px, or none (null). The text changes only with the next edit. */
  showPicture(size) {
    if (size?.[0] === this.#picture?.[0] && size?.[1] === this.#picture?.[1]) return;
    this.#picture = size;
    this.drag = null;
    this.#read();
    this.#onChange();
  }

  /** Show as ghosts what came in with the connected pose (see ghosts.mjs), or nothing (null). The text stays. */
  showIncoming(people, number = -1) {
    if (people === this.#incoming.people && number === this.#incoming.number) return;
    this.#incoming = { people, number };
    this.#ghosts = { doc: null, found: null };
    this.#onChange();
  }

  /** The ghosts of the present document. */
  get ghosts() {
    if (!this.#ghosts.found || this.#ghosts.doc !== this.doc) this.#ghosts = { doc: this.doc, found: this.#ghostsOf(this.doc) };
    return this.#ghosts.found;
  }

  /** Whether the active person has ghosts. */
  get hasGhosts() {
    return listGhosts(this.ghosts.person).length > 0;
  }

  #ghostsOf(doc) {
    return findGhosts(doc, this.#incoming.people, this.#incoming.number);
  }

  #read() {
    const { doc, problems } = readDocument(this.text);
    this.problems = problems;
    // Without a picture, points of a text that names no size belong to a picture of any size: none is written down.
    const size = this.#picture ?? (this.text.trim() === "" ? BLANK_SIZE : null);
    this.doc = doc && size ? edits.fitToPicture(doc, ...size) : doc;
  }

  #restore() {
    this.drag = null;
    this.message = "";
    this.#read();
    if (!this.doc || !placeOf(this.doc, this.selection)) this.selection = null;
    this.#aim(this.next);
    this.#onChange();
  }

  #commit(doc, merge = null) {
    if (!doc || doc === this.doc && !this.drag) return;
    this.drag = null;
    this.doc = doc;
    this.problems = [];
    const text = writeDocument(doc);
    const changed = text !== this.text;
    this.history.push(text, merge);
    this.#onChange();
    if (changed) this.#onCommit(text);
  }

  /** Show a message in the status line until the next action. */
  say(message) {
    this.message = message;
    this.#onChange();
  }

  /** Take a text as it is being typed; typing is one step of undo. */
  type(text) {
    if (text === this.text) return;
    this.history.push(text, "typing");
    this.#restore();
    this.#onCommit(text);
  }

  /** Give up a text that cannot be read and begin with an empty document; undo brings the text back. */
  startAfresh() {
    this.#commit(emptyDocument(...this.size));
  }

  undo() {
    this.#travel(this.history.canUndo, () => this.history.undo());
  }

  redo() {
    this.#travel(this.history.canRedo, () => this.history.redo());
  }

  #travel(possible, step) {
    if (this.drag) return this.cancel();
    if (!possible) return;
    const text = step();
    this.#restore();
    this.#onCommit(text);
  }

  /** Choose one of TOOLS. */
  setTool(tool) {
    this.cancel();
    this.tool = tool;
    this.message = "";
    this.hover = null;
    if (tool === "place") this.#aim(this.next, true);
    else this.next = null;
    this.#onChange();
  }

  /** Place this joint of the active person with the next click, and after it the missing ones that follow. */
  startPlacing(part, name) {
    this.setTool("place");
    this.next = { part, name };
    this.selection = null;
    this.#onChange();
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
      this.message = "Every joint has its place.";
    }
  }

  /** Select a target, or nothing (null). */
  select(target) {
    this.selection = target;
    this.message = "";
    this.#onChange();
  }

  /**
   * A button or finger went down at xy_px; things within reach_px are hit.
   * @returns {boolean} false when nothing is to be done here, so that the view may be dragged instead
   */
  pointerDown(xy_px, reach_px) {
    if (!this.doc) return false;
    this.message = "";
    const drag = beginDrag(this, xy_px, reach_px);
    if (drag?.person !== undefined) this.setPerson(drag.person);
    else this.drag = drag;
    this.#onChange();
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
    this.#onChange();
  }

  /** What lies at xy_px, as hits.mjs says it; ghosts are hit with the select tool only. */
  hit(xy_px, reach_px) {
    return hitTest(this.doc, xy_px, reach_px, this.tool === "select" ? this.ghosts : null);
  }

  #hoverAt(xy_px, reach_px) {
    const hover = this.tool === "place" ? null : this.hit(xy_px, reach_px);
    const changed = !sameTarget(hover, this.hover) || hover?.handle !== this.hover?.handle;
    this.hover = hover;
    if (changed || this.tool === "place") this.#onChange();
  }

  /** The button or finger went up: the drag becomes an edit. */
  pointerUp() {
    const { drag, doc } = this;
    if (!drag) return;
    if (!drag.moved && !drag.placed) {
      this.drag = null;
      this.doc = drag.before;
      if (drag.draws) this.message = `Drag from one corner to the other to draw the ${NAMES[drag.draws]}.`;
      this.#onChange();
      return;
    }
    if (drag.draws && doc[drag.draws]) this.selection = { kind: "box", box: drag.draws };
    if (drag.placed && drag.target.kind === "joint") this.#aim(this.next);
    this.#commit(doc);
  }

  /** Take back a drag on its way; says whether there was one. */
  cancel() {
    if (!this.drag) return false;
    this.doc = this.drag.before;
    this.drag = null;
    if (!placeOf(this.doc, this.selection)) this.selection = null;
    this.#onChange();
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
      remove: () => this.remove(),
      put: () => this.put(),
      occluded: () => this.toggleOccluded(),
    }[command.name];
    if (!does || !(this.doc || ["undo", "redo", "escape"].includes(command.name))) return false;
    this.message = "";
    return does();
  }

  /** Give up, one thing at a time: a drag, the tool, the selection. False when there is nothing left. */
  escape() {
    if (this.cancel()) return true;
    if (this.tool !== "select") return (this.setTool("select"), true);
    if (this.selection) return (this.select(null), true);
    return false;
  }

  /** Move what is selected by px. */
  nudge([dx, dy]) {
    const place = placeOf(this.doc, this.selection);
    if (!place || this.drag) return false;
    const doc = edits.moveTarget(this.doc, this.selection, [place[0] + dx, place[1] + dy]);
    this.#commit(doc, `nudge ${JSON.stringify(this.selection)}`);
    return true;
  }

  /** Select the next thing (1) or the one before (-1); at the end nothing, and false: Tab leaves the canvas. */
  step(direction) {
    const targets = targetsOf(this.doc);
    const at = targets.findIndex((target) => sameTarget(target, this.selection));
    const start = direction > 0 ? 0 : targets.length - 1;
    const index = at === -1 ? start : at + direction;
    this.select(targets[index] ?? null);
    return index >= 0 && index < targets.length;
  }

  /** Delete what is selected. */
  remove() {
    if (!placeOf(this.doc, this.selection)) return false;
    const target = this.selection;
    const { part, name } = target;
    const left = edits.removeTarget(this.doc, target);
    const comesBack = target.kind === "joint" && Object.hasOwn(this.#ghostsOf(left).person[part], name);
    this.selection = null;
    this.#commit(comesBack ? edits.banJoint(left, part, name) : left);
    return true;
  }

  /** Place the next joint without a pointer, where its neighbours suggest; arrows move it from there. */
  put() {
    if (this.tool !== "place" || !this.next) return false;
    const { part, name } = this.next;
    const place = suggestedPlace(knownBody(this.doc, this.ghosts), part, name, this.size);
    const doc = edits.placeJoint(this.doc, part, name, place, "given");
    this.selection = { kind: "joint", part, name };
    this.#commit(doc);
    this.#aim({ part, name });
    this.#onChange();
    return true;
  }

  /** Mark the selected joint as occluded, or as given again. */
  toggleOccluded() {
    const { kind, part, name } = this.selection ?? {};
    if (kind !== "joint") return false;
    this.setState(jointOf(this.doc, part, name).state === "occluded" ? "given" : "occluded");
    return true;
  }

  /** Mark the selected joint as one of STATES. */
  setState(state) {
    const { kind, part, name } = this.selection ?? {};
    if (kind === "joint") this.#commit(edits.setJointState(this.doc, part, name, state));
  }

  /** Begin a hand, from its ghosts if there are any, or take it away. */
  toggleHand(hand) {
    if (!this.doc) return;
    const begun = hasHand(this.doc, hand);
    const ghosts = listGhosts(this.ghosts.person, [hand]);
    if (begun && this.selection?.part === hand) this.selection = null;
    if (begun) this.#commit(edits.removeHand(this.doc, hand));
    else this.#commit(ghosts.length > 0 ? adoptGhosts(this.doc, ghosts) : edits.addHand(this.doc, hand));
  }

  /** Make a ghost of the active person a joint of the text, where it lies, and select it. */
  adopt(part, name) {
    const point = this.ghosts.person[part][name];
    if (!point) return;
    this.selection = { kind: "joint", part, name };
    this.#commit(adoptGhost(this.doc, { part, name, point }));
    this.#aim(this.next);
  }

  /** Make all ghosts of the active person joints of the text; false when there are none. */
  adoptAll() {
    const ghosts = listGhosts(this.ghosts.person);
    if (ghosts.length === 0) return false;
    this.#commit(adoptGhosts(this.doc, ghosts));
    this.#aim(this.next);
    this.say(`Imported ${count(ghosts.length, "joint")} of the connected pose.`);
    return true;
  }

  /** Make another person the active one. */
  setPerson(index) {
    this.selection = null;
    this.drag = null;
    this.#commit(edits.setActive(this.doc, index));
  }

  addPerson() {
    if (!this.doc) return;
    if (this.doc.people.length >= MAX_PEOPLE) return void this.say(`At most ${MAX_PEOPLE} people are read.`);
    this.selection = null;
    this.#commit(edits.addPerson(this.doc));
  }

  removePerson() {
    if (!this.doc) return;
    this.selection = null;
    this.#commit(edits.removePerson(this.doc));
  }

  /** Put detected people (one picture of a POSE_KEYPOINT value) into the document. */
  importPeople(frame) {
    if (!this.doc) return;
    const found = importPeople(this.doc, frame);
    if (found.people === 0) return void this.say("No person was found in the picture.");
    this.#commit(found.doc);
    this.say(`Imported ${count(found.joints, "joint")} of ${count(found.people, "person", "people")}.`);
  }
}
