// Poses and pictures that are pasted, dropped or opened, and poses that are copied.

import { parsed, readOpenPose, writeOpenPose } from "../document/openpose.mjs";
import { MAX_TEXT, readDocument } from "../document/reading.mjs";
import { say } from "../words/words.mjs";

/** Listen on the element of an editor. Nothing of it reaches the page, which would open a picture as a workflow. */
export function listenForTransfers(editor, element) {
  const listen = (name, work) => element.addEventListener(name, (event) => {
    if (isTyping(editor) && !holdsFiles(event)) return event.stopPropagation();
    if (work(event) === false) return undefined;
    event.preventDefault();
    return event.stopPropagation();
  });
  const mark = (isOver) => editor.parts.picture.classList.toggle("dropping", isOver);
  listen("paste", ({ clipboardData }) => takeTransfer(editor, clipboardData));
  listen("copy", ({ clipboardData }) => writeTo(editor, clipboardData));
  for (const name of ["dragenter", "dragover"]) listen(name, () => mark(true));
  listen("dragleave", () => mark(false));
  listen("drop", ({ dataTransfer }) => {
    mark(false);
    takeTransfer(editor, dataTransfer);
  });
}

/** The text field has a clipboard of its own. */
function isTyping({ parts }) {
  return parts.area.matches(":focus");
}

/** Files that are dropped on the text field are taken, too: the browser would leave the page for them. */
function holdsFiles({ dataTransfer }) {
  return Boolean(dataTransfer?.types.includes("Files"));
}

function writeTo({ session }, clipboard) {
  if (!session.doc || !clipboard) return false;
  clipboard.setData("text/plain", writeOpenPose(session.doc, session.size));
  session.say(say("say.copied"));
  return true;
}

/** Put all skeletons on the clipboard as the text of a POSE_KEYPOINT value. */
export async function copyPoses({ session }) {
  if (!session.doc) return;
  try {
    await navigator.clipboard.writeText(writeOpenPose(session.doc, session.size));
    session.say(say("say.copied"));
  } catch {
    // Without https the browser has no clipboard for pages, but its own copy command may work.
    if (!document.execCommand("copy")) session.say(say("say.notCopied"));
  }
}

function takeTransfer(editor, transfer) {
  const files = [...(transfer?.files ?? [])];
  if (files.length > 0) return void takeFiles(editor, files);
  return takeText(editor, transfer?.getData("text/plain") ?? "");
}

/** Take the first file that is a picture, or else the first one as a pose. Load Image reads no videos. */
export async function takeFiles(editor, files) {
  const picture = files.find(({ type }) => type.startsWith("image/"));
  if (picture) return editor.takePicture(picture);
  return takeText(editor, files.length > 0 && files[0].size <= MAX_TEXT ? await files[0].text() : "");
}

/** Take a pose, or a points text, that came as text. */
export function takeText({ session }, text) {
  const value = parsed(text);
  const people = readOpenPose(value, session.size);
  if (isPointsText(value)) session.type(text, null);
  else if (people) session.insertPeople(people);
  else session.say(say("say.noPose"));
}

function isPointsText(value) {
  const keys = ["version", "roi_box", "full_box", "positive", "negative"];
  const isOurs = keys.some((key) => value !== null && typeof value === "object" && Object.hasOwn(value, key))
    || Boolean(value?.people?.[0]?.joints);
  return isOurs && readDocument(JSON.stringify(value)).doc !== null && !value.people?.[0]?.pose_keypoints_2d;
}
