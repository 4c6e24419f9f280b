import { t } from "../../shared/i18n";
import { shortDay } from "../format";
import type { DaySummary } from "../types";
import { dayText } from "../words";
import { countDays } from "./order";

/** Fourteen days as shapes, one picture with one description; the days themselves are in the record's calendar. */
export function AdherenceStrip({ days }: { days: readonly DaySummary[] }) {
  if (days.length === 0) return <span class="soft">{t("caseload.no_plan")}</span>;
  const counts = countDays(days);
  const label = [
    t("days.strip", { trained: counts.trained, planned: counts.planned, days: days.length }),
    counts.missed > 0 ? t("days.strip.missed", { count: counts.missed }) : "",
    counts.unmeasured > 0 ? t("days.strip.unmeasured", { count: counts.unmeasured }) : "",
    counts.paused > 0 ? t("days.strip.paused", { count: counts.paused }) : "",
  ];
  return (
    <span class="adherence">
      <svg class="day-strip" viewBox={`0 0 ${days.length * 14} 16`} role="img" aria-label={label.filter((part) => part !== "").join(" ")}>
        {days.map((day, index) => (
          <g key={day.day} transform={`translate(${index * 14} 1)`} class={`day ${day.status}`}>
            <title>{`${shortDay(day.day)}: ${dayText(day.status)}`}</title>
            <DayShape status={day.status} />
          </g>
        ))}
      </svg>
      <span aria-hidden="true">{t("days.short", { trained: counts.trained, planned: counts.planned })}</span>
    </span>
  );
}

/** Each status has a shape of its own in a box of 12 by 14: never colour alone. */
export function DayShape({ status }: { status: string }) {
  switch (status) {
    case "done":
      return <rect x="0.5" y="0.5" width="11" height="13" rx="2" />;
    case "extra":
      return <path d="M4.5 1h3v4.5H12v3H7.5V13h-3V8.500H0v-3h4.500Z" />;
    case "partly":
      return (
        <>
          <rect class="edge" x="1" y="1" width="10" height="12" rx="2" />
          <path d="M1 7h10v4.500a1.500 1.500 0 0 1-1.500 1.500h-7A1.500 1.500 0 0 1 1 11.500Z" />
        </>
      );
    case "unmeasured":
      return <rect class="edge" x="1" y="1" width="10" height="12" rx="2" />;
    case "missed":
      return <path class="edge" d="M1.500 2.500 10.500 11.500M10.500 2.500 1.500 11.500" />;
    case "excused":
      return <path d="M2 2h3v10H2zM7 2h3v10H7z" />;
    case "open":
      return <circle class="edge" cx="6" cy="7" r="5" />;
    default:
      return <circle cx="6" cy="7" r="1.500" />;
  }
}
