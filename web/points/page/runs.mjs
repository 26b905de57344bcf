// To which run a result belongs. While a run is at work the next one may be queued, of another picture or in another tab;
// but the page gives a node its result without a word of the run, and to whatever node has that id in the tab that is open.

// At the start of a run, and with each result: so a start that was not heard does no harm.
const NAMING = ["execution_start", "executed"];
const MOST = 1000;

// By the names of nodes, what was so when a run was queued.
const runs = new Map();
let queued = new Map();
let atWork = null;
let begun = 0;

/** Hear which runs the page queues and which one is at work; before the page itself, which passes the results on. */
export function listenForRuns(api) {
  const queuePrompt = api.queuePrompt;
  api.queuePrompt = async function (...values) {
    const nodes = queued;
    try {
      const answer = await queuePrompt.apply(this, values);
      if (answer?.prompt_id && nodes.size > 0) begin(answer.prompt_id, nodes);
      return answer;
    } finally {
      if (queued === nodes) queued = new Map();
    }
  };
  for (const name of NAMING) {
    api.addEventListener(name, ({ type, detail }) => {
      atWork = detail?.prompt_id ?? atWork;
      if (type === "execution_start") begun += 1;
    });
  }
}

/** How many runs have begun since the page was loaded. */
export function begunRuns() {
  return begun;
}

function begin(id, nodes) {
  runs.set(id, nodes);
  if (runs.size > MOST) runs.delete(runs.keys().next().value);
}

/** The page queues a run: what has to be known of this node when the result comes. */
export function queueNode(name, state) {
  queued.set(name, state);
}

/**
 * What was said of a node when the run that is at work was queued; undefined when the run is not known here, as one from
 * before the page was loaded; null when the run is known, but not this node in it.
 */
export function queuedNode(name) {
  // A fast run may give its results before the page has heard what it is called.
  return runs.has(atWork) ? runs.get(atWork).get(name) ?? null : queued.get(name);
}
