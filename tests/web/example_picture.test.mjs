import assert from "node:assert/strict";
import { test } from "node:test";
import { PICTURE_NAMES, examplePicturesOf, uploadExamplePicture } from "../../web/example_picture.mjs";

const loader = (name) => ({ type: "LoadImage", widgets_values: [name, "image"] });

test("a graph's example pictures are those its loaders name", () => {
  const [scene, hand] = PICTURE_NAMES;
  assert.deepEqual(examplePicturesOf({ nodes: [loader(hand), loader("mine.png"), loader(scene)] }), [scene, hand]);
  assert.deepEqual(examplePicturesOf({ nodes: [{ type: "SaveImage", widgets_values: [hand] }, { type: "LoadImage" }] }), []);
  assert.deepEqual(examplePicturesOf({}), []);
  assert.deepEqual(examplePicturesOf(undefined), []);
});

test("a picture is fetched from the pack and sent under its own name", async (t) => {
  const asked = [];
  t.mock.method(globalThis, "fetch", async (url) => {
    asked.push(String(url));
    return new Response("pixels", { status: 200 });
  });
  const sent = [];
  const api = { fetchApi: async (route, options) => (sent.push([route, options.body.get("image").name]), { ok: true }) };
  assert.equal(await uploadExamplePicture(api, "figura_hand.png", "http://x/extensions/figura/example_picture.mjs"), true);
  assert.deepEqual(asked, ["http://x/extensions/figura/pictures/figura_hand.png"]);
  assert.deepEqual(sent, [["/upload/image", "figura_hand.png"]]);
});

test("a picture that is not there is not sent", async (t) => {
  t.mock.method(globalThis, "fetch", async () => new Response("", { status: 404 }));
  const api = { fetchApi: () => assert.fail("nothing to send") };
  assert.equal(await uploadExamplePicture(api, "figura_hand.png", "http://x/a.mjs"), false);
});
