// The panel beside the picture: whose joints, the list of joints with their states, and what is chosen.

import { element, iconButton, setText } from "./elements.mjs";
import { HANDS, jointColour, PARTS, STATES } from "../document/joints.mjs";
import { jointName } from "../document/names.mjs";
import { ICONS } from "./icons.mjs";
import { activePerson, hasHand } from "../document/queries.mjs";
import { Rows } from "./rows.mjs";
import { say } from "../words/words.mjs";

/** {element, refresh(), go(command, target)} of an editor; go: see rows.mjs. */
export function makeSide(editor) {
  const people = makePeople(editor.session);
  const parts = ["joints", ...HANDS].map((part) => makePart(editor, part));
  const chosen = makeChosen(editor.session);
  const list = element("div", { class: "joints", role: "group", "aria-label": say("name.joints") }, ...parts.map((part) => part.element));
  const panel = element("div", { class: "side" }, people.element, list, chosen.element);
  const rows = new Rows(editor.session, list, parts.flatMap((part) => part.rows));
  const refresh = () => [people, ...parts, chosen, rows].forEach((part) => part.refresh());
  return { element: panel, refresh, go: (command, target) => rows.go(command, target) };
}

function makePeople(session) {
  const choice = element("select", {
    "aria-label": say("name.active"), onchange: () => session.setPerson(Number(choice.value)),
  });
  const add = iconButton(ICONS.add, say("do.addPerson"), () => session.addPerson());
  const remove = iconButton(ICONS.remove, say("do.removePerson"), () => session.removePerson());
  const refresh = () => {
    const { people, active } = session.doc ?? { people: [{}], active: 0 };
    while (choice.length > people.length) choice.remove(choice.length - 1);
    while (choice.length < people.length) choice.append(element("option", { value: choice.length }, say("name.person", { number: choice.length + 1 })));
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
  const title = element("h4", {}, element("span", {}, say(`part.${part}`)), toggle || count);
  const refresh = () => {
    const person = session.doc ? activePerson(session.doc) : { [part]: {} };
    const shown = !isHand || Boolean(session.doc && hasHand(session.doc, part));
    list.classList.toggle("hidden", !shown);
    if (isHand) refreshToggle(toggle, shown, part, !session.doc);
    setText(count, say("count.of", { some: Object.values(person[part]).filter(Boolean).length, all: rows.length }));
    if (shown) rows.forEach((row) => row.refresh(person[part][row.name]));
  };
  return { element: element("section", {}, title, list), rows: rows.map((row) => row.element), refresh };
}

function refreshToggle(toggle, shown, part, disabled) {
  setText(toggle, say(shown ? "do.take" : "do.add"));
  toggle.setAttribute("aria-label", say(shown ? "do.removeHand" : "do.addHand", { hand: say(`part.${part}`) }));
  toggle.disabled = disabled;
}

function makeRow(editor, part, name) {
  const { session } = editor;
  const label = jointName(name);
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
    // The rules of the page's style know these words, whatever its language.
    const state = joint === null ? "removed" : joint?.state ?? (ghost ? `${ghost.state} came` : "missing");
    const next = session.tool === "place" && session.next?.part === part && session.next.name === name;
    const selected = session.selection?.part === part && session.selection.name === name;
    if (row.dataset.state !== state) {
      row.dataset.state = state;
      const spoken = { joint: label, state: ghost && !joint ? say("state.came", { state: say(`state.${ghost.state}`) }) : say(`state.${state}`) };
      row.setAttribute("aria-label", say("row.named", spoken));
      row.title = say(joint ? "row.state" : ghost ? "row.take" : "row.place", spoken);
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
    "aria-label": say("name.state"), title: say("title.state"),
    onchange: () => session.setState(choice.value),
  }, ...STATES.map((state) => element("option", { value: state }, say(state === "detected" ? "state.seen" : `state.${state}`))));
  const remove = iconButton(ICONS.remove, say("do.remove"), () => session.remove(), { "data-do": "remove" });
  const refresh = () => {
    const { selection, doc } = session;
    const joint = doc && selection?.kind === "joint" ? activePerson(doc)[selection.part][selection.name] : null;
    choice.disabled = !joint;
    choice.value = joint?.state ?? "given";
    remove.disabled = !doc || !selection;
  };
  return { element: element("div", { class: "chosen" }, choice, remove), refresh };
}
