import { beforeAll, expect, test } from "vitest";
import { ApiError } from "../shared/api";
import { addTexts, setLanguage } from "../shared/i18n";
import { staffTexts } from "../shared/texts_staff";
import { changedTable } from "../therapist/alerts/changes";
import { byNeed, firstUnheard, isRinging, ringKey } from "../therapist/alerts/watch";
import { choose, countDays, isOnToday, keepOrder, needsMe, pageOf, PAGE_SIZE } from "../therapist/caseload/order";
import { addDays, agoText, birthText, dayOf, isoDay, longDay, matches, momentText } from "../therapist/format";
import { problemSentence } from "../therapist/problem";
import { minutesLeft } from "../therapist/record/head";
import { beginDraft, changeItem, moveItem, newItem, removeItem, takeTemplate, toggleWeekday } from "../therapist/record/plan/draft";
import { changeText, weekdaysText } from "../therapist/record/plan/sentences";
import { weeksOf } from "../therapist/record/training/calendar";
import { countedText, countText } from "../therapist/record/training/results";
import { runningFor } from "../therapist/record/view";
import { routeOf } from "../therapist/route";
import type { Alert, CaseloadPatient, DayAdherence, HelpCall, LibraryExercise, PlanChange, PlanVersion } from "../therapist/types";
import { causeNumber, causeText, flagText } from "../therapist/words";

beforeAll(() => {
  addTexts(staffTexts);
  const words = { lang: "da" };
  Object.assign(globalThis, { document: { documentElement: words } });
});

function patient(id: string, fields: Partial<CaseloadPatient> = {}): CaseloadPatient {
  return {
    id,
    display_name: `Else ${id}`,
    birth_date: "1944-03-04",
    flags: [],
    open_alerts: 0,
    open_help_call: null,
    adherence: null,
    last_training_at: null,
    pain_last: null,
    unread_messages: 0,
    rank_reason: "fine",
    rank_since: null,
    ...fields,
  };
}

// --- dates and names ---

test("dates are read as days, written as people write them, and no time zone moves them", () => {
  setLanguage("da");
  expect(longDay("1944-03-04")).toBe("4. marts 1944");
  expect(birthText({ birth_date: "1944-03-04" })).toBe("født 4. marts 1944");
  expect(birthText({ birth_date: null })).toBe("fødselsdato ukendt");
  setLanguage("en");
  expect(longDay("1944-03-04")).toBe("4 March 1944");
  expect(isoDay(dayOf("2026-03-29"))).toBe("2026-03-29");
  expect(addDays("2026-03-28", 2)).toBe("2026-03-30"); // over the change to summer time
  expect(addDays("2026-12-31", 1)).toBe("2027-01-01");
});

test("a moment of today is a time, another one has its day, one of another year its year", () => {
  setLanguage("da");
  const now = new Date(2026, 10, 22, 12, 0);
  expect(momentText(new Date(2026, 10, 22, 7, 40).toISOString(), now)).toBe("07.40");
  expect(momentText(new Date(2026, 10, 18, 7, 40).toISOString(), now)).toContain("18. nov.");
  expect(momentText(new Date(2025, 10, 18, 7, 40).toISOString(), now)).toContain("2025");
  expect(momentText(null, now)).toBe("–");
  expect(agoText(new Date(2026, 10, 22, 11, 57).toISOString(), now)).toBe("for 3 minutter siden");
  expect(agoText(new Date(2026, 10, 21, 9, 0).toISOString(), now)).toBe("i går");
});

test("people are found by parts of the name in any order and by the birth date as it is said", () => {
  const else_ = { id: "1", display_name: "Else Bæk Jørgensen", birth_date: "1944-03-04" };
  for (const typed of ["", "else", "jørg else", "BÆK", "04-03-1944", "040344", "jør 1944", "1944-03-04", "04.03.1944"]) {
    expect(matches(else_, typed), typed).toBe(true);
  }
  for (const typed of ["elsa", "04-03-1945", "else poul", "44-03-05"]) expect(matches(else_, typed), typed).toBe(false);
  expect(matches({ ...else_, birth_date: null }, "1944")).toBe(false);
});

// --- alerts ---

