// The row of buttons above the picture.

import { element, iconButton, rename } from "./elements.mjs";
import { ICONS } from "./icons.mjs";
import { ZOOM_STEP } from "../input/view.mjs";

const TOOLS = {
  select: "Select and move (V)",
  place: "Place missing joints (P)",
  roi_box: "Draw the ROI box: the part to complete (R)",
  full_box: "Draw the full box: the whole person (B)",
  positive: "Points on the visible person (G)",
  negative: "Points beside the visible person (N)",
};
const IMPORTS = {
  detected: "Import the detected joints: of the full box, or of the picture",
  incoming: "Import the joints that came in with the connected pose",
};

/** {element, refresh(state)} of an editor. */
export function makeToolbar(editor) {
  const { session } = editor;
  const tools = Object.entries(TOOLS).map(([tool, name]) => [tool, iconButton(ICONS[tool], name, () => {
    session.setTool(tool);
    editor.focusPicture();
  }, { "data-tool": tool, "aria-pressed": "false" })]);
  const buttons = {
    undo: iconButton(ICONS.undo, "Undo (Ctrl+Z)", () => session.undo(), { "data-do": "undo" }),
    redo: iconButton(ICONS.redo, "Redo (Ctrl+Shift+Z)", () => session.redo(), { "data-do": "redo" }),
    import: iconButton(ICONS.import, IMPORTS.detected, () => editor.importJoints(), { "data-do": "import" }),
    list: iconButton(ICONS.list, "List of joints", () => editor.toggle("list"), { "data-do": "list" }),
    text: iconButton(ICONS.text, "Edit as text (JSON)", () => editor.toggle("text"), { "data-do": "text" }),
    large: iconButton(ICONS.enlarge, "Large view", () => editor.large.toggle(), { "data-do": "large" }),
  };
  const group = (end, ...children) => element("div", { class: end ? "group end" : "group" }, ...children);
  const bar = element("div", { class: "toolbar", role: "toolbar", "aria-label": "Point editor" },
    group(false, ...tools.map(([, button]) => button)),
    group(false, buttons.import, buttons.undo, buttons.redo),
    group(true, buttons.list, buttons.text, buttons.large));
  return { element: bar, refresh: (state) => refresh(session, tools, buttons, state) };
}

function refresh(session, tools, buttons, { list, text, large, canImport }) {
  for (const [tool, button] of tools) {
    button.setAttribute("aria-pressed", String(!text && session.tool === tool));
    button.disabled = text || !session.doc;
  }
  buttons.undo.disabled = !session.history.canUndo;
  buttons.redo.disabled = !session.history.canRedo;
  buttons.import.classList.toggle("hidden", canImport === null);
  buttons.import.disabled = !canImport || text || !session.doc;
  buttons.list.setAttribute("aria-pressed", String(list));
  buttons.text.setAttribute("aria-pressed", String(text));
  buttons.large.setAttribute("aria-pressed", String(large));
  rename(buttons.import, session.hasGhosts ? IMPORTS.incoming : IMPORTS.detected);
  if (rename(buttons.large, large ? "Close the large view (Esc)" : "Large view")) {
    buttons.large.querySelector("path").setAttribute("d", large ? ICONS.close : ICONS.enlarge);
  }
}

/** The three buttons that lie on the picture. */
export function makeZoomButtons(editor) {
  return element("div", { class: "zoom", role: "group", "aria-label": "Zoom" },
    iconButton(ICONS.zoomOut, "Zoom out (-)", () => editor.zoom(1 / ZOOM_STEP), { "data-do": "zoomOut" }),
    iconButton(ICONS.zoomFit, "Whole picture, or the person (0)", () => editor.fitOrPerson(), { "data-do": "zoomFit" }),
    iconButton(ICONS.zoomIn, "Zoom in (+)", () => editor.zoom(ZOOM_STEP), { "data-do": "zoomIn" }));
}
