// The editor's looks: ComfyUI's colours where its page sets them, calm ones of our own elsewhere. The rules live in a
// shadow root, so that they reach nothing else on the page and nothing else reaches them.

export const STYLE = `
:host { display: block; width: 100%; height: 100%; min-height: 260px; overflow: hidden; outline: none; }
* { box-sizing: border-box; }
.editor, dialog {
  --back: var(--comfy-menu-bg, #242426); --field: var(--comfy-input-bg, #1b1b1d);
  --ink: var(--input-text, #dddddd); --dim: var(--descrip-text, #9a9a9f); --rule: var(--border-color, #46464b);
  --accent: var(--p-primary-color, #3f8fe0); --warn: var(--error-text, #ff6b6b);
  --hover: color-mix(in srgb, var(--ink) 12%, transparent);
  --pressed: color-mix(in srgb, var(--accent) 32%, transparent);
}
.editor {
  display: grid; grid-template-rows: auto minmax(0, 1fr) auto; width: 100%; height: 100%; min-height: 260px;
  color: var(--ink); background: var(--back); border: 1px solid var(--rule); border-radius: 6px; overflow: hidden;
  font: 12px/1.35 system-ui, -apple-system, "Segoe UI", sans-serif; direction: ltr; text-align: left; user-select: none;
}
button, select, textarea { font: inherit; color: inherit; }
button { border: 0; background: none; padding: 0; cursor: pointer; border-radius: 4px; }
button:hover:not(:disabled) { background: var(--hover); }
button:disabled { opacity: 0.35; cursor: default; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: -2px; }
svg { display: block; fill: none; stroke: currentColor; stroke-width: 1.5; stroke-linecap: round; stroke-linejoin: round; }
.icon { width: 23px; height: 25px; display: grid; place-items: center; flex: none; }
.icon[aria-pressed="true"] { background: var(--pressed); }
.icon[data-need="unused"] { opacity: 0.45; }
.icon[data-need="lacks"] { box-shadow: inset 0 -2px 0 var(--warn); }
.toolbar { display: flex; flex-wrap: wrap; gap: 1px; padding: 3px; border-bottom: 1px solid var(--rule); }
.toolbar .group { display: flex; gap: 1px; }
.toolbar .group + .group { margin-left: 3px; padding-left: 4px; border-left: 1px solid var(--rule); }
.toolbar .group.end { margin-left: auto; }
.stage { display: flex; min-height: 0; }
.picture { position: relative; flex: 1; min-width: 0; min-height: 0; background: var(--field); overflow: hidden; }
canvas { position: absolute; inset: 0; width: 100%; height: 100%; touch-action: none; display: block; outline: none; }
canvas:focus-visible { box-shadow: inset 0 0 0 2px var(--accent); }
.zoom { position: absolute; right: 5px; bottom: 5px; display: flex; background: var(--back); border: 1px solid var(--rule);
  border-radius: 5px; opacity: 0.9; }
.zoom .icon { width: 22px; height: 22px; }
.unread { position: absolute; inset: 0; display: grid; place-content: center; gap: 8px; padding: 14px; text-align: center;
  background: color-mix(in srgb, var(--back) 82%, transparent); }
.unread p { margin: 0; overflow-wrap: anywhere; }
.unread div { display: flex; gap: 6px; justify-content: center; flex-wrap: wrap; }
.plain { padding: 3px 9px; border: 1px solid var(--rule); background: var(--field); }
.hidden { display: none !important; }
.text { display: flex; flex-direction: column; flex: 1; min-width: 0; }
.text textarea { flex: 1 1 0px; width: 100%; border: 0; padding: 8px; resize: none; background: var(--field); color: var(--ink);
  font: 11px/1.45 ui-monospace, Menlo, Consolas, monospace; user-select: text; }
.side { width: 130px; flex: none; display: flex; flex-direction: column; min-height: 0; border-left: 1px solid var(--rule); }
.people { display: flex; align-items: center; gap: 1px; padding: 3px; border-bottom: 1px solid var(--rule); }
.people select { flex: 1; min-width: 0; }
.people .icon, .chosen .icon { width: 20px; height: 22px; }
select { background: var(--field); border: 1px solid var(--rule); border-radius: 4px; height: 22px; padding: 0 2px; min-width: 0; }
select option { background: var(--field); color: var(--ink); }
.joints { flex: 1 1 0px; min-height: 0; overflow-y: auto; padding: 2px 0 4px; scrollbar-width: thin; scrollbar-color: var(--rule) transparent; }
.joints h4 { display: flex; align-items: center; justify-content: space-between; margin: 0; padding: 4px 4px 2px 8px;
  font-size: 11px; font-weight: 600; color: var(--dim); }
.joints h4 button { font-size: 11px; font-weight: 400; padding: 0 5px; color: var(--ink); }
.joints ul { list-style: none; margin: 0; padding: 0; }
.joint { display: flex; align-items: center; gap: 6px; width: 100%; height: 19px; padding: 0 6px 0 8px; border-radius: 0;
  font-size: 11.5px; text-align: left; white-space: nowrap; }
.joint span { overflow: hidden; text-overflow: ellipsis; }
.joint i { width: 9px; height: 9px; flex: none; border-radius: 50%; border: 2px solid var(--colour); background: var(--colour);
  box-shadow: 0 0 0 1px color-mix(in srgb, var(--ink) 30%, transparent); }
.joint[data-state="given"] i { box-shadow: 0 0 0 1.5px var(--ink); width: 8px; height: 8px; margin: 0 .5px; }
.joint[data-state="occluded"] i { background: none; }
.joint[data-state="proposed"] i { border-style: dotted; background: none; }
.joint[data-state="missing"], .joint[data-state="removed"], .joint[data-state$="came"] { color: var(--dim); }
.joint[data-state$="came"] i { border-style: dashed; border-width: 1px; box-shadow: none; opacity: 0.6; }
.joint[data-state="proposed came"] i { background: none; }
.joint[data-state="missing"] i, .joint[data-state="removed"] i { border: 1px dashed var(--dim); background: none; box-shadow: none; }
.joint[data-state="removed"] span { text-decoration: line-through; }
.joint[aria-current="true"] { background: var(--pressed); color: var(--ink); }
.chosen { display: flex; align-items: center; gap: 2px; padding: 3px; border-top: 1px solid var(--rule); min-height: 29px; }
.chosen select { flex: 1; }
.status { position: relative; display: flex; align-items: center; height: 24px; border-top: 1px solid var(--rule);
  color: var(--dim); font-size: 11.5px; }
.status p { position: absolute; left: 0; right: 96px; bottom: 0; margin: 0; padding: 3px 8px 0; border-bottom: 4px solid transparent; pointer-events: none; overflow: hidden;
  overflow-wrap: anywhere; background: var(--back); border-radius: 0 5px 0 0; display: -webkit-box; -webkit-box-orient: vertical;
  -webkit-line-clamp: 5; }
.status .size { position: relative; margin-left: auto; padding: 0 8px; white-space: nowrap; background: var(--back); }
.notice { position: absolute; left: 5px; right: 5px; top: 5px; display: flex; flex-wrap: wrap; gap: 6px; align-items: center; padding: 6px 8px;
  background: var(--back); border: 1px solid var(--warn); border-radius: 5px; }
.notice p { margin: 0; flex: 1 1 100%; }
.poses { position: absolute; left: 5px; top: 5px; right: 5px; max-height: calc(100% - 10px); overflow-y: auto; padding: 6px;
  background: var(--back); border: 1px solid var(--rule); border-radius: 5px; box-shadow: 0 3px 12px rgb(0 0 0 / 0.4); }
.poses ul { display: grid; grid-template-columns: repeat(auto-fill, minmax(62px, 1fr)); gap: 3px; list-style: none; margin: 0; padding: 0; }
.poses li button { width: 100%; height: 100%; display: grid; justify-items: center; align-content: start; gap: 2px; padding: 3px 2px; font-size: 10.5px; line-height: 1.15; }
.poses svg { width: 40px; height: 40px; stroke-width: 3.5; }
.poses div { display: flex; flex-wrap: wrap; gap: 5px; margin-top: 6px; padding-top: 6px; border-top: 1px solid var(--rule); }
.dropping { outline: 2px dashed var(--accent); outline-offset: -4px; }
.status.wrong { color: var(--warn); }
.status.wrong .size { color: var(--dim); }
dialog { position: fixed; inset: 0; width: calc(100vw - 48px); height: calc(100vh - 48px); max-width: none; max-height: none;
  margin: auto; padding: 0; border: 0; background: none; pointer-events: auto; overflow: hidden; }
dialog::backdrop { background: rgb(0 0 0 / 0.6); }
.large { font-size: 13px; }
.large .toolbar { padding: 5px; }
.large .icon { width: 30px; height: 30px; }
.large .side { width: 190px; }
.large .joint { height: 24px; font-size: 13px; }
.large .joints h4, .large .joints h4 button { font-size: 12px; }
.large .status { height: 28px; font-size: 13px; }
.large .status p { border-bottom-width: 6px; }
.large select { height: 26px; }
.large .people .icon, .large .chosen .icon, .large .zoom .icon { width: 26px; height: 26px; }
.away { display: grid; place-content: center; height: 100%; color: var(--descrip-text, #9a9a9f); font: 12px system-ui, sans-serif; }
@media (pointer: coarse) { .icon { width: 32px; height: 32px; } .joint { height: 28px; } }
`;
