import { expect, test } from "vitest";
import { columnCount } from "../therapist/grid";

test("four tiles use the room they have", () => {
  expect(columnCount(4, 480, 700)).toBe(2);
  expect(columnCount(4, 1150, 700)).toBe(2);
  expect(columnCount(4, 1400, 420)).toBe(4);
  expect(columnCount(1, 480, 700)).toBe(1);
});

test("where the page scrolls the tiles take the fewest rows, evenly filled", () => {
  expect(columnCount(4, 760, null)).toBe(4);
  expect(columnCount(5, 760, null)).toBe(3);
  expect(columnCount(3, 340, null)).toBe(2);
  expect(columnCount(0, 340, null)).toBe(1);
});

test("twenty tiles stay wide enough to be read, and scroll", () => {
  expect(columnCount(20, 420, 650)).toBe(2);
});
