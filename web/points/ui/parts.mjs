// The parts of the editor's element: canvas, notice, text field, status line, and what lies over the picture.

import { STEP_KEYS } from "../input/keys.mjs";
import { say } from "../words/words.mjs";
import { element, setText } from "./elements.mjs";
import { makePoses } from "./poses.mjs";
import { makeSide } from "./side.mjs";
import { makeToolbar, makeZoomButtons } from "./toolbar.mjs";

/** All parts of an editor by name; `content` holds them. */
export function makeParts(editor) {
  const { session } = editor;
  const canvas = element("canvas", {
    tabindex: "0", role: "application", "aria-label": say("name.picture"), "aria-describedby": "status", "aria-keyshortcuts": STEP_KEYS,
  });
  const message = element("p", { id: "status", role: "status", "aria-live": "polite" });
  const size = element("span", { class: "size" });
  const area = element("textarea", { spellcheck: "false", "aria-label": say("name.text"), oninput: () => session.type(area.value) });
  const toolbar = makeToolbar(editor);
  const side = makeSide(editor);
  const poses = makePoses(editor);
  const unread = makeUnread(editor);
  const notice = makeNotice(session);
  const picture = element("div", { class: "picture" }, canvas, makeZoomButtons(editor), notice.element, poses.element, unread.element);
  const text = element("div", { class: "text hidden" }, area);
  const line = element("div", { class: "status" }, message, size);
  const content = element("div", { class: "editor", tabindex: "-1" }, toolbar.element,
    element("div", { class: "stage" }, picture, text, side.element), line);
  return { canvas, message, size, area, toolbar, side, poses, unread, notice, picture, text, line, content };
}

function plain(name, onclick, attributes = {}) {
  return element("button", { type: "button", class: "plain", onclick, ...attributes }, name);
}

/** In place of the picture when the text cannot be read. */
function makeUnread(editor) {
  const made = element("div", { class: "unread hidden" }, element("p", {}, say("unread.text")),
    element("div", {}, plain(say("unread.edit"), () => editor.toggle("text")),
      plain(say("unread.afresh"), () => editor.session.startAfresh())));
  return { element: made, refresh: () => made.classList.toggle("hidden", editor.session.doc !== null) };
}

/** Says that the points were set on a picture of another shape, and what can be done about it. */
function makeNotice(session) {
  const words = element("p");
  const made = element("div", { class: "notice hidden", role: "alert" }, words,
    plain(say("shape.keep"), () => session.takeShape(true), { "data-do": "keepShape" }),
    plain(say("shape.stretch"), () => session.takeShape(false), { "data-do": "stretch" }));
  const refresh = () => {
    const { shape } = session;
    made.classList.toggle("hidden", shape === null);
    if (shape) setText(words, say("shape.text", { from: shape.from.join(" × "), to: shape.to.join(" × ") }));
  };
  return { element: made, refresh };
}
