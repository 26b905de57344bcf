// The row of buttons above the picture.

import { unusedIn, lackingIn } from "../document/prompt.mjs";
import { BOXES } from "../document/reading.mjs";
import { TOOL_KEYS } from "../input/keys.mjs";
import { ZOOM_STEP } from "../input/view.mjs";
import { say } from "../words/words.mjs";
import { element, iconButton, rename } from "./elements.mjs";
import { ICONS } from "./icons.mjs";

/** {element, refresh(state)} of an editor. */
export function makeToolbar(editor) {
  const { session } = editor;
  const tools = Object.entries(TOOL_KEYS).map(([key, tool]) => [tool, iconButton(ICONS[tool], say(`tool.${tool}`), () => {
    session.setTool(tool);
    editor.focusPicture();
  }, { "data-tool": tool, "aria-pressed": "false", "aria-keyshortcuts": key.toUpperCase() })]);
  const make = (name, icon, onclick, keys) => iconButton(icon, say(`do.${name}`), onclick, { "data-do": name, "aria-keyshortcuts": keys });
  const buttons = {
    poses: make("poses", ICONS.poses, () => editor.poses.toggle()),
    undo: make("undo", ICONS.undo, () => session.undo(), "Control+Z"),
    redo: make("redo", ICONS.redo, () => session.redo(), "Control+Shift+Z Control+Y"),
    import: make("import", ICONS.import, () => editor.importJoints()),
    list: make("list", ICONS.list, () => editor.toggle("list")),
    text: make("text", ICONS.text, () => editor.toggle("text")),
    large: make("large", ICONS.enlarge, () => editor.large.toggle()),
  };
  const group = (end, ...children) => element("div", { class: end ? "group end" : "group" }, ...children);
  const bar = element("div", { class: "toolbar", role: "toolbar", "aria-label": say("name.editor") },
    group(false, ...tools.map(([, button]) => button)),
    group(false, buttons.poses, buttons.import, buttons.undo, buttons.redo),
    group(true, buttons.list, buttons.text, buttons.large));
  return { element: bar, refresh: (state) => refresh(session, tools, buttons, state) };
}

function refresh(session, tools, buttons, { list, text, large, poses, canImport }) {
  for (const [tool, button] of tools) {
    button.setAttribute("aria-pressed", String(!text && session.tool === tool));
    button.disabled = text || !session.doc;
  }
  refreshBoxes(session, tools);
  buttons.undo.disabled = !session.history.canUndo;
  buttons.redo.disabled = !session.history.canRedo;
  buttons.import.classList.toggle("hidden", canImport === null);
  buttons.import.disabled = !canImport || text || !session.doc;
  buttons.poses.disabled = text || !session.doc;
  buttons.poses.setAttribute("aria-expanded", String(poses));
  buttons.list.setAttribute("aria-pressed", String(list));
  buttons.text.setAttribute("aria-pressed", String(text));
  buttons.large.setAttribute("aria-pressed", String(large));
  rename(buttons.import, say(session.hasGhosts ? "do.importPose" : "do.import"));
  if (rename(buttons.large, say(large ? "do.leave" : "do.large"))) {
    buttons.large.querySelector("path").setAttribute("d", large ? ICONS.close : ICONS.enlarge);
  }
}

/** Boxes that the chosen kind of prompt does not show are pale, one that it lacks is marked; their names say so. */
function refreshBoxes({ doc, prompt, ghosts }, tools) {
  const lacking = doc && lackingIn(doc, prompt, ghosts);
  const unused = unusedIn(doc, prompt);
  for (const [tool, button] of tools.filter(([name]) => BOXES.includes(name))) {
    const need = lacking === tool ? "lacks" : prompt && !prompt.boxes.includes(tool) && unused.includes(tool) ? "unused" : "";
    const name = say(`tool.${tool}`);
    button.dataset.need = need;
    rename(button, need ? say(`tool.${need}`, { tool: name, kind: prompt.name }) : name);
  }
}

/** The three buttons that lie on the picture. */
export function makeZoomButtons(editor) {
  return element("div", { class: "zoom", role: "group", "aria-label": say("name.zoom") },
    iconButton(ICONS.zoomOut, say("do.zoomOut"), () => editor.zoom(1 / ZOOM_STEP), { "data-do": "zoomOut" }),
    iconButton(ICONS.zoomFit, say("do.zoomFit"), () => editor.fitOrPerson(), { "data-do": "zoomFit" }),
    iconButton(ICONS.zoomIn, say("do.zoomIn"), () => editor.zoom(ZOOM_STEP), { "data-do": "zoomIn" }));
}
