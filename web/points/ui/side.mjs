// The panel beside the picture: whose joints, the list of joints with their states, and what is chosen.

import { element, iconButton, setText } from "./elements.mjs";
import { HANDS, jointColour, PARTS, STATES } from "../document/joints.mjs";
import { ICONS } from "./icons.mjs";
import { activePerson, hasHand } from "../document/queries.mjs";

const TITLES = { joints: "Body", right_hand: "Right hand", left_hand: "Left hand" };
const STATE_NAMES = { detected: "detected (seen)", given: "given", proposed: "proposed", occluded: "occluded" };

/** {element, refresh()} of an editor. */
export function makeSide(editor) {
  const people = makePeople(editor.session);
  const parts = ["joints", ...HANDS].map((part) => makePart(editor, part));
  const chosen = makeChosen(editor.session);
  const list = element("div", { class: "joints", role: "group", "aria-label": "Joints" }, ...parts.map((part) => part.element));
  const panel = element("div", { class: "side" }, people.element, list, chosen.element);
  const refresh = () => [people, ...parts, chosen].forEach((part) => part.refresh());
  return { element: panel, refresh };
}

function makePeople(session) {
  const choice = element("select", {
    "aria-label": "Active person", onchange: () => session.setPerson(Number(choice.value)),
  });
  const add = iconButton(ICONS.add, "Add a person", () => session.addPerson());
  const remove = iconButton(ICONS.remove, "Remove this person", () => session.removePerson());
  const refresh = () => {
    const { people, active } = session.doc ?? { people: [{}], active: 0 };
    while (choice.length > people.length) choice.remove(choice.length - 1);
    while (choice.length < people.length) choice.append(element("option", { value: choice.length }, `Person ${choice.length + 1}`));
    choice.selectedIndex = active;
    for (const control of [choice, add, remove]) control.disabled = !session.doc;
  };
  return { element: element("div", { class: "people" }, choice, add, remove), refresh };
}

function makePart(editor, part) {
  const { session } = editor;
  const count = element("span");
  const isHand = part !== "joints";
  const toggle = isHand && element("button", { type: "button", "data-hand": part, onclick: () => session.toggleHand(part) });
  const rows = PARTS[part].map((name) => makeRow(editor, part, name));
  const list = element("ul", {}, ...rows.map((row) => element("li", {}, row.element)));
  const title = element("h4", {}, element("span", {}, TITLES[part]), toggle || count);
  const refresh = () => {
    const person = session.doc ? activePerson(session.doc) : { [part]: {} };
    const shown = !isHand || Boolean(session.doc && hasHand(session.doc, part));
    list.classList.toggle("hidden", !shown);
    if (isHand) refreshToggle(toggle, shown, TITLES[part], !session.doc);
    setText(count, `${Object.values(person[part]).filter(Boolean).length} of ${rows.length}`);
    if (shown) rows.forEach((row) => row.refresh(person[part][row.name]));
  };
  return { element: element("section", {}, title, list), refresh };
}

function refreshToggle(toggle, shown, title, disabled) {
  setText(toggle, shown ? "remove" : "add");
  toggle.setAttribute("aria-label", `${shown ? "Remove" : "Add"} the ${title.toLowerCase()}`);
  toggle.disabled = disabled;
}

function makeRow(editor, part, name) {
  const { session } = editor;
  const label = name.replaceAll("_", " ");
  const choose = (event) => {
    if (!session.doc) return;
    if (activePerson(session.doc)[part][name]) session.select({ kind: "joint", part, name });
    else if (session.ghosts.person[part][name]) session.adopt(part, name);
    else session.startPlacing(part, name);
    // With the mouse, the next key is meant for the picture; from the keyboard, the list is kept.
    if (event.detail > 0) editor.focusPicture();
  };
  const row = element("button", {
    type: "button", class: "joint", "data-joint": `${part}.${name}`, style: `--colour: ${jointColour(part, name)}`,
    onclick: choose,
  }, element("i", { "aria-hidden": "true" }), element("span", {}, label));
  const refresh = (joint) => {
    const ghost = session.ghosts.person[part][name];
    const state = joint === null ? "removed" : joint?.state ?? (ghost ? `${ghost.state}, came in` : "missing");
    const next = session.tool === "place" && session.next?.part === part && session.next.name === name;
    const selected = session.selection?.part === part && session.selection.name === name;
    if (row.dataset.state !== state) {
      row.dataset.state = state;
      row.setAttribute("aria-label", `${label}, ${state}`);
      row.title = joint ? `${label}: ${state}` : `${label}: ${state}. Click to ${ghost ? "take" : "place"} it`;
    }
    const current = String(next || selected);
    if (row.getAttribute("aria-current") !== current) {
      row.setAttribute("aria-current", current);
      if (current === "true") row.scrollIntoView?.({ block: "nearest" });
    }
  };
  return { element: row, name, refresh };
}

function makeChosen(session) {
  const choice = element("select", {
    "aria-label": "State of the selected joint", title: "State of the selected joint (O: occluded)",
    onchange: () => session.setState(choice.value),
  }, ...STATES.map((state) => element("option", { value: state }, STATE_NAMES[state])));
  const remove = iconButton(ICONS.remove, "Delete what is selected (Delete)", () => session.remove(), { "data-do": "remove" });
  const refresh = () => {
    const { selection, doc } = session;
    const joint = doc && selection?.kind === "joint" ? activePerson(doc)[selection.part][selection.name] : null;
    choice.disabled = !joint;
    choice.value = joint?.state ?? "given";
    remove.disabled = !doc || !selection;
  };
  return { element: element("div", { class: "chosen" }, choice, remove), refresh };
}
