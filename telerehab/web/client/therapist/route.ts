export const SECTIONS = ["", "plan", "training", "goals", "messages", "course", "access", "equipment"] as const;
export type Section = (typeof SECTIONS)[number];

/** Where the page is; the address says it, so Back, reload and links work. */
export type Route =
  | { page: "caseload" | "sessions" | "calendar" | "find" | "me" }
  | { page: "room"; id: string }
  | { page: "record"; id: string; section: Section };

const ID = "[0-9a-f-]{36}";

export function routeOf(hash: string): Route {
  const room = new RegExp(`^#/live/(${ID})$`, "i").exec(hash);
  if (room) return { page: "room", id: room[1] ?? "" };
  const record = new RegExp(`^#/patients/(${ID})(?:/([a-z]*))?$`, "i").exec(hash);
  if (record) {
    const section = SECTIONS.find((each) => each === (record[2] ?? ""));
    return { page: "record", id: record[1] ?? "", section: section ?? "" };
  }
  const page = (["sessions", "calendar", "find", "me"] as const).find((each) => hash === `#/${each}`);
  return { page: page ?? "caseload" };
}
