// The point editor as an element of a page: a session (what it knows), a canvas, a toolbar, a list, a status line.
// It knows nothing of ComfyUI; page/widget.mjs puts it into a node.

import { cursorOf } from "./ui/cursor.mjs";
import { draw } from "./ui/draw.mjs";
import { element, setText } from "./ui/elements.mjs";
import { Gestures } from "./input/gestures.mjs";
import { listGhosts } from "./document/ghosts.mjs";
import { FOLLOWED, keyCommand, OF_BUTTONS, OF_CHOICES } from "./input/keys.mjs";
import { LargeView } from "./ui/large_view.mjs";
import { showsList } from "./ui/layout.mjs";
import { makeParts } from "./ui/parts.mjs";
import { personBox, placeOf } from "./document/queries.mjs";
import { Session } from "./session.mjs";
import { status } from "./document/status.mjs";
import { STYLE } from "./ui/style.mjs";
import { copyPoses, listenForTransfers, takeFiles } from "./ui/transfer.mjs";
import { fitBox, fitView, keepVisible, panBy, seenPart, toScreen, withInView, ZOOM_STEP, zoomAt } from "./input/view.mjs";
import { say } from "./words/words.mjs";

const FINEST = 3;
const PAN_PX = 30;

/**
 * The editor. `element` goes into the page, which gives it its size.
 *
 * Options: onChange(text) is called after every edit; detect(box), if given, gives one picture's detected people
 * {people, canvas_width, canvas_height}, or throws an error to be shown (box: where the person is in pixels of the
 * picture, or null), detector() names who detects; onWheel(event), if given, gets the wheel while the editor does not have the focus; onPicture(file), if
 * given, takes a picture that was dropped here, or throws an error to be shown.
 */
export class PointsEditor {
  #options;
  #frame = 0;
  // The list is shown as the user chose, or, with null, where there is room.
  #chosenList = null;
  #shown = { list: null, text: false };
  #fitted = true;
  #image = null;
  #part = null;
  #unseen = false;
  #pointer = null;
  #view = { scale: 1, x: 0, y: 0 };
  #note = "";
  #busy = false;
  #isWrong = false;
  #drawnRatio = 0;
  #observer;

  constructor(options = {}) {
    this.#options = options;
    this.session = new Session({ onCommit: (text) => options.onChange?.(text), onChange: () => this.refresh() });
    this.element = element("div", { class: "figura-points", tabindex: "-1", "data-capture-wheel": "true" });
    this.element.editor = this;
    // The page of ComfyUI keeps its own undo away from what says it is a text: the older ones ask for the type, the newer
    // ones whether it is editable. This editor has an undo of its own, too.
    this.element.type = "textarea";
    Object.defineProperty(this.element, "isContentEditable", { value: true });
    this.#build();
    this.#keepToItself();
    this.#handFocusOn();
    this.#observer = new ResizeObserver(() => this.resized());
    this.#observer.observe(this.parts.content);
    this.#observer.observe(this.parts.picture);
    this.resized();
    this.refresh();
  }

  #build() {
    this.parts = makeParts(this);
    const { canvas, content, toolbar, side, poses } = this.parts;
    Object.assign(this, { toolbar, side, poses });
    content.addEventListener("keydown", (event) => this.#key(event));
    content.addEventListener("keyup", (event) => this.#keyUp(event));
    const home = this.element.attachShadow({ mode: "open" });
    home.append(content, element("style", {}, STYLE));
    this.context = canvas.getContext("2d");
    this.gestures = new Gestures(this, canvas);
    this.large = new LargeView(this, content, home);
    listenForTransfers(this, this.element);
  }

  /** What happens in here is none of the graph's business: it would move or delete the node. */
  #keepToItself() {
    for (const name of ["pointerdown", "mousedown", "dblclick", "contextmenu", "touchstart"]) {
      this.element.addEventListener(name, (event) => event.stopPropagation(), { passive: true });
    }
  }

