// A saved graph says where the model files come from that its nodes name.

import assert from "node:assert/strict";
import { test } from "node:test";
import { downloadsOf, nameDownloads } from "../../web/models/downloads.mjs";
import { KNOWN } from "../../web/models/known.mjs";

const SAM = "sam_vit_b_01ec64.pth";

test("files that the page may fetch are known by name, address and folder", () => {
  for (const [name, { url, directory }] of Object.entries(KNOWN)) {
    assert.match(name, /\.(safetensors|sft|ckpt|pth|pt)$/);
    assert.match(url, /^https:\/\/huggingface\.co\/.+\/resolve\/main\/.+/);
    assert.ok(directory);
  }
});

test("a field that names a known file, in whatever folder, gives its source; others give none", () => {
  const [found, ...more] = downloadsOf([{ value: `vit\\${SAM}` }, { value: SAM }, { value: "mini" }, { value: 3 }, {}]);
  assert.deepEqual(more, []);
  assert.equal(found.name, SAM);
  assert.equal(found.directory, "sams");
});

test("it is written when the node is saved, again when the choice changes, and nothing else is touched", () => {
  const calls = [];
  const node = { widgets: [{ value: SAM }], onSerialize: (saved) => calls.push(saved) };
  nameDownloads(node);
  const shared = { "Node name for S&R": "FiguraLoadSAM" };
  const saved = { properties: shared };
  node.onSerialize(saved);
  assert.deepEqual(saved.properties.models.map(({ name }) => name), [SAM]);
  assert.deepEqual([calls.length, Object.keys(shared)], [1, ["Node name for S&R"]]);
  node.widgets[0].value = "mini";
  saved.properties.models.push({ name: "somebody's.safetensors" });
  node.onSerialize(saved);
  assert.deepEqual(saved.properties.models, [{ name: "somebody's.safetensors" }]);
});
