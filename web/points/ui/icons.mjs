// The shapes of the toolbar, as SVG paths in a field of 16 x 16.

export const ICONS = Object.freeze({
  select: "M4 2.5l8 6.2-3.7.5 2 4-1.7.8-2-4-2.6 2.6z",
  place: "M8 4.2a1.7 1.7 0 1 0 0-.1M8 6v4M8 7.5L4.5 6M8 7.5L11.5 6M8 10l-2.5 4M8 10l2.5 4",
  whole: "M8 2v12M2 8h12M8 2L6.5 3.5M8 2l1.5 1.5M8 14l-1.5-1.5M8 14l1.5-1.5M2 8l1.5-1.5M2 8l1.5 1.5M14 8l-1.5-1.5M14 8l-1.5 1.5",
  poses: "M5 3.6a1.2 1.2 0 1 0 .01 0M5 6v3.5M2.5 7.5h5M5 9.5l-1.8 3.5M5 9.5l1.8 3.5M11 3.6a1.2 1.2 0 1 0 .01 0M11 6v3.5M9 4.5l2 2 2-2M11 9.5l-1.5 3.5M11 9.5l1.5 3.5",
  roi_box: "M2.5 5V2.5H5M11 2.5h2.5V5M13.5 11v2.5H11M5 13.5H2.5V11M5.5 5.5h5v5h-5z",
  full_box: "M2.5 2.5h11v11h-11z",
  positive: "M8 2.5a5.5 5.5 0 1 0 .01 0M8 5.5v5M5.5 8h5",
  negative: "M8 2.5a5.5 5.5 0 1 0 .01 0M5.5 8h5",
  undo: "M5.5 3L2.5 6l3 3M3 6h6a4 4 0 0 1 0 8H6.5",
  redo: "M10.5 3l3 3-3 3M13 6H7a4 4 0 0 0 0 8h2.5",
  import: "M8 2v7.5M5 7l3 3 3-3M2.5 11v2.5h11V11",
  zoomIn: "M8 3.5v9M3.5 8h9",
  zoomOut: "M3.5 8h9",
  zoomFit: "M3 6V3h3M10 3h3v3M13 10v3h-3M6 13H3v-3",
  list: "M6 4h7.5M6 8h7.5M6 12h7.5M2.8 4h.4M2.8 8h.4M2.8 12h.4",
  text: "M6 3C4 3 5 7 3 8c2 1 1 5 3 5M10 3c2 0 1 4 3 5-2 1-1 5-3 5",
  enlarge: "M9.5 2.5h4v4M6.5 13.5h-4v-4M13.5 2.5L9 7M2.5 13.5L7 9",
  close: "M4 4l8 8M12 4l-8 8",
  remove: "M3 4.5h10M6.5 4.5V3h3v1.5M4.5 4.5l.6 9h5.8l.6-9M7 7v4M9 7v4",
  add: "M8 3.5v9M3.5 8h9",
});
