// Hands for the point editor in a page: what it shows, its buttons, and the mouse in pixels of the picture. The page's
// `window.editor` is the editor.

export function driver(page) {
  const text = () => page.evaluate(() => window.editor.text);
  const value = async () => JSON.parse(await text());
  const joints = async () => {
    const placed = Object.entries((await value()).people[0].joints).filter(([, joint]) => joint !== null);
    return placed.map(([name]) => name);
  };
  const part = (selector) => page.locator(`.figura-points ${selector}`);
  const frame = () => page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));

  /** Where a pixel of the picture is on the page, however large the page shows the editor. */
  const at = (x, y) => page.evaluate(([px, py]) => {
    const { view, parts } = window.editor;
    const rect = parts.canvas.getBoundingClientRect();
    const zoom = rect.width / parts.canvas.clientWidth;
    return [rect.left + zoom * (px * view.scale + view.x), rect.top + zoom * (py * view.scale + view.y)];
  }, [x, y]);

  const click = async (x, y) => page.mouse.click(...(await at(x, y)));

  async function drag(from, to) {
    await frame(); // what a step before has changed may move the picture still
    await page.mouse.move(...(await at(...from)));
    await page.mouse.down();
    await page.mouse.move(...(await at((from[0] + to[0]) / 2, (from[1] + to[1]) / 2)));
    await page.mouse.move(...(await at(...to)));
    await page.mouse.up();
  }

  return {
    text, value, joints, part, frame, at, click, drag,
    canvas: part("canvas"),
    action: (name) => part(`[data-do=${name}]`),
    tool: (name) => part(`[data-tool=${name}]`),
    status: () => part("#status").textContent(),
    scale: () => page.evaluate(() => window.editor.view.scale),
  };
}
