// Drives the editor alone, on a bare page, with mouse, keys and fingers.
//
// node editor.mjs '{"shots": "folder or null"}' prints one JSON object of what was seen, by step.

import path from "node:path";
import { driver } from "./driver.mjs";
import { openEmpty } from "./page.mjs";
import { serve } from "./serve.mjs";

const job = JSON.parse(process.argv[2] ?? "{}");
const HOSTILE = [
  "{", "[]", "NaN", '{"version": 9}', '{"people": 4}', '{"positive": [[1e999, 1]]}',
  '{"people": [{"joints": {"<img src=x onerror=window.hacked=1>": {"x": 1, "y": 1}}}]}',
  '<img src=x onerror="window.hacked=1">', "[".repeat(100000), `{"positive": [${Array(200000).fill("[1,1]").join(",")}]}`,
];
const JOINTS = {
  nose: [387, 112], right_eye: [380, 107], left_eye: [390, 106], right_ear: [358, 109], neck: [369, 145],
  right_shoulder: [337, 149], right_elbow: [338, 196], right_wrist: [382, 180],
  left_shoulder: [401, 148], left_elbow: [415, 196], left_wrist: [387, 170],
  right_hip: [348, 241, "proposed"], right_knee: [341, 319, "given"], right_ankle: [332, 392, "given"],
  left_hip: [386, 241, "proposed"], left_knee: [389, 319, "given"],
};
const OTHER = {
  nose: [107, 187], neck: [106, 206], left_shoulder: [84, 215], left_elbow: [76, 256], left_wrist: [68, 292],
  right_shoulder: [129, 215], right_elbow: [140, 254], right_wrist: [147, 279], left_hip: [96, 279], left_knee: [98, 329],
  left_ankle: [98, 374], right_hip: [118, 279], right_knee: [115, 329], right_ankle: [113, 374],
};
const person = (joints) => ({ joints: Object.fromEntries(Object.entries(joints).map(([name, [x, y, state = "detected"]]) => [name, { x, y, state }])) });
const BODY_18 = [
  "nose", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist", "right_hip",
  "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "right_eye", "left_eye", "right_ear", "left_ear",
];
const incoming = (joints) => ({
  people: [{
    pose_keypoints_2d: BODY_18.flatMap((name) => (joints[name] ? [...joints[name].slice(0, 2), 1] : [0, 0, 0])),
    figura_joint_states: BODY_18.map((name) => joints[name]?.[2] ?? null),
  }],
  canvas_width: 640, canvas_height: 448,
});
const SCENE = {
  version: 1, width: 640, height: 448, active: 0, people: [person(JOINTS), person(OTHER)],
  roi_box: [300, 232, 430, 412], full_box: null, positive: [[369, 205], [369, 92]], negative: [[250, 330]],
};

const server = await serve();
const { page, problems, close } = await openEmpty();
page.setDefaultTimeout(60000);
const seen = { problems };

const { text, value, joints, part, action, tool, status, frame, scale, at, click, drag, canvas } = driver(page);

async function open(query = "") {
  await page.goto(`${server.url}/tests/browser/editor_page.html?${query}`);
  await page.waitForFunction(() => window.editor?.session.size.join() === "640,448");
  await frame();
}

/** Widths of the editor, whether the list is shown at each, and how often it changed while the width trembled. */
async function roomForTheList() {
  const isShown = () => page.locator(".figura-points .side").isVisible();
  const pressed = () => action("list").getAttribute("aria-pressed");
  const widen = async (width) => {
    await page.evaluate((value) => { document.getElementById("place").style.width = `${value}px`; }, width);
    await frame();
    return [await isShown(), await pressed()];
  };
  const byItself = [await widen(360), await widen(500), await widen(360)];
  const switches = await page.evaluate(async () => {
    let count = 0;
    const side = window.editor.side.element;
    const observer = new MutationObserver((records) => { count += records.filter(({ oldValue }) => oldValue !== side.className).length; });
    observer.observe(side, { attributes: true, attributeFilter: ["class"], attributeOldValue: true });
    for (let step = 0; step < 30; step += 1) {
      document.getElementById("place").style.width = `${422 + (step % 2 ? 4 : -4)}px`;
      await new Promise(requestAnimationFrame);
    }
    await new Promise(requestAnimationFrame);
    return count;
  });
  await widen(360);
  await action("list").click();
  const chosen = [await widen(360), await widen(500), await widen(300)];
  await action("list").click();
  chosen.push(await widen(600), await widen(360));
  return { byItself: byItself.flat(), switches, chosen: chosen.map(([shown]) => shown) };
}