test("a sound is due once per alert and once per ring of a call", () => {
  const heard = new Set<string>();
  const call = { id: "c", state: "told", called_at: "1", rang_at: "1" } as HelpCall;
  expect(firstUnheard(heard, [call], ringKey)).toBe(call);
  expect(firstUnheard(heard, [call], ringKey)).toBeNull();
  const again = { ...call, rang_at: "2" };
  expect(firstUnheard(heard, [again], ringKey)).toBe(again);
  expect(["called", "told", "escalated", "answered", "withdrawn", "closed"].map((state) => isRinging({ ...call, state }))).toEqual([
    true,
    true,
    true,
    false,
    false,
    false,
  ]);
});

test("what nobody acknowledged stands before what waits, stops before what is told, the longest wait first", () => {
  const alert = (id: string, fields: Partial<Alert>) => ({ id, is_stop: false, acknowledged: null, found_at: "2026-11-22T10:00:00Z", ...fields }) as Alert;
  const seen = { action: "called", at: "", account_name: null, note: null };
  const all = [
    alert("seen stop", { is_stop: true, acknowledged: seen }),
    alert("told", {}),
    alert("late stop", { is_stop: true, found_at: "2026-11-22T11:00:00Z" }),
    alert("stop", { is_stop: true }),
  ];
  expect(all.sort(byNeed).map((one) => one.id)).toEqual(["stop", "late stop", "told", "seen stop"]);
});

test("an alert says its number against its limit; without a number nothing is invented", () => {
  setLanguage("da");
  expect(causeText("pain_high")).toBe("Stærk smerte");
  expect(causeNumber("pain_high", 8, 7)).toBe("8 af 10, grænse 7");
  expect(causeNumber("stop_pressed", 1, null)).toBeNull();
  expect(causeNumber("heart_rate_high", null, 130)).toBeNull();
  expect(causeText("not_known_yet")).toBe("not known yet");
});

test("only a message of a changed table makes a page read again", () => {
  expect(changedTable('{"v":1,"type":"changed","table":"alert"}')).toBe("alert");
  for (const other of ['{"type":"pong"}', '{"type":"changed"}', "no json", "null", new ArrayBuffer(2)]) expect(changedTable(other)).toBeNull();
});

// --- caseload ---

test("who is fine, taken up or good news needs nobody; a reason that this page does not know needs me", () => {
  const reasons = ["help_call", "alert", "high_pain", "message", "technical", "new_reason", "seen", "good_news", "fine"];
  expect(reasons.filter((rank_reason) => needsMe(patient("1", { rank_reason })))).toEqual(reasons.slice(0, 6));
});

test("today are those with something planned or done today; a search looks among all", () => {
  const today = "2026-11-22";
  const on = (status: string) => patient(status, { adherence: { last_day: today, statuses: ["done", status], completeness: null } });
  expect(["open", "done", "missed", "extra"].every((status) => isOnToday(on(status), today))).toBe(true);
  expect(["rest", "excused", "ahead"].some((status) => isOnToday(on(status), today))).toBe(false);
  expect(isOnToday(patient("1", { adherence: { last_day: "2026-11-21", statuses: ["done"], completeness: null } }), today)).toBe(false);
  const all = [on("open"), patient("needs", { rank_reason: "pain" })];
  expect(choose(all, "needs", "", today).map((one) => one.id)).toEqual(["needs"]);
  expect(choose(all, "today", "", today).map((one) => one.id)).toEqual(["open"]);
  expect(choose(all, "all", "needs", today).map((one) => one.id)).toEqual(["needs"]);
});

test("held rows keep their places, new ones come last, those who are gone leave", () => {
  const fresh = [patient("new"), patient("c"), patient("a")];
  expect(keepOrder(["a", "b", "c"], fresh).map((one) => one.id)).toEqual(["a", "c", "new"]);
});

test("a page past the end is the last one, and every patient is on exactly one page", () => {
  const all = Array.from({ length: 2 * PAGE_SIZE + 1 }, (_, index) => index);
  expect(pageOf(all, 99)).toEqual({ shown: [2 * PAGE_SIZE], page: 2, pages: 3 });
  expect([0, 1, 2].flatMap((page) => pageOf(all, page).shown)).toEqual(all);
  expect(pageOf([], 3)).toEqual({ shown: [], page: 0, pages: 1 });
});

