// How the mouse's pointer looks over the picture.

const OF_HANDLES = {
  n: "ns-resize", s: "ns-resize", e: "ew-resize", w: "ew-resize",
  nw: "nwse-resize", se: "nwse-resize", ne: "nesw-resize", sw: "nesw-resize",
};

/** The CSS cursor for what the pointer of a session is over; drags: the picture would be dragged. */
export function cursorOf({ hover, tool }, drags) {
  if (drags) return "grab";
  if (hover?.handle) return OF_HANDLES[hover.handle] ?? "move";
  if (tool !== "select") return "crosshair";
  return hover ? "pointer" : "default";
}
