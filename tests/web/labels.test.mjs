// Where labels are put.

import assert from "node:assert/strict";
import { test } from "node:test";
import { placeLabel } from "../../web/points/ui/labels.mjs";

const SIZE = [200, 100];

test("a label stands right of its point, else left of it, else nowhere", () => {
  const first = placeLabel({ at: [50, 50] }, 40, [], SIZE);
  assert.ok(first[0] > 50);
  const second = placeLabel({ at: [52, 50] }, 40, [first], SIZE);
  assert.ok(second[0] + 40 < 52);
  assert.equal(placeLabel({ at: [51, 50] }, 40, [first, second], SIZE), null);
});

test("a loud label is always shown, and inside the canvas where it can be", () => {
  const [x, , width] = placeLabel({ at: [190, 50], loud: true }, 40, [], SIZE);
  assert.ok(x + width <= 200);
  assert.notEqual(placeLabel({ at: [500, 50], loud: true }, 40, [], SIZE), null);
});
