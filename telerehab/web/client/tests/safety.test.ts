import { describe, expect, test } from "vitest";
import cases from "../../../../tests/telerehab/care/safety_cases.json";
import {
  type Cause,
  type Confirmer,
  confirm,
  CONFIRMED_BY,
  confirmWatch,
  DEFAULT_LIMITS,
  end,
  type Limits,
  needsConfirmationBy,
  NEW_WATCH,
  type Observation,
  opening,
  resume,
  type SafetyEvent,
  step,
  stop,
} from "../shared/safety";

/** One line of a case: an instant, or the same value over and over in [from_s, to_s). */
interface Seen {
  at_s?: number;
  from_s?: number;
  to_s?: number;
  every_ms?: number;
  heart_rate?: number | string | null;
  spo2?: number | string | null;
  pain?: number | null;
  fall_hint?: boolean;
  stop?: boolean;
  confirm?: boolean;
  heard?: string[];
}

interface Does {
  stop?: string;
  confirm?: string;
  end?: boolean;
  resume?: boolean;
  state: string;
  needs: string | null;
}

function instants(seen: Seen): number[] {
  if (seen.at_s !== undefined) return [seen.at_s * 1000];
  const [from, to, every] = [(seen.from_s ?? 0) * 1000, (seen.to_s ?? 0) * 1000, seen.every_ms ?? 1000];
  return Array.from({ length: Math.ceil((to - from) / every) }, (_, index) => from + index * every);
}

const number = (value: number | string | null | undefined) => (value === "NaN" ? NaN : (value as number | null | undefined));

function observation(seen: Seen): Observation {
  return {
    heartRate: number(seen.heart_rate),
    spo2: number(seen.spo2),
    pain: seen.pain,
    hasFallHint: seen.fall_hint,
    isStopPressed: seen.stop,
    heard: seen.heard,
  };
}

function inWords({ cause, onsetMs, atMs, value, limit, stream }: SafetyEvent): object {
  const words = { cause, onset_s: onsetMs / 1000, at_s: atMs / 1000, value, limit };
  return stream === undefined ? words : { ...words, stream };
}

function run(limits: Limits, seen: Seen[]): object[] {
  let watch = NEW_WATCH;
  const found: object[] = [];
  for (const each of seen) {
    for (const atMs of instants(each)) {
      if (each.confirm) {
        watch = confirmWatch(watch);
        continue;
      }
      const [after, events] = step(watch, observation(each), limits, atMs);
      watch = after;
      found.push(...events.map(inWords));
    }
  }
  return found;
}

describe("every case is judged as the server judges it", () => {
  for (const each of cases.watch) {
    test(each.name, () => {
      expect(run({ ...DEFAULT_LIMITS, ...(each.limits as Partial<Limits>) }, each.seen as Seen[])).toEqual(each.events);
    });
  }
});

describe("every stop stands as the server has it", () => {
  for (const each of cases.stops) {
    test(each.name, () => {
      let stops = opening(each.open_causes as Cause[]);
      for (const does of each.does as Does[]) {
        let refused = false;
        if (does.stop) stops = stop(stops, does.stop as Cause);
        else if (does.confirm) stops = confirm(stops, does.confirm as Confirmer);
        else if (does.end) stops = end(stops);
        else {
          const after = resume(stops);
          refused = after === null;
          stops = after ?? stops;
        }
        expect([refused ? "refused" : stops.state, needsConfirmationBy(stops)]).toEqual([does.state, does.needs]);
      }
    });
  }
});

test("the defaults, and who confirms what, are the server's", () => {
  expect(DEFAULT_LIMITS).toEqual(cases.defaults);
  expect(CONFIRMED_BY).toEqual(cases.confirmed_by);
  expect([cases.watch.length > 25, cases.stops.length > 5]).toEqual([true, true]);
});
