// The panel over the picture from which a pose is taken, and in which the whole skeleton is mirrored, copied and opened.

import { LIMBS } from "../document/joints.mjs";
import { poseNamed, POSES } from "../document/poses.mjs";
import { say } from "../words/words.mjs";
import { element, icon } from "./elements.mjs";

/** {element, isOpen, toggle(), close()} of an editor. */
export function makePoses(editor) {
  const act = (work) => () => {
    panel.close();
    work();
    editor.focusPicture();
  };
  const plain = (name, work) => element("button", { type: "button", class: "plain", "data-do": name, onclick: act(work) }, say(`do.${name}`));
  const file = element("input", {
    type: "file", class: "hidden", accept: ".json,image/*", onchange: () => { editor.takeFiles([...file.files]); file.value = ""; },
  });
  const made = element("div", { class: "poses hidden", role: "group", "aria-label": say("name.poses") },
    element("ul", {}, ...POSES.map((name) => element("li", {}, makePose(name, act(() => editor.session.takePose(name)))))),
    element("div", {}, plain("mirror", () => editor.session.mirror()), plain("copy", () => editor.copyPoses()),
      plain("file", () => file.click())), file);
  const panel = {
    element: made,
    get isOpen() { return !made.classList.contains("hidden"); },
    toggle() {
      made.classList.toggle("hidden");
      editor.refresh();
      if (panel.isOpen) made.querySelector("button").focus();
    },
    close() {
      made.classList.add("hidden");
      editor.refresh();
    },
  };
  return panel;
}

function makePose(name, onclick) {
  const places = poseNamed(name);
  const lines = LIMBS.map(([a, b]) => `M${places[a].join(" ")}L${places[b].join(" ")}`).join("");
  const picture = icon(lines);
  picture.setAttribute("viewBox", "-3 -3 106 106");
  return element("button", { type: "button", "data-pose": name, onclick }, picture, say(`pose.${name}`));
}