  /**
   * A press on what cannot have the focus, such as the status line, gives it to the nearest thing round it that can: these
   * two, which hand it on. Held by the host itself, it would leave the keys to the page, and Delete would be the node's.
   */
  #handFocusOn() {
    for (const part of [this.element, this.parts.content]) {
      // The host hears of the focus of everything in it as if it were its own.
      part.addEventListener("focus", (event) => event.composedPath()[0] === part && this.focusInside());
    }
  }

  get text() {
    return this.session.text;
  }

  set text(text) {
    this.session.load(text);
  }

  get view() {
    return this.#view;
  }

  set view(view) {
    this.#view = view;
    this.#fitted = false;
    this.refresh();
  }

  /** Width and height of the canvas in its own CSS pixels. */
  get canvasSize() {
    const { clientWidth, clientHeight } = this.parts.picture;
    return [Math.max(clientWidth, 1), Math.max(clientHeight, 1)];
  }

  /**
   * Show a picture that is loaded, or none (null).
   * @param {HTMLImageElement|null} image
   * @param {{size: number[], box: number[]}|null} frame the size [width, height] px that the node gets, and which part of
   * the picture that is
   * @param {string} note stands in the status line while nothing else does; isWrong: it says why there is no picture
   */
  setPicture(image, frame, note = "", isWrong = false) {
    const before = this.session.size.join();
    this.#image = image;
    this.#part = frame?.box ?? null;
    this.session.showPicture(frame?.size ?? null);
    if (before !== this.session.size.join()) this.fit();
    this.setNote(note, isWrong);
  }

  /** Say something else of the picture that is shown, or that is on its way. */
  setNote(note, isWrong = false) {
    this.#note = note;
    this.#isWrong = isWrong;
    this.refresh();
  }

  /** Take a picture file that was dropped or pasted here. */
  async takePicture(file) {
    const { onPicture } = this.#options;
    if (!onPicture) return;
    this.session.say(say("say.uploading"));
    try {
      await onPicture(file);
      this.session.say("");
    } catch (error) {
      this.session.say(error.message);
    }
  }

  /** Take the first of some files that is a picture or a pose. */
  takeFiles(files) {
    return takeFiles(this, files);
  }

  /** Copy all skeletons as the text of a POSE_KEYPOINT value. */
  copyPoses() {
    return copyPoses(this);
  }

  /** Show what came in with the connected pose, or nothing (null); see ghosts.mjs. number: which person is meant, or -1. */
  showIncoming(people, number = -1) {
    this.session.showIncoming(people, number);
  }

  /** Whether joints can be imported now; null hides the button. */
  get canImport() {
    return this.session.hasGhosts || this.#canDetect;
  }

  get #canDetect() { return this.#options.detect ? this.#image !== null && !this.#busy : null; }

  /** Put the joints that came in into the document; if there are none, those that are detected in the picture. */
  async importJoints() {
    if (!this.session.adoptAll()) await this.#importDetected();
  }

  async #importDetected() {
    if (!this.#canDetect || !this.session.doc) return;
    const picture = this.#image;
    this.#busy = true;
    const detector = this.#options.detector?.() ?? "mini";
    this.session.say(say("say.looking", { detector }));
    try {
      const frame = await this.#options.detect(this.session.doc.full_box);
      // Another picture may have come meanwhile.
      if (picture === this.#image) this.session.importPeople(frame, detector);
      else this.session.say("");
    } catch (error) {
      this.session.say(say("say.failed", { reason: error.message }));
    } finally {
      this.#busy = false;
      this.refresh();
    }
  }

  /** Show or hide the "list" or the "text". */
  toggle(what) {
    if (what === "list") this.#chosenList = !this.#shown.list;
    else this.#shown.text = !this.#shown.text;
    if (what === "text") {
      this.session.setTool("select");
      this.poses.close();
    }
    this.#arrange();
    this.refresh();
    this.focusInside();
  }

  /** Give the focus to the picture, or to the text where that is shown in its place. */
  focusInside() {
    if (this.#shown.text) this.parts.area.focus({ preventScroll: true });
    else this.focusPicture();
  }

  focusPicture() {
    this.parts.canvas.focus({ preventScroll: true });
  }

  /** The pointer is over xy_px of the picture, or nowhere (null). */
  pointAt(xy_px) {
    const draws = this.session.tool === "place" && (this.#pointer !== null || xy_px !== null);
    this.#pointer = xy_px;
    if (draws) this.refresh();
  }

  /** Zoom round what is selected, if it is seen, or else round the middle. */
  zoom(factor) {
    const [place, size] = [this.#chosenPlace(), this.canvasSize];
    const chosen = place && withInView(this.#view, size, place) === this.#view ? toScreen(this.#view, place) : null;
    this.view = keepVisible(zoomAt(this.#view, factor, chosen ?? size.map((side) => side / 2)), size, this.session.size);
  }

  #pan(steps) {
    this.view = keepVisible(panBy(this.#view, steps.map((step) => -step * PAN_PX)), this.canvasSize, this.session.size);
  }

  #chosenPlace() {
    const { doc, selection } = this.session;
    return doc && placeOf(doc, selection);
  }

  /** What is selected does not leave the picture's window while keys move it, or go to it. */
  #keepInView() {
    const place = this.#chosenPlace();
    const view = place ? withInView(this.#view, this.canvasSize, place) : this.#view;
    if (view !== this.#view) this.view = view;
  }

  /** Show the whole picture. */
  fit() {
    this.#view = fitView(this.canvasSize, this.session.size);
    this.#fitted = true;
    this.refresh();
  }

  /** Show the whole picture, or, when it is shown already, the active person. */
  fitOrPerson() {
    const { doc, size, ghosts } = this.session;
    const box = this.#fitted && doc ? personBox(doc, size, listGhosts(ghosts.person)) : null;
    if (box) this.view = fitBox(this.canvasSize, box);
    else this.fit();
  }

  /**
   * Show the picture or the text, and the list where there is room for it. The editor's own width decides, so this does not
   * change what it asks.
   */
  #arrange() {
    const { list, text } = this.#shown;
    this.parts.picture.classList.toggle("hidden", text);
    this.parts.text.classList.toggle("hidden", !text);
    this.#shown.list = showsList(this.#chosenList, this.parts.content.clientWidth, list);
    this.side.element.classList.toggle("hidden", !this.#shown.list || text);
    if (list !== this.#shown.list) this.refresh();
  }

  /** The editor or its canvas has got another size; while it is hidden, the view waits. */
  resized() {
    this.#arrange();
    // A picture that is dragged on stays under the pointer.
    this.#unseen = this.session.drag !== null;
    if (this.parts.picture.clientWidth === 0 || this.#unseen) return;
    if (this.#fitted) return this.fit();
    this.view = keepVisible(this.#view, this.canvasSize, this.session.size);
  }

  /** Whether the wheel zooms the picture: with the focus here, or when nobody else wants it. */
  takesWheel() {
    return !this.#options.onWheel || this.large.isOpen || this.element.matches(":focus-within");
  }

  passWheel(event) {
    this.#options.onWheel?.(event);
  }

  #key(event) {
    const command = keyCommand(event);
    const handled = command !== null
      && (this.side.go(command, event.target) || (this.#mayTake(event.target, command) && this.#perform(command)));
    this.gestures.spaceHeld ||= event.key === " " && event.target === this.parts.canvas;
    if (handled || this.gestures.spaceHeld) event.preventDefault();
    // Other keys with Ctrl, such as the one that queues the graph, are the page's.
    if (handled || !(event.ctrlKey || event.metaKey)) event.stopPropagation();
  }

  #keyUp(event) {
    if (event.key === " ") this.gestures.spaceHeld = false;
    event.stopPropagation();
  }

  #mayTake(target, command) {
    if (target === this.parts.area) return command.name === "escape";
    if (target instanceof HTMLSelectElement) return !OF_CHOICES.includes(command.name);
    return target === this.parts.canvas || !OF_BUTTONS.includes(command.name);
  }

  #perform(command) {
    if (command.name === "zoomIn") return (this.zoom(ZOOM_STEP), true);
    if (command.name === "zoomOut") return (this.zoom(1 / ZOOM_STEP), true);
    if (command.name === "zoomFit") return (this.fitOrPerson(), true);
    if (command.name === "escape" && this.poses.isOpen) return (this.poses.toggle(), this.focusPicture(), true);
    if (command.name === "escape" && this.#shown.text) return (this.toggle("text"), true);
    const seen = seenPart(this.#view, this.canvasSize, this.session.size);
    if (this.session.perform({ ...command, seen })) return (FOLLOWED.includes(command.name) && this.#keepInView(), true);
    // With nothing to be moved, arrows move the picture that is zoomed in.
    if (command.name === "nudge" && !this.#fitted && !this.#chosenPlace()) return (this.#pan(command.by_px), true);
    if (command.name !== "escape" || !this.large.isOpen) return false;
    this.large.close();
    return true;
  }

  /** Show the present state with the next frame; however often it is asked for, it is drawn once. */
  refresh() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      if (this.#unseen && this.session.drag === null) this.resized();
      this.#refreshParts();
      this.#keepFocus();
      this.#draw();
    });
  }

  #refreshParts() {
    const { session, parts } = this;
    const { list, text } = this.#shown;
    this.toolbar.refresh({ list: list === true, text, large: this.large.isOpen, poses: this.poses.isOpen, canImport: this.canImport });
    if (list && !text) this.side.refresh();
    if (text && parts.area.value !== session.text) parts.area.value = session.text;
    parts.unread.refresh();
    parts.notice.refresh();
    const line = status(session, this.#note);
    setText(parts.message, line);
    parts.line.title = session.problems.join("\n");
    parts.line.classList.toggle("wrong", session.problems.length > 0 || (this.#isWrong && line === this.#note));
    setText(parts.size, session.size.map(Math.round).join(" × "));
    parts.canvas.style.cursor = cursorOf(session, this.gestures.spaceHeld);
  }

  /** A button that went away, or can no longer be pressed, would lose the focus to the page. */
  #keepFocus() {
    const holder = this.element.shadowRoot.activeElement;
    if (holder?.disabled || holder?.closest(".hidden")) this.focusInside();
  }

  /** Draw again if the page now shows the canvas larger or smaller. */
  sharpen() {
    if (this.#ratio() !== this.#drawnRatio) this.refresh();
  }

  #draw() {
    const { canvas, picture } = this.parts;
    if (picture.clientWidth === 0) return;
    const size = this.canvasSize;
    const ratio = this.#ratio();
    this.#drawnRatio = ratio;
    const [width, height] = size.map((side) => Math.max(Math.round(side * ratio), 1));
    if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
    const scene = { session: this.session, view: this.#view, size, ratio, image: this.#image, part: this.#part, pointer: this.#pointer };
    draw(this.context, scene);
  }

  /** Device pixels for each CSS pixel of the canvas: the screen's, and the page's zoom of the node. */
  #ratio() {
    const { picture } = this.parts;
    const zoom = picture.clientWidth > 0 ? picture.getBoundingClientRect().width / picture.clientWidth : 1;
    return Math.min(Math.max((globalThis.devicePixelRatio || 1) * (zoom || 1), 1), FINEST);
  }
}
