import { expect, test } from "vitest";
import { arrange } from "../therapist/grid";

test("four tiles use the room they have", () => {
  expect(arrange(4, 480, 700)).toEqual({ columns: 2, shape: "tall" });
  expect(arrange(4, 1150, 700)).toEqual({ columns: 2, shape: "wide" });
  expect(arrange(4, 1400, 420)).toEqual({ columns: 4, shape: "tall" });
  expect(arrange(1, 480, 700)).toEqual({ columns: 1, shape: "tall" });
});

test("where the page scrolls the tiles take the fewest rows, evenly filled", () => {
  expect(arrange(4, 760, null)).toEqual({ columns: 4, shape: "tall" });
  expect(arrange(5, 760, null)).toEqual({ columns: 3, shape: "tall" });
  expect(arrange(3, 340, null)).toEqual({ columns: 2, shape: "tall" });
  expect(arrange(0, 340, null)).toEqual({ columns: 1, shape: "tall" });
});

test("twenty tiles stay wide enough to be read, and scroll", () => {
  expect(arrange(20, 420, 650)).toEqual({ columns: 2, shape: "tall" });
});
