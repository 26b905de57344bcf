// Which run a result belongs to, in stand-ins for the page's connection to its server.

import assert from "node:assert/strict";
import { test } from "node:test";
import { listenForRuns, queuedNode, queueNode } from "../../web/points/page/runs.mjs";

/** A connection whose queue gives these answers, one after the other: an id, an error, or a promise of one. */
function connect(...answers) {
  const api = Object.assign(new EventTarget(), {
    asked: [],
    async queuePrompt(...values) {
      api.asked.push(values);
      const answer = await answers.shift();
      if (answer instanceof Error) throw answer;
      return { prompt_id: answer };
    },
  });
  listenForRuns(api);
  const tell = (name, detail) => api.dispatchEvent(Object.assign(new Event(name), { detail }));
  return { api, tell };
}

test("while two runs are queued, each result belongs to its own", async () => {
  const { api, tell } = connect("run A", "run B");
  for (const state of ["A", "B"]) {
    queueNode("root:1", state);
    await api.queuePrompt(0, state);
  }
  assert.deepEqual(api.asked, [[0, "A"], [0, "B"]]);
  tell("execution_start", { prompt_id: "run A" });
  assert.equal(queuedNode("root:1"), "A");
  tell("execution_start", { prompt_id: "run B" });
  assert.equal(queuedNode("root:1"), "B");
  tell("executed", { prompt_id: "run A" });
  assert.equal(queuedNode("root:1"), "A");
});

test("a result that comes before the run's name belongs to what is being queued", async () => {
  let answer;
  const { api, tell } = connect("elder", new Promise((done) => { answer = done; }));
  queueNode("root:2", "old");
  await api.queuePrompt();
  queueNode("root:2", "new");
  const asked = api.queuePrompt();
  tell("execution_start", { prompt_id: "fast" });
  assert.equal(queuedNode("root:2"), "new");
  answer("fast");
  await asked;
  assert.equal(queuedNode("root:2"), "new");
});

test("a run that was not queued is forgotten", async () => {
  const { api, tell } = connect(new Error("refused"), undefined);
  for (let attempt = 0; attempt < 2; attempt += 1) {
    queueNode("root:3", "never");
    await api.queuePrompt().catch((error) => assert.equal(error.message, "refused"));
    tell("execution_start", { prompt_id: "another" });
    assert.equal(queuedNode("root:3"), undefined);
  }
});

test("a node of a known run is told from one that was not in it, and from any node of an unknown run", async () => {
  const { api, tell } = connect("known", "without nodes");
  queueNode("root:4", "here");
  await api.queuePrompt();
  await api.queuePrompt();
  tell("executed", { prompt_id: "known" });
  assert.deepEqual([queuedNode("root:4"), queuedNode("other graph:4")], ["here", null]);
  for (const prompt_id of ["from before the page was loaded", "without nodes"]) {
    tell("executed", { prompt_id });
    assert.equal(queuedNode("root:4"), undefined);
  }
});

test("of very many runs the last ones are known", async () => {
  const { api, tell } = connect(...Array.from({ length: 1001 }, (_, index) => `run ${index}`));
  for (let index = 0; index <= 1000; index += 1) {
    queueNode("root:5", index);
    await api.queuePrompt();
  }
  const known = (index) => (tell("executed", { prompt_id: `run ${index}` }), queuedNode("root:5"));
  assert.deepEqual([known(0), known(1), known(1000)], [undefined, 1, 1000]);
});
