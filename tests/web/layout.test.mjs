// Which parts of the editor are shown in the room it has.

import assert from "node:assert/strict";
import { test } from "node:test";
import { LIST_FROM_PX, showsList } from "../../web/points/ui/layout.mjs";

test("the list is shown from a width on, and not before the width is known", () => {
  assert.deepEqual([330, LIST_FROM_PX - 1, LIST_FROM_PX, 900].map((width) => showsList(null, width, null)), [false, false, true, true]);
  assert.equal(showsList(null, 0, null), null);
});

test("an editor that is hidden for a while keeps its list as it was", () => {
  assert.deepEqual([true, false].map((before) => showsList(null, 0, before)), [true, false]);
});

test("a width that trembles at the limit switches once", () => {
  let [shown, switches] = [showsList(null, LIST_FROM_PX + 3, null), 0];
  for (let step = 0; step < 20; step += 1) {
    const now = showsList(null, LIST_FROM_PX + (step % 2 ? 3 : -3), shown);
    switches += now === shown ? 0 : 1;
    shown = now;
  }
  assert.deepEqual([shown, switches], [false, 1]);
  assert.equal(showsList(null, LIST_FROM_PX + 40, shown), true);
});

test("the user's choice wins at any width", () => {
  for (const width of [0, 100, LIST_FROM_PX, 2000]) {
    assert.deepEqual([showsList(true, width, false), showsList(false, width, true)], [true, false]);
  }
});