async function placing() {
  await action("list").click();
  await tool("place").click();
  for (const [x, y] of [[300, 136], [300, 160], [280, 160]]) await click(x, y);
  await page.locator('[data-joint="joints.right_knee"]').click();
  await click(288, 270);
  await page.keyboard.press("Escape");
  return { joints: await joints(), knee: (await value()).people[0].joints.right_knee };
}

async function boxes() {
  await tool("roi_box").click();
  await drag([250, 200], [350, 340]);
  await drag([350, 340], [370, 360]);
  return { roi_box: (await value()).roi_box };
}

async function undoAndRedo() {
  const last = await text();
  for (let step = 0; step < 6; step += 1) if (await action("undo").isEnabled()) await action("undo").click();
  const first = await text();
  await canvas.focus();
  for (let step = 0; step < 6; step += 1) await page.keyboard.press(step % 2 ? "Control+y" : "Control+Shift+Z");
  return { first, same: (await text()) === last, left: await action("undo").isEnabled() };
}

async function zooming() {
  const whole = await scale();
  const [x, y] = await at(300, 160);
  await page.mouse.move(x, y);
  await page.mouse.wheel(0, -400);
  await frame();
  const wheel = await scale();
  const [sameX, sameY] = await at(300, 160);
  await page.keyboard.press("+");
  const plus = await scale();
  await page.keyboard.press("0");
  return { wheel: wheel > whole, plus: plus > wheel, back: Math.abs((await scale()) - whole) < 1e-9, moved: Math.hypot(sameX - x, sameY - y) };
}

async function movingAndDeleting() {
  await tool("select").click();
  await drag([300, 160], [310, 170]);
  const dragged = (await value()).people[0].joints.neck;
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("Shift+ArrowDown");
  const nudged = (await value()).people[0].joints.neck;
  await page.keyboard.press("Delete");
  return { dragged, nudged, joints: await joints() };
}

/** What keys go to in the picture, and all that Tab comes to on its way through the editor and back. */
async function stepping() {
  await canvas.focus();
  const names = [];
  for (const key of [...Array(7).fill("PageDown"), "End", "PageUp", "Home"]) {
    await page.keyboard.press(key);
    await frame();
    names.push(await status());
  }
  const holder = () => page.evaluate(() => {
    const found = window.editor.element.shadowRoot.activeElement;
    return found && (found.getAttribute("aria-label") ?? found.textContent);
  });
  const walk = async (key) => {
    const stops = [];
    for (let step = 0; step < 40 && (await holder()); step += 1) {
      stops.push(await holder());
      await page.keyboard.press(key);
    }
    return stops;
  };
  const on = await walk("Tab");
  await action("remove").focus();
  const back = await walk("Shift+Tab");
  await part('[data-joint="joints.nose"]').focus();
  await page.keyboard.press("Escape");
  for (const key of ["ArrowDown", "ArrowDown", "ArrowUp"]) await page.keyboard.press(key);
  return { names, on, back, row: await holder() };
}

async function importing() {
  await page.evaluate(() => {
    window.detected = { canvas_width: 640, canvas_height: 448, people: [{
      pose_keypoints_2d: Array.from({ length: 18 }, (_, index) => [250 + 5 * index, 100 + 10 * index, index % 2]).flat() }] };
  });
  const before = await text();
  await action("import").click();
  await page.waitForFunction((old) => window.editor.text !== old, before);
  await frame();
  const said = await status();
  const found = await joints();
  await action("undo").click();
  return { said, found: found.length, undone: (await text()) === before };
}

/** Joints that came in with a connected pose: shown, dragged, imported, and gone again. */
async function ghosts() {
  const before = await text();
  const pose = incoming({
    nose: [250, 60, "detected"], neck: [255, 80, "detected"], right_shoulder: [260, 100, "detected"],
    right_elbow: [265, 120, "detected"], right_knee: [295, 240, "proposed"],
  });
  await page.evaluate((came) => {
    window.editor.text = "";
    window.editor.showIncoming(came);
    window.changes.length = 0;
  }, pose);
  await frame();
  const shown = { said: await status(), changes: await page.evaluate(() => window.changes.length), text: await text() };
  await tool("select").click();
  await drag([295, 240], [315, 260]);
  const dragged = (await value()).people[0].joints;
  await click(255, 80);
  const clicked = (await value()).people[0].joints;
  const named = await action("import").getAttribute("aria-label");
  await action("import").click();
  await frame();
  const imported = { said: await status(), joints: await joints(), changes: await page.evaluate(() => window.changes.length) };
  await page.evaluate(() => window.editor.showIncoming(null));
  await frame();
  for (let step = 0; step < 3; step += 1) await action("undo").click();
  const undone = await text();
  await page.evaluate((old) => { window.editor.text = old; }, before);
  return { shown, dragged, clicked, named, imported, undone, after: await action("import").getAttribute("aria-label") };
}

