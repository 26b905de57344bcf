// The points text: what is read, what is said of mistakes, what is written.

import assert from "node:assert/strict";
import { test } from "node:test";
import { emptyDocument, MAX_POINTS, readDocument, writeDocument } from "../../web/points/document/reading.mjs";

const EXAMPLE = {
  version: 1, width: 640, height: 448, active: 0,
  people: [{ joints: { right_knee: { x: 287, y: 334, state: "given" }, left_wrist: null } }],
  roi_box: null, full_box: [200, 90, 380, 430], positive: [[290, 200]], negative: [[20, 20]],
};

function problemsOf(value) {
  return readDocument(typeof value === "string" ? value : JSON.stringify(value)).problems;
}

test("an empty text is an empty document without problems", () => {
  for (const text of ["", "  \n"]) assert.deepEqual(readDocument(text), { doc: emptyDocument(), problems: [] });
});

test("what is written is read again", () => {
  const { doc, problems } = readDocument(JSON.stringify(EXAMPLE));
  assert.deepEqual(problems, []);
  assert.deepEqual(JSON.parse(writeDocument(doc)), EXAMPLE);
  assert.deepEqual(readDocument(writeDocument(doc)).doc, doc);
});

test("keys that nobody knows are kept, at the top, in people and in joints", () => {
  const value = {
    ...EXAMPLE, note: "mine",
    people: [{ name: "Ada", joints: { neck: { x: 1, y: 2, state: "given", confidence: 0.5 } } }],
  };
  assert.deepEqual(JSON.parse(writeDocument(readDocument(JSON.stringify(value)).doc)), {
    ...value, people: [{ joints: value.people[0].joints, name: "Ada" }],
  });
});

test("names of JavaScript's own objects are ordinary keys", () => {
  const text = '{"__proto__": {"x": 1}, "constructor": 3, "people": [{"joints": {"__proto__": {"x": 1, "y": 1}}}]}';
  const { doc, problems } = readDocument(text);
  assert.deepEqual(problems, ['people[0].joints: there is no joint "__proto__"']);
  assert.equal(Object.getPrototypeOf(doc.extra), Object.prototype);
  assert.ok(writeDocument(doc).includes('"__proto__":{"x":1}'));
});

for (const [text, says] of [
  ["{", /not JSON/],
  ['{"width": NaN}', /not JSON/],
  ["[]", /must be a JSON object/],
  ["null", /must be a JSON object/],
  ['"<img src=x onerror=alert(1)>"', /must be a JSON object/],
  ['{"version": 9}', /version 9 is not known/],
  ['{"version": "1"}', /version "1" is not known/],
  ["[".repeat(300_000), /not JSON|nested too deeply/],
  [`{"a": ${"[".repeat(200_000)}${"]".repeat(200_000)}}`, /nested too deeply|not JSON/],
  [" ".repeat(2_000_000), /at most 1000000 are read/],
]) {
  test(`a text that cannot be used gives no document: ${text.slice(0, 30).trim()}`, () => {
    const { doc, problems } = readDocument(text);
    assert.equal(doc, null);
    assert.equal(problems.length, 1);
    assert.match(problems[0], says);
    assert.ok(problems[0].length < 300);
  });
}

for (const [value, says] of [
  [{ width: 0 }, /^width must be a number of pixels above 0; got 0/],
  [{ height: "tall" }, /^height must be/],
  [{ people: 4 }, /^people must be a list; got 4/],
  [{ people: [1] }, /^people\[0\] must be/],
  [{ people: [{}], active: 1 }, /^active must be a person's number, 0 to 0; got 1/],
  [{ people: [{ joints: [] }] }, /^people\[0\]\.joints must be/],
  [{ people: [{ joints: { right_knea: { x: 1, y: 1 } } }] }, /no joint "right_knea"/],
  [{ people: [{ joints: { neck: [1, 2] } }] }, /^people\[0\]\.joints\.neck must be/],
  [{ people: [{ joints: { neck: { x: 1, y: 1e9 } } }] }, /got x 1 and y 1000000000/],
  [{ people: [{ joints: { neck: { x: 1, y: 1, state: "seen" } } }] }, /^the state of people\[0\]\.joints\.neck/],
  [{ people: [{ left_hand: { tip: { x: 1, y: 1 } } }] }, /left_hand: there is no joint "tip"/],
  [{ roi_box: [1, 2, 3] }, /^roi_box must be/],
  [{ full_box: [1, 2, 1, 9] }, /^full_box has no area/],
  [{ positive: [[1]] }, /^positive\[0\] must be \[x, y\]/],
  [{ negative: Array(MAX_POINTS + 1).fill([1, 1]) }, /^negative holds 257 entries; at most 256/],
]) {
  test(`a mistake is named and the rest is kept: ${JSON.stringify(value).slice(0, 50)}`, () => {
    const { doc, problems } = readDocument(JSON.stringify({ ...value, extra_key: 1 }));
    assert.equal(problems.length, 1, problems);
    assert.match(problems[0], says);
    assert.deepEqual(doc.extra, { extra_key: 1 });
    assert.deepEqual(problemsOf(writeDocument(doc)), []);
  });
}

test("one wrong joint does not hide the others", () => {
  const { doc, problems } = readDocument('{"people": [{"joints": {"neck": {"x": 1, "y": 2}, "nose": {"x": "a"}}}]}');
  assert.equal(problems.length, 1);
  assert.deepEqual(doc.people[0].joints, { neck: { x: 1, y: 2, state: "given" } });
});

test("points that another editor wrote as x and y are read", () => {
  assert.deepEqual(readDocument('{"positive": [{"x": 3, "y": 4}], "negative": [[5, 6]]}').doc.positive, [[3, 4]]);
  assert.match(problemsOf('{"positive": [{"x": 3, "y": "4"}]}')[0], /^positive\[0\] must be/);
});

test("boxes are read from any two corners", () => {
  assert.deepEqual(readDocument('{"roi_box": [9, 8, 1, 2]}').doc.roi_box, [1, 2, 9, 8]);
});

test("a million points are read to the limit only", () => {
  const text = `{"positive": [${Array(150_000).fill("[1,1]").join(",")}]}`;
  assert.equal(readDocument(text).doc.positive.length, MAX_POINTS);
});

/** A small generator of JSON values, the same every time. */
function* values(seed, count) {
  let state = seed;
  const next = () => (state = (state * 1664525 + 1013904223) % 4294967296) / 4294967296;
  const pick = (list) => list[Math.floor(next() * list.length)];
  const keys = ["people", "joints", "neck", "x", "y", "state", "roi_box", "positive", "active", "width", "version", "left_hand"];
  const value = (depth) => {
    const kind = depth > 4 ? 0 : Math.floor(next() * 4);
    if (kind === 1) return Array.from({ length: Math.floor(next() * 5) }, () => value(depth + 1));
    if (kind >= 2) return Object.fromEntries(Array.from({ length: Math.floor(next() * 5) }, () => [pick(keys), value(depth + 1)]));
    return pick([null, true, 0, -1, 1, 1.5, 1e300, "", "<b>", "given", "detected", 7]);
  };
  for (let index = 0; index < count; index += 1) yield value(0);
}

test("whatever JSON comes, reading never throws, and what is written has no problems and is stable", () => {
  for (const value of values(7, 3000)) {
    const { doc } = readDocument(JSON.stringify(value));
    if (!doc) continue;
    const written = writeDocument(doc);
    const again = readDocument(written);
    assert.deepEqual(again.problems, []);
    assert.equal(writeDocument(again.doc), written);
  }
});
