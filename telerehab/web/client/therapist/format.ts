import { language, t } from "../shared/i18n";
import type { Person } from "./types";

const DAY_MS = 86_400_000;

export function locale(): string {
  return language.value === "da" ? "da-DK" : "en-GB";
}

/** Return the local midnight of an ISO date; a date has no time zone, so `new Date(text)` would move it. */
export function dayOf(iso: string): Date {
  const [year, month, day] = iso.slice(0, 10).split("-").map(Number);
  return new Date(year ?? 0, (month ?? 1) - 1, day ?? 1);
}

/** Return a local day as an ISO date. */
export function isoDay(date: Date): string {
  const two = (part: number) => String(part).padStart(2, "0");
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

export function addDays(iso: string, days: number): string {
  const date = dayOf(iso);
  return isoDay(new Date(date.getFullYear(), date.getMonth(), date.getDate() + days));
}

/** "4. marts 1944", "4 March 1944". */
export function longDay(iso: string): string {
  return dayOf(iso).toLocaleDateString(locale(), { day: "numeric", month: "long", year: "numeric" });
}

/** "ons. 18. nov.", "Wed 18 Nov". */
export function shortDay(iso: string): string {
  return dayOf(iso).toLocaleDateString(locale(), { weekday: "short", day: "numeric", month: "short" });
}

export function timeOf(moment: string | Date): string {
  return new Date(moment).toLocaleTimeString(locale(), { hour: "2-digit", minute: "2-digit" });
}

/** "07.40" today, else with its day: "ons. 18. nov. 07.40". */
export function momentText(moment: string | null, now: Date = new Date()): string {
  if (moment === null) return "–";
  const at = new Date(moment);
  if (isoDay(at) === isoDay(now)) return timeOf(at);
  const withYear: Intl.DateTimeFormatOptions = at.getFullYear() === now.getFullYear() ? {} : { year: "numeric" };
  return `${at.toLocaleDateString(locale(), { weekday: "short", day: "numeric", month: "short", ...withYear })} ${timeOf(at)}`;
}

/** "for 3 minutter siden", "yesterday". */
export function agoText(moment: string, now: Date = new Date()): string {
  const words = new Intl.RelativeTimeFormat(locale(), { numeric: "auto" });
  const seconds = Math.round((new Date(moment).getTime() - now.getTime()) / 1000);
  if (Math.abs(seconds) < 60) return words.format(seconds, "second");
  if (Math.abs(seconds) < 3600) return words.format(Math.round(seconds / 60), "minute");
  if (Math.abs(seconds) < 22 * 3600) return words.format(Math.round(seconds / 3600), "hour");
  return words.format(Math.round((dayOf(isoDay(new Date(moment))).getTime() - dayOf(isoDay(now)).getTime()) / DAY_MS), "day");
}

export function nameOf(person: Pick<Person, "display_name">): string {
  return person.display_name ?? t("person.erased");
}

/** The birth date as people write it, or that nobody knows it. */
export function birthText(person: Pick<Person, "birth_date">): string {
  return person.birth_date === null ? t("person.birth.unknown") : t("person.birth", { date: longDay(person.birth_date) });
}

/** Name and birth date in one line, for what is read out and for options. */
export function personText(person: Person): string {
  return `${nameOf(person)}, ${birthText(person)}`;
}

/** "mandag", "Monday": ISO, 1 is Monday. */
export function weekdayName(weekday: number, form: "long" | "short" = "long"): string {
  return new Date(2024, 0, weekday).toLocaleDateString(locale(), { weekday: form });
}

/** A number as people write it, with the decimals that it has, at most one. */
export function plainNumber(value: number): string {
  return value.toLocaleString(locale(), { maximumFractionDigits: 1 });
}

/** Does a person match what was typed? By parts of the name in any order, or by digits of the birth date. */
export function matches(person: Person, typed: string): boolean {
  const words = fold(typed).split(/\s+/).filter((word) => word !== "");
  const name = fold(nameOf(person));
  const birth = person.birth_date === null ? "" : `${person.birth_date} ${birthNumbers(person.birth_date)}`;
  return words.every((word) => name.includes(word) || (/\d/.test(word) && birth.includes(word)));
}

/** "1944-03-04" as "04031944 04-03-1944 04.03.1944 040344". */
function birthNumbers(iso: string): string {
  const [year = "", month = "", day = ""] = iso.split("-");
  return [`${day}${month}${year}`, `${day}-${month}-${year}`, `${day}.${month}.${year}`, `${day}${month}${year.slice(2)}`].join(" ");
}

function fold(text: string): string {
  return text.toLocaleLowerCase("da-DK");
}
