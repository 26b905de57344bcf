// The text of one editor and the document in it: read, shown on a picture, changed, undone. It knows nothing of pointers.
//
// An edit becomes part of the text at its end (`commit`). A text that nobody edited stays as it is, character by character,
// however wrong it is.

import { findGhosts, listGhosts } from "./document/ghosts.mjs";
import { History } from "./document/history.mjs";
import { poseDocument } from "./document/openpose.mjs";
import { extentOf } from "./document/queries.mjs";
import { emptyDocument, readDocument, writeDocument } from "./document/reading.mjs";
import { differInShape, fitKeepingShape, fitToPicture, hasPlaces } from "./document/sizes.mjs";

export const BLANK_SIZE = Object.freeze([512, 512]);

export class TextSession {
  #onCommit;
  #onChange;
  #picture = null;
  #written = null;
  #incoming = { people: null, number: -1 };
  #ghosts = { doc: null, found: null };

  /** onCommit(text): an edit was made. onChange(): something that is shown has changed. */
  constructor({ onCommit = () => {}, onChange = () => {} } = {}) {
    this.#onCommit = onCommit;
    this.#onChange = onChange;
    this.history = new History("");
    this.drag = null;
    this.message = "";
    this.prompt = null;
    this.read();
  }

  get text() {
    return this.history.present;
  }

  /** Width and height in px of what is shown: the picture's, or the text's, or a blank sheet's. */
  get size() {
    const [width, height] = this.#picture ?? (this.doc ? extentOf(this.doc, BLANK_SIZE) : BLANK_SIZE);
    return [this.doc?.width ?? width, this.doc?.height ?? height];
  }

  /** Something that is shown has changed. */
  changed() {
    this.#onChange();
  }

  /** Take a text from outside. Undo leads back from it, but not before the first edit: a node gets its text late. */
  load(text) {
    if (text === this.text) return;
    if (this.history.canUndo || this.history.canRedo) this.history.reach(text);
    else this.history = new History(text);
    this.restore();
  }

  /** Go on with the history of an earlier session of the same text's; what came since is one more step. */
  inherit(history) {
    const { text } = this;
    this.history = history;
    this.history.reach(text);
    this.restore();
  }

  /** Show a picture of [width, height] px, or none (null). The text changes only with the next edit. */
  showPicture(size) {
    if (size?.[0] === this.#picture?.[0] && size?.[1] === this.#picture?.[1]) return;
    this.#picture = size;
    this.drag = null;
    this.read();
    this.settle();
    this.changed();
  }

  /** Say what the chosen kind of prompt shows (see prompt.mjs), or nothing (null). */
  showPrompt(prompt) {
    if (JSON.stringify(prompt) === JSON.stringify(this.prompt)) return;
    this.prompt = prompt;
    this.changed();
  }

  /** {from, to}: the sizes [width, height], when the points were set on a picture of another shape; or null. */
  get shape() {
    const from = this.#written && [this.#written.width, this.#written.height];
    if (!from?.every(Boolean) || !this.#picture || !this.doc || !hasPlaces(this.doc)) return null;
    return differInShape(from, this.#picture) ? { from, to: this.#picture } : null;
  }

  /** Whether the points were set on a picture of another size, and are scaled to this one. */
  get isScaled() {
    const { width, height } = this.#written ?? {};
    return Boolean(width && height && this.#picture && hasPlaces(this.#written)) && [width, height].join() !== this.#picture.join();
  }

  /** Put the points of another shape's picture into this one as they are, or stretched, as the node would. */
  takeShape(isKept) {
    if (this.shape) this.commit((isKept ? fitKeepingShape : fitToPicture)(this.#written, ...this.#picture));
  }

  /** Show as ghosts what came in with the connected pose (see ghosts.mjs), or nothing (null). The text stays. */
  showIncoming(people, number = -1) {
    if (people === this.#incoming.people && number === this.#incoming.number) return;
    this.#incoming = { people, number };
    this.#ghosts = { doc: null, found: null };
    this.changed();
  }

  /** The ghosts of the present document. */
  get ghosts() {
    if (!this.#ghosts.found || this.#ghosts.doc !== this.doc) this.#ghosts = { doc: this.doc, found: this.ghostsOf(this.doc) };
    return this.#ghosts.found;
  }

  /** Whether the active person has ghosts. */
  get hasGhosts() {
    return listGhosts(this.ghosts.person).length > 0;
  }

  ghostsOf(doc) {
    return findGhosts(doc, this.#incoming.people, this.#incoming.number);
  }

  read() {
    const pose = poseDocument(this.text, this.#picture ?? BLANK_SIZE);
    const { doc, problems } = pose ? { doc: pose, problems: [] } : readDocument(this.text);
    this.problems = problems;
    this.#written = doc;
    // Without a picture, points of a text that names no size belong to a picture of any size: none is written down.
    const size = this.#picture ?? (this.text.trim() === "" ? BLANK_SIZE : null);
    this.doc = doc && size ? fitToPicture(doc, ...size) : doc;
  }

  /** Read the present text anew, after it has changed otherwise than by an edit. */
  restore() {
    this.drag = null;
    this.message = "";
    this.read();
    this.settle();
    this.changed();
  }

  /** After another document came: let go of what is no longer there. */
  settle() {}

  /** Make a document the present one. merge: steps that follow each other with the same key are undone together. */
  commit(doc, merge = null) {
    if (!doc || doc === this.doc && !this.drag) return;
    this.drag = null;
    this.doc = doc;
    this.#written = doc;
    this.problems = [];
    const text = writeDocument(doc);
    const isNew = text !== this.text;
    this.history.push(text, merge);
    this.changed();
    if (isNew) this.#onCommit(text);
  }

  /** Show a message in the status line until the next action. */
  say(message) {
    this.message = message;
    this.changed();
  }

  /** Take a text as it is being typed, or pasted; typing is one step of undo. */
  type(text, merge = "typing") {
    if (text === this.text) return;
    this.history.push(text, merge);
    this.restore();
    this.#onCommit(text);
  }

  /** Give up a text that cannot be read and begin with an empty document; undo brings the text back. */
  startAfresh() {
    this.commit(emptyDocument(...this.size));
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
    this.restore();
    this.#onCommit(text);
  }
}
