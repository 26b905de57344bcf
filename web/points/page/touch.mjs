// Two fingers on the editor zoom its picture. The page listens on everything that lies over the graph, before the editor
// hears anything, and zooms the graph as well: what it has done is taken back at once, before anything is drawn.

/** Keep the graph where it is while fingers are on an element. view(): the page's {scale, offset}, or null. */
export function keepGraphStill(element, view) {
  let kept = null;
  element.addEventListener("pointerdown", ({ pointerType }) => {
    if (pointerType === "touch" && !kept) kept = copied(view());
  }, { capture: true });
  element.addEventListener("touchmove", () => kept && restore(view(), kept), { passive: true });
  for (const name of ["touchend", "touchcancel"]) {
    element.addEventListener(name, ({ touches }) => {
      if (kept) restore(view(), kept);
      if (touches.length === 0) kept = null;
    }, { passive: true });
  }
}

function copied(view) {
  return view && { scale: view.scale, offset: [...view.offset] };
}

function restore(view, kept) {
  if (!view || !kept) return;
  view.scale = kept.scale;
  [view.offset[0], view.offset[1]] = kept.offset;
}
