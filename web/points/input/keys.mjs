// Which command a key gives. Commands are {name, ...}; the session carries out most, the editor those of the view.

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const FAR_PX = 10;
export const TOOL_KEYS = Object.freeze({
  v: "select", p: "place", w: "whole", r: "roi_box", b: "full_box", g: "positive", n: "negative",
});
export const TOOLS = Object.freeze(Object.values(TOOL_KEYS));
const STEP = 1.05;
const ANGLE = Math.PI / 36;
const WHOLE = {
  "<": { name: "scale", by: 1 / STEP }, ",": { name: "scale", by: 1 / STEP }, ">": { name: "scale", by: STEP }, ".": { name: "scale", by: STEP },
  "[": { name: "rotate", by: -ANGLE }, "]": { name: "rotate", by: ANGLE }, m: { name: "mirror" },
};
const PLAIN = {
  Escape: "escape", Delete: "remove", Backspace: "remove", Enter: "put", o: "occluded",
  "+": "zoomIn", "=": "zoomIn", "-": "zoomOut", _: "zoomOut", 0: "zoomFit",
  // Tab is the page's: it leaves the picture, however many points lie on it.
  PageDown: "next", PageUp: "previous", Home: "first", End: "last",
};
export const STEPS = Object.freeze(["next", "previous", "first", "last"]);
/** The keys of the steps, as aria-keyshortcuts names them. */
export const STEP_KEYS = "PageDown PageUp Home End";

// Commands whose keys a button, a list or a choice needs itself.
export const OF_BUTTONS = [...STEPS, "put"];
export const OF_CHOICES = [...OF_BUTTONS, "nudge", "tool", "occluded", "remove", "scale", "rotate", "mirror"];
// Commands after which what is selected is to be seen.
export const FOLLOWED = [...STEPS, "nudge", "put"];

// Commands that a key which is held down gives once.
const ONCE = ["put", "occluded", "mirror"];

/**
 * The command of a key press, or null.
 * @param {{key: string, code?: string, repeat?: boolean, ctrlKey?: boolean, metaKey?: boolean, shiftKey?: boolean,
 *   altKey?: boolean}} event
 */
export function keyCommand(event) {
  const command = commandOf(event);
  return event.repeat && ONCE.includes(command?.name) ? null : command;
}

function commandOf(event) {
  const key = event.key.length === 1 ? letterOf(event).toLowerCase() : event.key;
  // Many keyboards have their brackets behind Option or AltGr, which some browsers call Ctrl and Alt.
  if (event.altKey) return "[]".includes(key) ? WHOLE[key] : null;
  if (event.ctrlKey || event.metaKey) return controlCommand(key, event.shiftKey);
  if (Object.hasOwn(ARROWS, key)) return { name: "nudge", by_px: ARROWS[key].map((step) => step * (event.shiftKey ? FAR_PX : 1)) };
  if (Object.hasOwn(TOOL_KEYS, key)) return { name: "tool", tool: TOOL_KEYS[key] };
  if (Object.hasOwn(WHOLE, key)) return WHOLE[key];
  return Object.hasOwn(PLAIN, key) ? { name: PLAIN[key] } : null;
}

/** A key of a keyboard with other letters, such as Greek or Cyrillic ones, counts as the Latin one at its place. */
function letterOf({ key, code }) {
  return key > "\u007f" ? /^Key([A-Z])$/.exec(code)?.[1] ?? key : key;
}

function controlCommand(key, shift) {
  if (key === "z") return { name: shift ? "redo" : "undo" };
  return key === "y" ? { name: "redo" } : null;
}
