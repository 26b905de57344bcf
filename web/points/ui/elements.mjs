// Small helpers for elements of the page. Texts are always set as texts, never as markup.

const SVG = "http://www.w3.org/2000/svg";

/** An element with attributes, listeners (keys that begin with "on") and children (elements or texts). */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

/** A picture of 16 x 16 drawn in lines of the text's colour; data: the shape as an SVG path. */
export function icon(data) {
  const made = document.createElementNS(SVG, "svg");
  const path = document.createElementNS(SVG, "path");
  const attributes = { viewBox: "0 0 16 16", width: 16, height: 16, "aria-hidden": "true" };
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  path.setAttribute("d", data);
  made.append(path);
  return made;
}

/** A button with an icon; its name is shown when the mouse rests on it and read by assistive technology. */
export function iconButton(data, name, onclick, attributes = {}) {
  const own = { type: "button", class: "icon", title: name, "aria-label": nameOnly(name), onclick };
  return element("button", { ...own, ...attributes }, icon(data));
}

/** Give a button another title and name; says whether it had another one. */
export function rename(button, name) {
  if (button.title === name) return false;
  button.title = name;
  button.setAttribute("aria-label", nameOnly(name));
  return true;
}

/** A title without its key: "Undo (Ctrl+Z)" is called "Undo". */
function nameOnly(name) {
  return name.replace(/ \([^)]*\)$/, "");
}

/** Set a text only when it changes, so that nothing is announced twice. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