/** Esc leaves the text view, also when the library of poses was open over the picture before, and what is typed after it works. */
async function textView() {
  await action("poses").click();
  await frame();
  const first = await page.evaluate(() => window.editor.element.shadowRoot.activeElement?.dataset.pose);
  await action("text").click();
  await frame();
  const opened = await part("textarea").isVisible();
  await page.keyboard.press("Escape");
  await frame();
  const left = [await part("textarea").isVisible(), await part(".poses").isVisible()];
  await page.keyboard.press("p");
  await frame();
  const placing = await tool("place").getAttribute("aria-pressed");
  await tool("select").click();
  return { first, opened, left, placing };
}

/** On a screen of twice as many pixels, and on a page that reads from right to left. */
async function screens() {
  const client = await page.context().newCDPSession(page);
  await client.send("Emulation.setDeviceMetricsOverride", { width: 1600, height: 1000, deviceScaleFactor: 2, mobile: false });
  await page.evaluate(() => window.editor.sharpen());
  await frame();
  const sharp = await page.evaluate(() => window.editor.parts.canvas.width / window.editor.parts.canvas.clientWidth);
  const { x, y } = (await value()).people[0].joints.nose;
  await drag([x, y], [x + 20, y]);
  const dragged = (await value()).people[0].joints.nose.x - x;
  await action("undo").click();
  await client.send("Emulation.clearDeviceMetricsOverride");
  const turned = await page.evaluate(() => {
    const { picture, side } = window.editor.parts;
    const lefts = () => [picture, side.element].map((part) => part.getBoundingClientRect().left);
    document.documentElement.dir = "rtl";
    const isAsEver = lefts()[0] < lefts()[1];
    document.documentElement.dir = "";
    return isAsEver;
  });
  return { sharp, dragged, turned };
}

/** Opens the large view and closes it in each of its ways. */
async function largeView() {
  const isOpen = () => page.evaluate(() => window.editor.large.isOpen);
  const children = () => page.evaluate(() => [document.body.children.length, window.editor.element.shadowRoot.children.length,
    window.editor.element.shadowRoot.firstElementChild.className]);
  const before = await children();
  const ways = [() => page.keyboard.press("Escape"), () => action("large").click(), () => page.mouse.click(6, 6)];
  const closed = [];
  for (const way of ways) {
    await action("large").click();
    const opened = await isOpen();
    await way();
    closed.push(opened && !(await isOpen()));
  }
  await frame();
  return { closed, same: JSON.stringify(before) === JSON.stringify(await children()) };
}

async function hostileValues() {
  const kept = [];
  for (const bad of HOSTILE) {
    await page.evaluate((given) => { window.changes.length = 0; window.editor.text = given; }, bad);
    await frame();
    const line = await status();
    await tool("positive").click({ force: true, timeout: 500 }).catch(() => {});
    await action("text").click();
    await frame();
    await action("text").click();
    const same = await page.evaluate((given) => window.editor.text === given && window.changes.length === 0, bad);
    kept.push(same && line.startsWith("points: "));
  }
  await page.evaluate(() => { window.editor.text = "{"; });
  await frame();
  await page.getByText("Start afresh").click();
  const afresh = (await value()).version;
  await action("undo").click();
  return { kept, hacked: await page.evaluate(() => window.hacked ?? 0), afresh, back: await text() };
}

