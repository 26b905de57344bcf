// A stand-in for a browser's page: as much of it as the editor touches, with its rules of events, shadow trees and focus.

const listeners = new WeakMap();
const FOCUSABLE = ["BUTTON", "INPUT", "SELECT", "TEXTAREA"];
const frames = [];
let focused = null;

class Node {
  parentNode = null;
  childNodes = [];

  append(...nodes) {
    for (const node of nodes) this.#take(node, this.childNodes.length);
  }

  prepend(node) {
    this.#take(node, 0);
  }

  #take(node, index) {
    const child = node instanceof Node ? node : Object.assign(new Node(), { text: String(node) });
    child.remove();
    child.parentNode = this;
    this.childNodes.splice(index, 0, child);
  }

  remove() {
    const siblings = this.parentNode?.childNodes ?? [];
    if (focused && pathOf(focused).includes(this)) focused = null;
    if (siblings.includes(this)) siblings.splice(siblings.indexOf(this), 1);
    this.parentNode = null;
  }

  addEventListener(name, listener) {
    if (!listeners.has(this)) listeners.set(this, []);
    listeners.get(this).push([name, listener]);
  }

  get root() {
    return this.parentNode?.root ?? this;
  }

  get isConnected() {
    return pathOf(this).includes(document.body);
  }

  get childElementCount() {
    return this.childNodes.length;
  }

  get textContent() {
    return this.text ?? this.childNodes.map((node) => node.textContent).join("");
  }

  set textContent(text) {
    this.childNodes = [];
    this.append(text);
  }
}

class Element extends Node {
  style = {};
  attributes = {};
  classes = new Set();
  clientWidth = 400;
  clientHeight = 400;

  constructor(tag) {
    super();
    this.tagName = tag.toUpperCase();
    if (tag === "dialog") this.open = false;
    const classes = this.classes;
    this.classList = {
      add: (name) => classes.add(name), remove: (name) => classes.delete(name), contains: (name) => classes.has(name),
      toggle: (name, on = !classes.has(name)) => (on ? classes.add(name) : classes.delete(name)),
    };
    this.dataset = {};
  }

  setAttribute(name, value) {
    this.attributes[name] = String(value);
    if (name === "class") String(value).split(" ").forEach((one) => this.classes.add(one));
  }

  getAttribute(name) {
    return this.attributes[name] ?? null;
  }

  get parentElement() {
    return this.parentNode instanceof Element ? this.parentNode : null;
  }

  attachShadow() {
    this.shadowRoot = new ShadowRoot(this);
    return this.shadowRoot;
  }

  closest(selector) {
    const fits = (node) => (selector.startsWith(".") ? node.classes.has(selector.slice(1)) : false);
    return fits(this) ? this : this.parentElement?.closest(selector) ?? null;
  }

  querySelector(tag) {
    const children = this.childNodes.filter((node) => node instanceof Element);
    return children.find((node) => node.tagName === tag.toUpperCase()) ?? children.map((node) => node.querySelector(tag)).find(Boolean);
  }

  /** Only ":focus" and ":focus-within" are asked for. */
  matches(selector) {
    return selector === ":focus" ? focused === this : focused !== null && pathOf(focused).includes(this);
  }

  get isFocusable() {
    const isHidden = pathOf(this).some((node) => node.classes?.has("hidden"));
    return !isHidden && !this.disabled && (this.attributes.tabindex !== undefined || FOCUSABLE.includes(this.tagName));
  }

  focus() {
    if (!this.isFocusable || focused === this) return;
    focused?.blur();
    focused = this;
    send(this, "focus", {}, false);
    send(this, "focusin");
  }

  blur() {
    if (focused !== this) return;
    focused = null;
    send(this, "blur", {}, false);
  }

  getBoundingClientRect() {
    return { left: 0, top: 0, width: this.clientWidth, height: this.clientHeight };
  }

  /** A drawing of nothing. */
  getContext() {
    return new Proxy({}, { get: (_, name) => (name === "measureText" ? () => ({ width: 10 }) : () => {}), set: () => true });
  }

  setPointerCapture() {}

  showModal() {
    this.open = true;
  }

  close() {
    this.open = false;
    send(this, "close", {}, false);
  }
}

class Select extends Element {
  get length() {
    return this.childNodes.length;
  }

  /** An option, or, without a number, the whole. */
  remove(index) {
    if (index === undefined) super.remove();
    else this.childNodes.splice(index, 1);
  }
}

class ShadowRoot extends Node {
  constructor(host) {
    super();
    this.host = host;
  }

  get root() {
    return this;
  }

  get activeElement() {
    return focused && retargeted(focused, this);
  }
}

/** A node and everything round it, out of shadow trees as well. */
function pathOf(node) {
  return node ? [node, ...pathOf(node.parentNode ?? node.host)] : [];
}

/** What a node's tree knows as the target: itself, or the host that holds it. */
function retargeted(target, root) {
  return pathOf(target).find((node) => node.root === root) ?? null;
}

/** Send an event to a node, as the browser does; gives the event. */
export function send(target, type, fields = {}, bubbles = true) {
  let isStopped = false;
  const event = {
    type, ...fields, isPrevented: false, composedPath: () => pathOf(target),
    preventDefault() { event.isPrevented = true; }, stopPropagation() { isStopped = true; },
  };
  for (const node of pathOf(target)) {
    event.target = retargeted(target, node.root);
    if (isStopped || !(bubbles || event.target === node)) continue;
    for (const [name, listener] of listeners.get(node) ?? []) if (name === type) listener(event);
  }
  return event;
}

/**
 * Press a part with the mouse: the nearest thing round it that can have the focus gets it, or else nothing has it. Nothing
 * outside of an open dialog can have it.
 */
export function press(part) {
  const path = pathOf(part);
  const dialog = path.findIndex((node) => node.open);
  const taker = path.slice(0, dialog === -1 ? path.length : dialog).find((node) => node.isFocusable);
  if (taker) taker.focus();
  else focused?.blur();
}

/** Press a key: whatever has the focus gets it, or else the body. */
export function type(key, name = "keydown", held = {}) {
  return send(focused ?? document.body, name, { key, ...held });
}

/** Draw what waits for the next frame. */
export function nextFrame() {
  for (const draw of frames.splice(0)) draw();
}

export const document = {
  hidden: false,
  hasFocus: () => true,
  body: new Element("body"),
  createElement: (tag) => (tag === "select" ? new Select(tag) : new Element(tag)),
  createElementNS: (_, tag) => new Element(tag),
  get activeElement() { return focused ? retargeted(focused, document.body) : document.body; },
};

Object.assign(globalThis, {
  document, HTMLSelectElement: Select, Image: class {}, ResizeObserver: class { observe() {} }, WheelEvent: { DOM_DELTA_LINE: 1 },
  requestAnimationFrame: (draw) => frames.push(draw),
});