test("trained days count among planned ones; pauses, rest and today do not", () => {
  const days = ["done", "partly", "unmeasured", "missed", "excused", "rest", "extra", "open", "ahead"].map((status) => ({ status }));
  expect(countDays(days)).toEqual({ trained: 3, planned: 4, missed: 1, paused: 1, unmeasured: 1 });
});

test("a flag says its number and its exercise", () => {
  setLanguage("da");
  const flag = { id: "f", rule: "range_falling", value: 12.4, threshold: 6, unit: "deg", since: "2026-11-20", state: "open", severity: 3, suggested_action: "review", exercise: "knee_extension_seated", side: "right", version: 1 };
  expect(flagText(flag)).toBe("Knæstræk på stol, højre: Bevægelighed faldet 12,4°");
});

// --- plan ---

const KNEE: LibraryExercise = { code: "knee_extension_seated", version: 2, local_id: null, name: { da: "Knæstræk", en: null }, is_reviewed: false, is_measurable: true, default_target_deg: [0, 15] };

test("a draft begins as the plan stands, from today, and never changes the plan itself", () => {
  const item = newItem(KNEE, "left");
  const limits = { ...beginDraft(null, "2026-11-22").content.limits, pain_max: 5 };
  const plan = { number: 4, content: { items: [item], limits, valid_from: "2026-01-01" }, template: "knee" } as PlanVersion;
  const draft = changeItem(beginDraft(plan, "2026-11-22"), 0, { repetitions: 12 });
  expect(draft.basedOn).toBe(4);
  expect(draft.content.valid_from).toBe("2026-11-22");
  expect(draft.content.limits.pain_max).toBe(5);
  expect(plan.content.items[0]?.repetitions).toBe(10);
  expect(beginDraft(null, "2026-11-22")).toMatchObject({ basedOn: 0, content: { items: [] } });
});

test("a new item has its target from the library, none where sensors cannot measure it", () => {
  expect(newItem(KNEE, "right")).toMatchObject({ exercise_version: 2, target_low_deg: 0, target_high_deg: 15 });
  expect(newItem({ ...KNEE, is_measurable: false, default_target_deg: null }, "right").target_low_deg).toBeNull();
});

test("items move, go and come from a template whole; weekdays keep their order", () => {
  const [a, b] = [newItem(KNEE, "left"), newItem(KNEE, "right")];
  const draft = { ...beginDraft(null, "2026-11-22"), content: { ...beginDraft(null, "2026-11-22").content, items: [a, b] } };
  expect(moveItem(draft, 1, -1).content.items).toEqual([b, a]);
  expect(moveItem(draft, 0, -1).content.items).toEqual([a, b]);
  expect(removeItem(draft, 0).content.items).toEqual([b]);
  const { tempo: _, ...bare } = a;
  const template = { code: "knee", version: 1, title: { da: "Knæ", en: null }, is_reviewed: false, items: [bare as typeof a], limits: draft.content.limits };
  expect(takeTemplate(draft, template)).toMatchObject({ template: "knee", content: { items: [{ tempo: null, band: null }] } });
  expect(toggleWeekday([1, 3, 5], 2)).toEqual([1, 2, 3, 5]);
  expect(toggleWeekday([1, 3], 3)).toEqual([1]);
});

test("every difference is one sentence with what was and what is", () => {
  setLanguage("da");
  const change = (fields: Partial<PlanChange>): PlanChange => ({ kind: "changed", of: "item", exercise: "sit_to_stand", side: "both", field: null, before: null, after: null, ...fields });
  expect(changeText(change({ field: "repetitions", before: 8, after: 10 }))).toBe("Rejs dig fra stol, begge: Gentagelser fra 8 til 10.");
  expect(changeText(change({ field: "weekdays", before: [1, 3], after: [1, 2, 3, 4, 5, 6, 7] }))).toContain("fra man., ons. til hver dag");
  expect(changeText(change({ field: "load_kg", before: null, after: 1.5 }))).toContain("fra intet til 1,5");
  expect(changeText(change({ kind: "removed" }))).toBe("Fjernet: Rejs dig fra stol, begge.");
  expect(changeText(change({ of: "limits", field: "is_fall_hint_on", before: true, after: false }))).toBe("Muligt fald stopper træningen: fra til til fra.");
  expect(changeText(change({ kind: "reordered", of: "plan", field: "items" }))).toBe("Øvelserne står i en anden rækkefølge.");
  expect(weekdaysText([6, 7])).toBe("lør., søn.");
});

