// What nodes do to the shape of a picture: the numbers are those of ComfyUI's own nodes.

import assert from "node:assert/strict";
import { test } from "node:test";
import { boxInSource, changeOf, frameAfter, peopleInFrame, wholeFrame } from "../../web/points/page/changes.mjs";

const node = (type, values) => ({ type, inputs: [], widgets: Object.entries(values).map(([name, value]) => ({ name, value })) });
const after = (type, values, size) => frameAfter([changeOf(node(type, values)).change], size);

test("scaling to sides, of which one may follow from the other", () => {
  assert.deepEqual(after("ImageScale", { width: 320, height: 200, crop: "disabled" }, [640, 448]), { size: [320, 200], box: [0, 0, 640, 448] });
  assert.deepEqual(after("ImageScale", { width: 0, height: 224, crop: "disabled" }, [640, 448]).size, [320, 224]);
  assert.deepEqual(after("ImageScale", { width: 0, height: 0, crop: "disabled" }, [640, 448]), wholeFrame([640, 448]));
});

test("scaling with a cut in the middle", () => {
  assert.deepEqual(after("ImageScale", { width: 100, height: 100, crop: "center" }, [640, 448]), { size: [100, 100], box: [96, 0, 544, 448] });
  assert.deepEqual(after("ImageScale", { width: 100, height: 100, crop: "center" }, [448, 640]), { size: [100, 100], box: [0, 96, 448, 544] });
});

test("scaling by a factor, to megapixels, and to a longest side", () => {
  assert.deepEqual(after("ImageScaleBy", { scale_by: 1.5 }, [641, 448]).size, [962, 672]);
  assert.deepEqual(after("ImageScaleToTotalPixels", { megapixels: 1, resolution_steps: 1 }, [640, 448]).size, [1224, 857]);
  assert.deepEqual(after("ImageScaleToTotalPixels", { megapixels: 1 }, [1024, 1024]).size, [1024, 1024]);
  assert.deepEqual(after("ImageScaleToTotalPixels", { megapixels: 0.5, resolution_steps: 64 }, [640, 448]).size, [896, 576]);
  assert.deepEqual(after("ImageScaleToMaxDimension", { largest_size: 512 }, [640, 448]).size, [512, 358]);
});

test("halves are rounded as Python rounds them", () => {
  assert.deepEqual(after("ImageScaleBy", { scale_by: 0.5 }, [1025, 1027]).size, [512, 514]);
  assert.deepEqual(after("ImageScale", { width: 0, height: 1, crop: "disabled" }, [5, 2]).size, [2, 1]);
  assert.deepEqual(after("ImageScale", { width: 100, height: 100, crop: "center" }, [101, 100]).box, [0, 0, 101, 100]);
});

test("a cut stays inside the picture, a pad reaches beyond it", () => {
  assert.deepEqual(after("ImageCrop", { width: 512, height: 100, x: 500, y: 10 }, [640, 448]), { size: [140, 100], box: [500, 10, 640, 110] });
  assert.deepEqual(after("ImagePadForOutpaint", { left: 10, top: 20, right: 30, bottom: 40 }, [100, 100]), { size: [140, 160], box: [-10, -20, 130, 140] });
});

test("a cut after a scaling is a part of the source in its own pixels", () => {
  const changes = [node("ImageScaleBy", { scale_by: 0.5 }), node("ImageCrop", { width: 100, height: 50, x: 10, y: 20 })].map((one) => changeOf(one).change);
  assert.deepEqual(frameAfter(changes, [640, 448]), { size: [100, 50], box: [20, 40, 220, 140] });
});

test("people found in the source are moved into the frame, and what it hides is left out", () => {
  const frame = { size: [100, 50], box: [20, 40, 220, 140] };
  const moved = peopleInFrame({ people: [{ pose_keypoints_2d: [20, 40, 1, 220, 140, 0.5, 10, 10, 1, 0, 0, 0] }], canvas_width: 640, canvas_height: 448 }, frame);
  assert.deepEqual(moved, { people: [{ pose_keypoints_2d: [0, 0, 1, 100, 50, 0.5, 0, 0, 0, 0, 0, 0] }], canvas_width: 100, canvas_height: 50 });
  assert.deepEqual(boxInSource([0, 0, 100, 50], frame), frame.box);
});

test("a node that gives a picture without taking one is no way to go on", () => {
  assert.equal(changeOf({ type: "VAEDecode", inputs: [{ name: "samples", type: "LATENT", link: 3 }] }), null);
});
