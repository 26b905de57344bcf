// What nodes of ComfyUI do to the shape of a picture: scale, cut, pad. A frame says which part of the source's picture is
// seen, and at which size the node gets it: {size: [width, height] px, box: [x0, y0, x1, y1] px of the source}. A change
// makes one frame of another one.

import { widgetValue } from "./links.mjs";

/** A whole picture of [width, height] px as it is. */
export function wholeFrame([width, height]) {
  return { size: [width, height], box: [0, 0, width, height] };
}

/** The frame of a source's picture of [width, height] px after all changes, the first one first. */
export function frameAfter(changes, size) {
  return changes.reduce((frame, change) => change(frame), wholeFrame(size));
}

const MEGAPIXEL = 1024 * 1024;

/** As Python rounds: halves go to the even number. */
function rounded(value) {
  const floor = Math.floor(value);
  return value - floor === 0.5 ? floor + Math.abs(floor % 2) : Math.round(value);
}

function scaled(frame, width, height) {
  return { ...frame, size: [Math.max(rounded(width), 1), Math.max(rounded(height), 1)] };
}

/** A part of the picture, [x0, y0, x1, y1] px of what the node gets; it may reach beyond it. */
function cut({ size, box }, part) {
  const [x, y] = [0, 1].map((axis) => (box[axis + 2] - box[axis]) / size[axis]);
  return {
    size: [part[2] - part[0], part[3] - part[1]],
    box: [box[0] + part[0] * x, box[1] + part[1] * y, box[0] + part[2] * x, box[1] + part[3] * y],
  };
}

function scale(frame, { width, height, crop }) {
  const [w, h] = frame.size;
  if (width === 0 && height === 0) return frame;
  const to = [width || Math.max(1, rounded((w * height) / h)), height || Math.max(1, rounded((h * width) / w))];
  return scaled(crop === "center" ? cutToShape(frame, to) : frame, ...to);
}

/** The middle of a picture in the shape of another one. */
function cutToShape(frame, [width, height]) {
  const [w, h] = frame.size;
  const [old, wanted] = [w / h, width / height];
  const x = old > wanted ? rounded((w - w * (wanted / old)) / 2) : 0;
  const y = old < wanted ? rounded((h - h * (old / wanted)) / 2) : 0;
  return cut(frame, [x, y, w - x, h - y]);
}

function totalPixels(frame, { megapixels, resolution_steps: step = 1 }) {
  const by = Math.sqrt((megapixels * MEGAPIXEL) / (frame.size[0] * frame.size[1]));
  return scaled(frame, ...frame.size.map((side) => rounded((side * by) / step) * step));
}

function largestSide(frame, { largest_size: largest }) {
  const by = largest / Math.max(...frame.size);
  return scaled(frame, frame.size[0] * by, frame.size[1] * by);
}

function crop(frame, { width, height, x, y }) {
  const [w, h] = frame.size;
  const [left, top] = [Math.min(x, w - 1), Math.min(y, h - 1)];
  return cut(frame, [left, top, Math.min(left + width, w), Math.min(top + height, h)]);
}

function pad(frame, { left, top, right, bottom }) {
  return cut(frame, [-left, -top, frame.size[0] + right, frame.size[1] + bottom]);
}

// A row: the input that holds the picture, the change, and the fields that it needs.
const CHANGES = {
  ImageScale: ["image", scale, ["width", "height", "crop"]],
  ImageScaleBy: ["image", (frame, { scale_by: by }) => scaled(frame, frame.size[0] * by, frame.size[1] * by), ["scale_by"]],
  ImageScaleToTotalPixels: ["image", totalPixels, ["megapixels"], ["resolution_steps"]],
  ImageScaleToMaxDimension: ["image", largestSide, ["largest_size"]],
  ImageCrop: ["image", crop, ["width", "height", "x", "y"]],
  ImagePadForOutpaint: ["image", pad, ["left", "top", "right", "bottom"]],
};
// Nodes that leave the shape of the (first) picture as it is, and the input that holds it.
const SAME_SHAPE = {
  ImageBatch: "image1", ImageBlend: "image1", ImageBlur: "image", ImageCompositeMasked: "destination", ImageFromBatch: "image",
  ImageInvert: "image", ImageQuantize: "image", ImageSharpen: "image", JoinImageWithAlpha: "image", RepeatImageBatch: "image",
  SplitImageWithAlpha: "image", BatchImagesNode: "images.image0", GetVideoComponents: "video", "Video Slice": "video",
  PreviewImage: "images",
};
// A picture may come in by these, as far as nothing else is known of a node.
const PICTURE_TYPES = ["IMAGE", "VIDEO"];

/**
 * By which input a picture comes into a node that gives one, and how its shape changes.
 * @returns {{input: string, change: function|null}|null} change: null when nobody here knows what the node does; null:
 * no picture comes in
 */
export function changeOf(node) {
  if (Object.hasOwn(SAME_SHAPE, node.type)) return { input: SAME_SHAPE[node.type], change: (frame) => frame };
  if (!Object.hasOwn(CHANGES, node.type)) return unknownChange(node);
  const [input, change, needed, more = []] = CHANGES[node.type];
  const fields = Object.fromEntries([...needed, ...more].map((name) => [name, widgetValue(node, name)]));
  const known = needed.every((name) => fields[name] !== undefined);
  return { input, change: known ? (frame) => change(frame, fields) : null, fields };
}

function unknownChange(node) {
  const input = (node.inputs ?? []).find((one) => PICTURE_TYPES.includes(one.type) && one.link !== null);
  return input ? { input: input.name, change: null } : null;
}

/** What a frame hides and shows of people that were found in the whole source: their joints in px of the frame. */
export function peopleInFrame({ people, ...rest }, { size, box }) {
  const to = ([x, y]) => [((x - box[0]) / (box[2] - box[0])) * size[0], ((y - box[1]) / (box[3] - box[1])) * size[1]];
  const moved = (flat) => flat.flatMap((_, index) => {
    if (index % 3 !== 0) return [];
    const [x, y] = to([flat[index], flat[index + 1]]);
    const inside = flat[index + 2] > 0 && x >= 0 && y >= 0 && x <= size[0] && y <= size[1];
    return inside ? [x, y, flat[index + 2]] : [0, 0, 0];
  });
  const each = (person) => Object.fromEntries(Object.entries(person)
    .map(([key, value]) => [key, key.endsWith("_2d") && Array.isArray(value) ? moved(value) : value]));
  return { ...rest, people: people.map(each), canvas_width: size[0], canvas_height: size[1] };
}

/** A box in px of a frame as one in px of the whole source. */
export function boxInSource(corners, { size, box }) {
  return corners.map((value, index) => {
    const axis = index % 2;
    return box[axis] + (value / size[axis]) * (box[axis + 2] - box[axis]);
  });
}