// --- results, calendar, problems, places ---

test("not counted is not 0, and a correction shows what was counted", () => {
  setLanguage("da");
  expect(countText(null, 10)).toBe("Ikke målt");
  expect(countText(0, 10)).toBe("0 af 10");
  expect(countedText({ counted: 9, original_count: 9, target_repetitions: 10 })).toBe("9 af 10");
  expect(countedText({ counted: 10, original_count: 9, target_repetitions: 10 })).toBe("10 af 10 (talt: 9)");
  expect(countedText({ counted: 8, original_count: null, target_repetitions: null })).toBe("8 (talt: Ikke målt)");
});

test("a month stands in weeks from Monday", () => {
  const day = (iso: string) => ({ day: iso, status: "rest" }) as DayAdherence;
  const november = Array.from({ length: 30 }, (_, index) => day(`2026-11-${String(index + 1).padStart(2, "0")}`));
  const weeks = weeksOf(november);
  expect(weeks.length).toBe(6);
  expect(weeks[0]?.[6]?.day).toBe("2026-11-01"); // a Sunday
  expect(weeks[5]?.[0]?.day).toBe("2026-11-30");
  expect(weeks.every((week) => week.length === 7)).toBe(true);
  expect(weeksOf([])).toEqual([]);
});

test("a refusal is told in words, with the place of each fault, and a code nobody knows still says something", () => {
  setLanguage("da");
  expect(problemSentence(new ApiError(0, "unreachable"))).toContain("Vi kan ikke nå serveren");
  expect(problemSentence(new ApiError(409, "some_new_conflict"))).toContain("ændret i mellemtiden");
  expect(problemSentence(new ApiError(500, "internal"))).toBe("Det lykkedes ikke. Prøv igen om lidt.");
  const faults = [
    { at: "items.2.sets", kind: "out_of_range" },
    { at: "items.2.sets", kind: "out_of_range" },
    { at: "reason", kind: "missing" },
  ];
  expect(problemSentence(new ApiError(422, "invalid", faults))).toBe("Øvelse 3: Et tal er for stort eller for lille. Noget mangler.");
  expect(problemSentence(new ApiError(422, "invalid", [{ at: "x", kind: "nobody_knows" }]))).toContain("Se dem efter");
});

test("the address says where the page is; what it does not know is the caseload", () => {
  const id = "0b0f8f1e-0000-4000-8000-000000000001";
  expect(routeOf(`#/live/${id}`)).toEqual({ page: "room", id });
  expect(routeOf(`#/patients/${id}`)).toEqual({ page: "record", id, section: "" });
  expect(routeOf(`#/patients/${id}/plan`)).toEqual({ page: "record", id, section: "plan" });
  expect(routeOf(`#/patients/${id}/nonsense`)).toEqual({ page: "record", id, section: "" });
  expect(routeOf("#/me")).toEqual({ page: "me" });
  for (const hash of ["", "#", "#/", "#/patients/1", "#/live/xyz"]) expect(routeOf(hash)).toEqual({ page: "caseload" });
});

test("an emergency look counts down and ends by itself", () => {
  const now = new Date("2026-11-22T10:00:00Z");
  expect(minutesLeft("2026-11-22T10:59:30Z", now)).toBe(60);
  expect(minutesLeft("2026-11-22T09:59:00Z", now)).toBe(0);
  const look = { id: "1", patient_id: "p", display_name: null, birth_date: null, starts_at: "2026-11-22T09:30:00Z", ends_at: "2026-11-22T10:30:00Z" };
  expect(runningFor("p", [look], now)).toBe(look);
  expect(runningFor("q", [look], now)).toBeNull();
  expect(runningFor("p", [look], new Date("2026-11-22T10:30:00Z"))).toBeNull();
});
