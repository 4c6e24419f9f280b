/**
 * Real-time text: what one side types, the other side sees while it is typed (increments as in T.140).
 *
 * An increment is characters to append; `\b` takes the last character back, `\n` closes the line.
 */

export const ERASE = "\b";

/** Return the increment that turns the text `before` into `after`. */
export function textIncrement(before: string, after: string): string {
  const old = [...before];
  const fresh = [...after];
  let same = 0;
  while (same < old.length && same < fresh.length && old[same] === fresh[same]) same += 1;
  return ERASE.repeat(old.length - same) + fresh.slice(same).join("");
}

export interface TextLine {
  participant: string;
  text: string;
  /** false while the other side is still typing it */
  closed: boolean;
}

/** Return the lines after one participant's increment; the lines given are not changed. */
export function applyIncrement(lines: readonly TextLine[], participant: string, increment: string): TextLine[] {
  const result = [...lines];
  for (const character of increment) {
    let at = -1;
    for (let index = result.length - 1; index >= 0 && at < 0; index -= 1) {
      const line = result[index];
      if (line && line.participant === participant && !line.closed) at = index;
    }
    const open = result[at];
    if (character === ERASE) {
      if (open) result[at] = { ...open, text: [...open.text].slice(0, -1).join("") };
    } else if (character === "\n") {
      if (open) result[at] = { ...open, closed: true };
    } else if (open) {
      result[at] = { ...open, text: open.text + character };
    } else {
      result.push({ participant, text: character, closed: false });
    }
  }
  return result.filter((line) => line.text !== "");
}
