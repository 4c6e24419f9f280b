import { expect, test } from "vitest";
import { ageNowMs, judgeAge } from "../shared/freshness";
import { AngleHistory } from "../shared/history";
import { applyIncrement, textIncrement, type TextLine } from "../shared/realtime_text";
import { angleRange } from "../shared/sparkline";
import { TapGuard } from "../shared/tap_guard";
import { slotCount } from "../shared/rtc";

test("the age of a value is its age at sending and the time since it was received", () => {
  expect(ageNowMs(120, 10_000, 10_000)).toBe(120);
  expect(ageNowMs(120, 10_000, 12_500)).toBe(2620);
  expect(ageNowMs(null, 10_000, 12_500)).toBeNull();
});

test("a value is grey after two seconds and gone after five", () => {
  expect(judgeAge(2000, true)).toBe("fresh");
  expect(judgeAge(2001, true)).toBe("delayed");
  expect(judgeAge(5000, true)).toBe("delayed");
  expect(judgeAge(5001, true)).toBe("gone");
});

test("an unknown age shows no number, and never measured is not lost", () => {
  expect(judgeAge(null, true)).toBe("gone");
  expect(judgeAge(null, false)).toBe("none");
});

const tickOf = (value: number) => new Float32Array(10).fill(value);

test("ticks that never came are a hole in the history", () => {
  const history = new AngleHistory(1);
  history.append(7, tickOf(1));
  history.append(12, tickOf(3));
  expect([...history.samples.subarray(40)]).toEqual([...tickOf(1), ...new Float32Array(40).fill(NaN), ...tickOf(3)]);
});

test("a hole as late samples leave it is bridged by a line, whether the tick was missing or empty", () => {
  for (const isEmpty of [false, true]) {
    const history = new AngleHistory(1);
    history.append(7, tickOf(1));
    if (isEmpty) history.append(8, tickOf(NaN));
    history.append(9, tickOf(12));
    const bridged = [...history.samples.subarray(79, 91)].map((value) => Math.round(value * 100) / 100);
    expect(bridged).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
  }
});

test("a repeated tick changes nothing, and a counter that starts again goes on", () => {
  const history = new AngleHistory(1);
  history.append(700, tickOf(1));
  history.append(700, tickOf(2));
  expect(history.newest()).toBe(1);
  history.append(1, tickOf(5));
  expect(history.newest()).toBe(5);
});

test("the tick counter may wrap", () => {
  const history = new AngleHistory(1);
  history.append(0xffffffff, tickOf(1));
  history.append(0, tickOf(2));
  expect([...history.samples.subarray(80)]).toEqual([...tickOf(1), ...tickOf(2)]);
});

test("the newest angle is the last one known in half a second", () => {
  const history = new AngleHistory(1);
  const partly = tickOf(NaN);
  partly[3] = 42;
  history.append(1, partly);
  expect(history.newest()).toBe(42);
  for (let tick = 2; tick <= 5; tick += 1) history.append(tick, tickOf(NaN));
  expect(history.newest()).toBe(42);
  history.append(6, tickOf(NaN));
  expect(history.newest()).toBeNaN();
});

test("a second tap within 600 ms is ignored, wherever it lands", () => {
  const guard = new TapGuard();
  expect([0, 150, 599, 600, 1199, 1200].map((ms) => guard.accepts(ms))).toEqual([true, false, false, true, false, true]);
});

test("an angle range always holds the target zone", () => {
  expect(angleRange(new Float32Array([20, 40, NaN]), 80, 100)).toEqual([15, 105]);
  expect(angleRange(new Float32Array(), null, null)).toEqual([0, 90]);
});

test("a subscription has the smallest size that holds all", () => {
  expect([0, 1, 2, 4, 5, 8, 9, 20, 25].map(slotCount)).toEqual([1, 1, 4, 4, 8, 8, 20, 20, 20]);
});

test("typing sends only what changed, and taking back is sent too", () => {
  expect(textIncrement("", "Hej")).toBe("Hej");
  expect(textIncrement("Hej", "Hej Else")).toBe(" Else");
  expect(textIncrement("Hejj", "Hej")).toBe("\b");
  expect(textIncrement("god aften", "god dag")).toBe("\b\b\b\b\bdag");
  expect(textIncrement("a😀", "a")).toBe("\b");
});

test("increments of two people become their own lines", () => {
  let lines: TextLine[] = [];
  for (const [who, increment] of [["a", "He"], ["b", "Ja"], ["a", "x\bj"], ["a", "\n"], ["a", "Ny"]] as const) {
    lines = applyIncrement(lines, who, increment);
  }
  expect(lines).toEqual([
    { participant: "a", text: "Hej", closed: true },
    { participant: "b", text: "Ja", closed: false },
    { participant: "a", text: "Ny", closed: false },
  ]);
});

test("what one side types and takes back arrives as the other side's text", () => {
  let lines: TextLine[] = [];
  let before = "";
  for (const after of ["D", "De", "Det", "Dt", "Dt g", "Det går 👍", "Det går"]) {
    lines = applyIncrement(lines, "p", textIncrement(before, after));
    before = after;
  }
  expect(lines).toEqual([{ participant: "p", text: "Det går", closed: false }]);
});
