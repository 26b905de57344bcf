// The node's text field `points`, drawn as the editor. The field's own widget is replaced, at its place and under its name:
// so saved workflows, the API and the page's undo find the text where it always was, and the field's input, to which a
// text can be connected, has its dot beside the editor in both of the page's renderers.

export const FIELD = "points";
const TYPE = "FIGURA_POINTS";
export const LEAST_WIDTH = 360;
export const LEAST_HEIGHT = 300;
const FIRST_HEIGHT = 400;

/**
 * Put an editor in the place of the text field.
 * @returns {object|null} the new widget; its `value` is the text; null when the node has no such field
 */
export function replaceField(node, editor, { changed, beforeQueued }) {
  const index = node.widgets?.findIndex((widget) => widget.name === FIELD) ?? -1;
  if (index === -1 || typeof node.addDOMWidget !== "function") return null;
  const old = node.widgets[index];
  const first = String(old.value ?? "");
  const widget = node.addDOMWidget(FIELD, TYPE, editor.element, {
    hideOnZoom: false,
    // The panel beside the graph would take the editor out of its node: there is one of it only.
    hideInPanel: true,
    getValue: () => editor.text,
    setValue: (text) => {
      editor.text = String(text ?? "");
      changed();
    },
    getMinHeight: () => LEAST_HEIGHT,
  });
  widget.beforeQueued = beforeQueued;
  // The page puts the old field's text box over the graph whenever the node is added to one, though it is no part of it.
  const takeAway = () => old.onRemove?.();
  takeAway();
  chain(node, "onAdded", takeAway);
  node.widgets.splice(node.widgets.indexOf(widget), 1);
  node.widgets.splice(index, 1, widget);
  editor.text = first;
  makeRoom(node, FIRST_HEIGHT - LEAST_HEIGHT);
  return widget;
}

/** Run `more` after whatever the node has under that name. */
export function chain(node, name, more) {
  const before = node[name];
  node[name] = function (...values) {
    const answer = before?.apply(this, values);
    more(...values);
    return answer;
  };
}

/** Make the node large enough for its parts, and `more` px higher. */
export function makeRoom(node, more = 0) {
  const least = node.computeSize?.();
  if (least) node.setSize?.([Math.max(node.size[0], LEAST_WIDTH), Math.max(node.size[1], least[1] + more)]);
}
