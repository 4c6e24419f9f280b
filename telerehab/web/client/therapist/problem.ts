import { ApiError } from "../shared/api";
import { t, type TextKey } from "../shared/i18n";

/** Codes of the server that have a sentence of their own. */
const SENTENCES: Record<string, TextKey> = {
  unreachable: "error.unreachable",
  not_allowed: "error.forbidden",
  not_found: "error.forbidden",
  not_logged_in: "problem.not_logged_in",
  second_factor: "problem.second_factor",
  conflict: "problem.conflict",
  plan_moved: "problem.plan_moved",
  stop_unconfirmed: "problem.stop_unconfirmed",
  too_many_attempts: "problem.too_many_attempts",
  too_large: "problem.too_large",
  invalid: "problem.invalid",
  media_unavailable: "problem.media_unavailable",
  help_call_taken: "problem.help_call_taken",
  help_call_closed: "problem.help_call_closed",
  device_lent: "problem.device_lent",
  device_revoked: "problem.device_revoked",
  device_unheard: "problem.device_unheard",
  device_not_empty: "problem.device_not_empty",
  device_has_holes: "problem.device_has_holes",
  device_not_returned: "problem.device_not_returned",
  site_taken: "problem.site_taken",
  kit_empty: "problem.kit_empty",
  course_ended: "problem.course_ended",
  appointment_over: "problem.appointment_over",
  appointment_cancelled: "problem.appointment_cancelled",
  too_many_feeds: "problem.too_many_feeds",
  login_failed: "problem.code_wrong",
  needs_password: "problem.needs_password",
  last_factor: "problem.last_factor",
  second_factor_now: "problem.second_factor",
  already_in_care: "problem.already_in_care",
  rate_limited: "problem.too_many_attempts",
};

/** What a person is told of a failure: what happened, and what to do next. `notFound` where "no access" would say too little. */
export function problemSentence(error: unknown, notFound?: string): string {
  if (!(error instanceof ApiError)) return t("error.unknown");
  if (error.status === 404 && notFound) return notFound;
  if (error.status === 422) return faultsText(error) ?? t("problem.invalid");
  const key = SENTENCES[error.code] ?? (error.status === 0 ? "error.unreachable" : error.status === 409 ? "problem.conflict" : "error.unknown");
  return t(key as "error.unknown");
}

const KINDS: Record<string, TextKey> = {
  missing: "fault.missing",
  out_of_range: "fault.out_of_range",
  crossed: "fault.crossed",
  twice: "fault.twice",
  side_overlaps: "fault.side_overlaps",
  in_the_past: "fault.in_the_past",
  nothing_changed: "fault.nothing_changed",
  not_measurable: "fault.not_measurable",
  half_a_target: "fault.half_a_target",
  before_discharge: "fault.before_discharge",
  day_and_reason_belong_together: "fault.day_and_reason",
  interval_empty: "fault.interval_empty",
  too_short: "fault.too_short",
  too_long: "fault.too_long",
  too_common: "fault.too_common",
  too_many: "fault.too_many",
};

/** The faults as sentences, each once; null where none of them has one. */
export function faultsText(error: ApiError): string | null {
  const sentences = error.faults.map(({ at, kind }) => {
    const key = KINDS[kind];
    if (key === undefined) return null;
    const place = /^items\.(\d+)/.exec(at);
    const sentence = t(key as "fault.missing");
    return place ? t("fault.in_item", { number: Number(place[1]) + 1, fault: sentence }) : sentence;
  });
  const known = [...new Set(sentences.filter((sentence) => sentence !== null))];
  return known.length > 0 ? known.join(" ") : null;
}
