// What joints, boxes, points and people are called on screen.

import { say } from "../words/words.mjs";
import { rounded } from "./edits.mjs";
import { jointOf, sidesOf } from "./queries.mjs";

/** "right knee", "Left hand: index 2". */
export function jointLabel(part, name) {
  return part === "joints" ? say(`joint.${name}`) : say("hand.joint", { hand: say(`part.${part}`), joint: jointName(name) });
}

/** A joint's name without its part: "right knee", "index 2". */
export function jointName(name) {
  const [, finger, number] = /^(\w+)_(\d)$/.exec(name) ?? [];
  return finger ? `${say(`joint.${finger}`)} ${number}` : say(`joint.${name}`);
}

/** What a box or a kind of points is called: "ROI box", "positive point". */
export function thingName(key) {
  return say(`thing.${key}`);
}

/** What a target is called: "right knee (given)", "positive point 2", "ROI box (upper left corner, 80 × 120)". */
export function targetLabel(doc, target) {
  if (target.kind === "joint") {
    const state = jointOf(doc, target.part, target.name)?.state;
    return say("named", { name: jointLabel(target.part, target.name), state: say(`state.${state}`) });
  }
  if (target.kind !== "box") return `${thingName(target.kind)} ${target.index + 1}`;
  const [x0, y0, x1, y1] = doc[target.box];
  const size = `${rounded(x1 - x0)} × ${rounded(y1 - y0)}`;
  const held = sidesOf(target) ? [say(`handle.${target.handle}`), size] : [size];
  return say("named", { name: thingName(target.box), state: held.join(say("list")) });
}
