// What of the editor is shown in the room it has.

/** From this width of the editor on, in CSS pixels, the list of joints stands beside the picture by itself. */
export const LIST_FROM_PX = 420;
// How much wider it must get before a list that went away comes back: at the limit nothing flickers.
const SLACK_PX = 20;

/**
 * Whether the list is shown.
 * @param {boolean|null} chosen what the user said, or null
 * @param {number} width the editor's, in CSS pixels; 0 while it is hidden
 * @param {boolean|null} before whether it was shown until now; null until its width was known
 */
export function showsList(chosen, width, before) {
  if (chosen !== null) return chosen;
  if (width === 0) return before;
  return width >= LIST_FROM_PX + (before === false ? SLACK_PX : 0);
}
