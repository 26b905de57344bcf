// Mouse, pen and touch on the canvas. One pointer works the session or drags the picture; two zoom and drag it.

import { keepVisible, panBy, pinch, toPicture, zoomAt } from "./view.mjs";
import { distance } from "../document/places.mjs";

// How far from a point still counts, in CSS pixels.
const REACH = { mouse: 9, pen: 12, touch: 22 };
const SHAKE = 3;
const WHEEL_STEP = 0.0015;
const LINE_PX = 16;

/** Listens on a canvas for an editor, which has session, view (settable) and canvasSize. */
export class Gestures {
  #editor;
  #canvas;
  #pointers = new Map();
  #type = null;
  #mode = null;
  spaceHeld = false;

  constructor(editor, canvas) {
    this.#editor = editor;
    this.#canvas = canvas;
    const on = (name, handler, options) => canvas.addEventListener(name, handler, options);
    on("pointerdown", (event) => this.#down(event));
    on("pointermove", (event) => this.#move(event));
    on("pointerup", (event) => this.#up(event));
    on("pointercancel", (event) => this.#up(event, true));
    on("pointerleave", () => {
      editor.pointAt(null);
      editor.session.leave();
    });
    // Whoever has the focus now hears that Space is released, be it another window.
    on("blur", () => this.#releaseSpace());
    on("wheel", (event) => this.#wheel(event), { passive: false });
    on("contextmenu", (event) => event.preventDefault());
  }

  /** xy_screen of an event: the page may show the canvas larger or smaller than its own CSS pixels. */
  #place(event) {
    const rect = this.#canvas.getBoundingClientRect();
    const [width, height] = this.#editor.canvasSize;
    return [((event.clientX - rect.left) / rect.width) * width, ((event.clientY - rect.top) / rect.height) * height];
  }

  #reach(event) {
    return (REACH[event.pointerType] ?? REACH.mouse) / this.#editor.view.scale;
  }

  #down(event) {
    if (!this.#isMeant(event)) return;
    this.#canvas.focus({ preventScroll: true });
    this.#canvas.setPointerCapture(event.pointerId);
    const place = this.#place(event);
    this.#pointers.set(event.pointerId, place);
    if (this.#pointers.size === 2) {
      this.#editor.session.cancel();
      this.#mode = "pinch";
    } else if (this.#pointers.size === 1) {
      const works = event.button === 0 && !this.spaceHeld
        && this.#editor.session.pointerDown(toPicture(this.#editor.view, place), this.#reach(event));
      this.#mode = works ? "work" : "pan";
    }
    this.#canvas.style.cursor = this.#mode === "pan" ? "grabbing" : this.#canvas.style.cursor;
  }

  /** A hand that rests beside the pen, or beside the mouse, is no second finger; the pen goes before what the hand began. */
  #isMeant({ pointerType }) {
    const isAnother = this.#pointers.size > 0 && pointerType !== this.#type;
    if (isAnother && pointerType !== "pen") return false;
    if (isAnother) this.#editor.session.cancel();
    if (isAnother) this.#pointers.clear();
    this.#type = pointerType;
    return true;
  }

  #move(event) {
    const place = this.#place(event);
    const { session, view } = this.#editor;
    const xy_px = toPicture(view, place);
    this.#editor.pointAt(event.pointerType === "touch" ? null : xy_px);
    const before = this.#pointers.get(event.pointerId);
    if (this.#mode === null || (before && this.#mode === "work")) {
      session.pointerMove(xy_px, this.#reach(event), SHAKE / view.scale);
    } else if (before && this.#mode === "pan") {
      this.#show(panBy(view, [place[0] - before[0], place[1] - before[1]]));
    } else if (before && this.#mode === "pinch" && this.#pointers.size === 2) {
      this.#pinch(event.pointerId, place);
    }
    if (before) this.#pointers.set(event.pointerId, place);
  }

  #pinch(id, place) {
    const [first, second] = [...this.#pointers.entries()];
    const moved = ([key, old]) => (key === id ? place : old);
    const [before, after] = [[first[1], second[1]], [moved(first), moved(second)]];
    if (distance(...before) > 1 && distance(...after) > 1) this.#show(pinch(this.#editor.view, before, after));
  }

  #up(event, cancelled = false) {
    if (!this.#pointers.delete(event.pointerId)) return;
    if (this.#mode === "work") cancelled ? this.#editor.session.cancel() : this.#editor.session.pointerUp();
    // The finger that stays after a pinch does nothing until it is lifted, too.
    this.#mode = this.#pointers.size === 0 ? null : "done";
    this.#editor.refresh();
  }

  #releaseSpace() {
    this.spaceHeld = false;
    this.#editor.refresh();
  }

  #wheel(event) {
    if (!this.#editor.takesWheel()) return void this.#editor.passWheel(event);
    event.preventDefault();
    event.stopPropagation();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? LINE_PX : 1;
    if (event.shiftKey) return void this.#show(panBy(this.#editor.view, [-(event.deltaX || event.deltaY) * lines, 0]));
    const factor = Math.exp(-event.deltaY * lines * WHEEL_STEP * (event.ctrlKey ? 4 : 1));
    this.#show(zoomAt(this.#editor.view, factor, this.#place(event)));
  }

  #show(view) {
    this.#editor.view = keepVisible(view, this.#editor.canvasSize, this.#editor.session.size);
  }
}