async function fingers() {
  const client = await page.context().newCDPSession(page);
  await client.send("Emulation.setTouchEmulationEnabled", { enabled: true, maxTouchPoints: 2 });
  const touch = (type, ...points) => client.send("Input.dispatchTouchEvent", { type, touchPoints: points.map(([x, y], id) => ({ x, y, id })) });
  const before = [await scale(), await text()];
  await tool("place").click();
  const [x, y] = await at(300, 200);
  await touch("touchStart", [x - 20, y]);
  await touch("touchStart", [x - 20, y], [x + 20, y]);
  await touch("touchMove", [x - 40, y], [x + 40, y]);
  await touch("touchEnd");
  const pinched = { factor: (await scale()) / before[0], untouched: (await text()) === before[1] };
  await page.keyboard.press("0");
  const [tapX, tapY] = await at(200, 300);
  await touch("touchStart", [tapX, tapY]);
  await touch("touchEnd");
  await client.send("Emulation.setTouchEmulationEnabled", { enabled: false });
  const placed = (await text()) !== before[1];
  await page.evaluate(() => window.editor.session.undo());
  await page.keyboard.press("Escape");
  return { ...pinched, placed };
}

/** 200 points are drawn once for each frame, however many events ask for it. */
async function manyPoints() {
  return page.evaluate(async () => {
    const points = Array.from({ length: 100 }, (_, index) => [20 + 6 * index, 40 + 3 * index]);
    window.editor.text = JSON.stringify({ width: 640, height: 448, positive: points, negative: points.map(([x, y]) => [x, 440 - y]) });
    await new Promise(requestAnimationFrame);
    let drawn = 0;
    const clear = window.editor.context.clearRect;
    window.editor.context.clearRect = function (...values) { drawn += 1; return clear.apply(this, values); };
    for (let step = 0; step < 50; step += 1) window.editor.session.select({ kind: "positive", index: step });
    await new Promise(requestAnimationFrame);
    await new Promise(requestAnimationFrame);
    const busy = drawn;
    await new Promise((done) => setTimeout(done, 200));
    const idle = drawn - busy;
    const start = performance.now();
    for (let step = 0; step < 30; step += 1) { window.editor.refresh(); await new Promise(requestAnimationFrame); }
    const frame_ms = (performance.now() - start) / 30;
    delete window.editor.context.clearRect;
    return { busy, idle, frame_ms };
  });
}

async function shots() {
  if (!job.shots) return;
  const save = (name, options) => page.screenshot({ path: path.join(job.shots, name), ...options });
  for (const theme of ["dark", "light"]) {
    await page.setViewportSize({ width: 408, height: 468 });
    await open(`theme=${theme}`);
    await page.evaluate((scene) => { window.editor.text = JSON.stringify(scene); }, SCENE);
    await page.evaluate(() => window.editor.fitOrPerson());
    await page.evaluate(() => window.editor.session.select({ kind: "joint", part: "joints", name: "right_knee" }));
    await frame();
    await save(`editor_${theme}.png`);
  }
  await page.evaluate((pose) => { window.editor.text = '{"positive": [[369, 205]]}'; window.editor.showIncoming(pose); }, incoming(JOINTS));
  await page.evaluate(() => window.editor.session.adopt("joints", "right_knee"));
  await page.mouse.move(...(await at(...JOINTS.left_knee)));
  await frame();
  await save("editor_ghosts.png");
  await page.setViewportSize({ width: 1280, height: 800 });
  await open("theme=dark");
  await page.evaluate((scene) => { window.editor.text = JSON.stringify(scene); }, SCENE);
  await action("large").click();
  await page.evaluate(() => window.editor.fitOrPerson());
  await tool("place").click();
  await page.mouse.move(...(await at(390, 393)));
  await frame();
  await save("editor_large.jpg", { quality: 85 });
}

try {
  await open();
  seen.room = await roomForTheList();
  await open();
  seen.placing = await placing();
  seen.boxes = await boxes();
  seen.undo = await undoAndRedo();
  seen.zoom = await zooming();
  seen.move = await movingAndDeleting();
  seen.step = await stepping();
  seen.screens = await screens();
  seen.import = await importing();
  seen.ghosts = await ghosts();
  seen.text = await textView();
  seen.large = await largeView();
  seen.fingers = await fingers();
  const before = await text();
  await open();
  seen.reload = { same: (await text()) === before, joints: await joints() };
  seen.many = await manyPoints();
  seen.hostile = await hostileValues();
  seen.widget = await page.evaluate(async () => (await import("/tests/browser/widget_page.mjs")).tryWidget());
  await shots();
} catch (error) {
  seen.failed = String(error.stack);
  if (job.shots) await page.screenshot({ path: path.join(job.shots, "editor_failed.png") });
} finally {
  await close();
  server.close();
}
console.log(JSON.stringify(seen));
