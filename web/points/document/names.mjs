// What joints, boxes, points and people are called on screen.

import { say } from "../words/words.mjs";
import { jointOf } from "./queries.mjs";

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

/** What a target is called: "right knee (given)". */
export function targetLabel(doc, target) {
  if (target.kind === "joint") {
    const state = jointOf(doc, target.part, target.name)?.state;
    return say("named", { name: jointLabel(target.part, target.name), state: say(`state.${state}`) });
  }
  return target.kind === "box" ? thingName(target.box) : `${thingName(target.kind)} ${target.index + 1}`;
}
