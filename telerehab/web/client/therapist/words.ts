import { exerciseText } from "../shared/codes";
import { t, type TextKey } from "../shared/i18n";
import { plainNumber } from "./format";
import type { FlagRead } from "./types";

/** Words for the codes of the server. A code that this page does not know yet is shown as it is, never hidden. */
function word(table: Record<string, TextKey>, code: string): string {
  const key = table[code];
  return key === undefined ? code.replaceAll("_", " ") : t(key as "side.left");
}

const CAUSES: Record<string, TextKey> = {
  heart_rate_high: "alert.cause.heart_rate_high",
  heart_rate_low: "alert.cause.heart_rate_low",
  spo2_low: "alert.cause.spo2_low",
  pain_high: "alert.cause.pain_high",
  pain_rise: "alert.cause.pain_rise",
  fall_hint: "alert.cause.fall_hint",
  stop_pressed: "alert.cause.stop_pressed",
  stream_lost: "alert.cause.stream_lost",
};

const CAUSE_NUMBERS: Record<string, TextKey> = {
  heart_rate_high: "alert.number.heart_rate",
  heart_rate_low: "alert.number.heart_rate_low",
  spo2_low: "alert.number.spo2",
  pain_high: "alert.number.pain",
  pain_rise: "alert.number.pain_rise",
};

export const causeText = (cause: string) => word(CAUSES, cause);

/** "Heart rate 152, limit 130", or nothing where no number belongs to the cause. */
export function causeNumber(cause: string, value: number | null, limit: number | null): string | null {
  const key = CAUSE_NUMBERS[cause];
  if (key === undefined || value === null) return null;
  return t(key as "alert.number.pain", { value: plainNumber(value), limit: limit === null ? "–" : plainNumber(limit) });
}

const ALERT_ACTIONS: Record<string, TextKey> = {
  may_continue: "alert.action.may_continue",
  ended: "alert.action.ended",
  called: "alert.action.called",
  seen: "alert.action.seen",
};
export const alertActionText = (action: string) => word(ALERT_ACTIONS, action);

const OUTCOMES: Record<string, TextKey> = {
  helped: "help_call.outcome.helped",
  called_back: "help_call.outcome.called_back",
  not_reached: "help_call.outcome.not_reached",
  emergency: "help_call.outcome.emergency",
  mistake: "help_call.outcome.mistake",
};
export const outcomeText = (outcome: string) => word(OUTCOMES, outcome);

const NEEDS: Record<string, TextKey> = {
  help_call: "need.help_call",
  alert: "need.alert",
  high_pain: "need.high_pain",
  pain: "need.pain",
  worse: "need.worse",
  watch: "need.watch",
  technical: "need.technical",
  message: "need.message",
  seen: "need.seen",
  good_news: "need.good_news",
  fine: "need.fine",
};
export const needText = (need: string) => word(NEEDS, need);

/** Sentences that hold the number of the flag. */
const FLAGS: Record<string, TextKey> = {
  pain_high: "flag_text.pain_high",
  pain_rising: "flag_text.pain_rising",
  range_falling: "flag_text.range_falling",
  days_missed: "flag_text.days_missed",
  device_silent: "flag_text.device_silent",
  score_withheld: "flag_text.score_withheld",
  goal_met: "flag_text.goal_met",
};

/** What a rule found, with its number. */
export function foundText(rule: string, value: number | null): string {
  const key = FLAGS[rule];
  const number = value === null ? "–" : plainNumber(value);
  return key === undefined ? `${rule.replaceAll("_", " ")} ${number}` : t(key as "flag_text.pain_high", { number });
}

/** What a rule found, with its number and the exercise where there is one. */
export function flagText(flag: FlagRead): string {
  const sentence = foundText(flag.rule, flag.value);
  return flag.exercise ? t("flag.of_exercise", { flag: sentence, exercise: exerciseText({ exercise: flag.exercise, side: flag.side ?? "" }) }) : sentence;
}

const RULES: Record<string, TextKey> = {
  pain_high: "flag_rule.pain_high",
  pain_rising: "flag_rule.pain_rising",
  range_falling: "flag_rule.range_falling",
  days_missed: "flag_rule.days_missed",
  device_silent: "flag_rule.device_silent",
  score_withheld: "flag_rule.score_withheld",
  goal_met: "flag_rule.goal_met",
};

/** Why this rule speaks, with its limit. */
export function flagRuleText(flag: FlagRead): string {
  const key = RULES[flag.rule];
  return key === undefined ? flag.rule : t(key as "flag_rule.pain_high", { threshold: flag.threshold === null ? "–" : plainNumber(flag.threshold) });
}

const FLAG_ACTIONS: Record<string, TextKey> = {
  call: "flag_action.call",
  review: "flag_action.review",
  message: "flag_action.message",
  check_device: "flag_action.check_device",
  praise: "flag_action.praise",
};
export const flagActionText = (action: string) => word(FLAG_ACTIONS, action);

const FLAG_STATES: Record<string, TextKey> = {
  open: "flag_state.open",
  acknowledged: "flag_state.acknowledged",
  resolved: "flag_state.resolved",
  ended: "flag_state.ended",
};
export const flagStateText = (state: string) => word(FLAG_STATES, state);

const UNITS: Record<string, TextKey> = { deg: "unit.deg", d: "unit.days", "{score}": "unit.of_ten", "{sessions}": "unit.sessions" };

/** A number with its unit, "–" where there is none. */
export function withUnit(value: number | null, unit: string | null): string {
  if (value === null) return "–";
  const key = unit === null ? undefined : UNITS[unit];
  return key === undefined ? plainNumber(value) : t(key as "unit.deg", { number: plainNumber(value) });
}

const SOURCES: Record<string, TextKey> = {
  training_session: "evidence.training_session",
  pain_report: "evidence.pain_report",
  planned_day: "evidence.planned_day",
  device: "evidence.device",
  goal: "evidence.goal",
};
export const sourceText = (source: string) => word(SOURCES, source);

const DAYS: Record<string, TextKey> = {
  rest: "adherence.rest",
  extra: "adherence.extra",
  done: "adherence.done",
  partly: "adherence.partly",
  unmeasured: "adherence.unmeasured",
  missed: "adherence.missed",
  excused: "adherence.excused",
  open: "adherence.open",
  ahead: "adherence.ahead",
};
export const dayText = (status: string) => word(DAYS, status);

const PAUSES: Record<string, TextKey> = { planned_rest: "pause.planned_rest", illness: "pause.illness", holiday: "pause.holiday" };
export const pauseText = (kind: string) => word(PAUSES, kind);

const GOAL_STATES: Record<string, TextKey> = { open: "goal.state.open", met: "goal.state.met", dropped: "goal.state.dropped" };
export const goalStateText = (state: string) => word(GOAL_STATES, state);

const REPORT_PHASES: Record<string, TextKey> = {
  start: "report.phase.start",
  during: "report.phase.during",
  after_set: "report.phase.after_set",
  end: "report.phase.end",
};
export const reportPhaseText = (phase: string) => word(REPORT_PHASES, phase);

const REPORT_KINDS: Record<string, TextKey> = { pain: "report.pain", effort: "report.effort", stop: "report.stop" };
export const reportKindText = (kind: string) => word(REPORT_KINDS, kind);

const CORRECTIONS: Record<string, TextKey> = {
  repetition_count: "correction.kind.repetition_count",
  not_valid: "correction.kind.not_valid",
  note: "correction.kind.note",
};
export const correctionKindText = (kind: string) => word(CORRECTIONS, kind);

const CLOSE_REASONS: Record<string, TextKey> = {
  done: "training.closed.done",
  stop: "training.closed.stop",
  no_movement: "training.closed.silent",
  superseded: "training.closed.superseded",
  retracted: "training.closed.retracted",
};
export const closeReasonText = (reason: string) => word(CLOSE_REASONS, reason);

const REFERRAL_KINDS: Record<string, TextKey> = {
  general: "referral.kind.general",
  general_advanced: "referral.kind.general_advanced",
  specialised: "referral.kind.specialised",
  rehabilitation: "referral.kind.rehabilitation",
};
export const referralKindText = (kind: string) => word(REFERRAL_KINDS, kind);

/** Why a referral or its training stops: the status reasons that the server takes. */
export const STOP_REASONS: Record<string, TextKey> = {
  postponed: "stop_reason.postponed",
  other_municipality: "stop_reason.other_municipality",
  free_choice: "stop_reason.free_choice",
  free_choice_declined: "stop_reason.free_choice_declined",
  error: "stop_reason.error",
  needs_met_by_citizen: "stop_reason.needs_met_by_citizen",
  needs_met_by_professional: "stop_reason.needs_met_by_professional",
  opt_out: "stop_reason.opt_out",
  other_illness: "stop_reason.other_illness",
  transport_cost: "stop_reason.transport_cost",
  transport_logistics: "stop_reason.transport_logistics",
  other_training: "stop_reason.other_training",
  event: "stop_reason.event",
  no_show: "stop_reason.no_show",
};
export const stopReasonText = (reason: string) => word(STOP_REASONS, reason);

const CLOCKS: Record<string, TextKey> = {
  running: "clock.running",
  in_time: "clock.in_time",
  late: "clock.late",
  stopped: "clock.stopped",
  unknown: "clock.unknown",
};
export const clockText = (state: string) => word(CLOCKS, state);

const APPOINTMENT_KINDS: Record<string, TextKey> = {
  live_session: "appointment.kind.live_session",
  visit: "appointment.kind.visit",
  telephone: "appointment.kind.telephone",
};
export const appointmentKindText = (kind: string) => word(APPOINTMENT_KINDS, kind);

const APPOINTMENT_STATES: Record<string, TextKey> = {
  planned: "appointment.state.planned",
  cancelled: "appointment.state.cancelled",
  done: "appointment.state.done",
  no_show: "appointment.state.no_show",
};
export const appointmentStateText = (state: string) => word(APPOINTMENT_STATES, state);

/** What the access log tells: one word of the server, one phrase. */
const ACCESS: Record<string, TextKey> = {
  acknowledge_alert: "access.acknowledge_alert",
  begin_care: "access.begin_care",
  break_glass: "access.break_glass",
  change_identity: "access.change_identity",
  create_patient: "access.create_patient",
  end_care: "access.end_care",
  end_course: "access.end_course",
  find_by_cpr: "access.find_by_cpr",
  invite_helper: "access.invite_helper",
  invite_tablet: "access.invite_tablet",
  lend_device: "access.lend_device",
  lend_kit: "access.lend_kit",
  record_consent: "access.record_consent",
  reveal_cpr: "access.reveal_cpr",
  reveal_protected_address: "access.reveal_protected_address",
  revoke_consent: "access.revoke_consent",
  revoke_helper: "access.revoke_helper",
  revoke_tablet: "access.revoke_tablet",
  take_back_device: "access.take_back_device",
};
export const accessText = (action: string) => word(ACCESS, action);

const SCOPES: Record<string, TextKey> = { join: "scope.join", see_plan: "scope.see_plan", see_results: "scope.see_results", train_for: "scope.train_for" };
export const scopeText = (scope: string) => word(SCOPES, scope);

const CONSENTS: Record<string, TextKey> = {
  helper: "consent.kind.helper",
  auto_answer: "consent.kind.auto_answer",
  seen_by_group: "consent.kind.seen_by_group",
  assisted_start: "consent.kind.assisted_start",
};
export const consentText = (kind: string) => word(CONSENTS, kind);

const GIVEN: Record<string, TextKey> = {
  on_tablet: "consent.given.on_tablet",
  spoken: "consent.given.spoken",
  on_paper: "consent.given.on_paper",
  assisted_without_eid: "consent.given.assisted_without_eid",
};
export const givenText = (how: string) => word(GIVEN, how);

const SITES: Record<string, TextKey> = {
  thigh_right: "site.thigh_right",
  thigh_left: "site.thigh_left",
  shank_right: "site.shank_right",
  shank_left: "site.shank_left",
  upper_arm_right: "site.upper_arm_right",
  upper_arm_left: "site.upper_arm_left",
  forearm_right: "site.forearm_right",
  forearm_left: "site.forearm_left",
  foot_right: "site.foot_right",
  foot_left: "site.foot_left",
  pelvis: "site.pelvis",
  trunk: "site.trunk",
  chest: "site.chest",
  wrist_right: "site.wrist_right",
  wrist_left: "site.wrist_left",
  finger_right: "site.finger_right",
  finger_left: "site.finger_left",
};
export const BODY_SITES = Object.keys(SITES);
export const siteText = (site: string) => word(SITES, site);

const LIMITS: Record<string, TextKey> = {
  pain_max: "limit.pain_max",
  pain_rise: "limit.pain_rise",
  heart_rate_max_per_min: "limit.heart_rate_max_per_min",
  heart_rate_min_per_min: "limit.heart_rate_min_per_min",
  heart_rate_hold_s: "limit.heart_rate_hold_s",
  heart_rate_margin_per_min: "limit.heart_rate_margin_per_min",
  spo2_min_percent: "limit.spo2_min_percent",
  spo2_hold_s: "limit.spo2_hold_s",
  spo2_margin_percent: "limit.spo2_margin_percent",
  is_fall_hint_on: "limit.is_fall_hint_on",
  stream_lost_s: "limit.stream_lost_s",
};
export const limitText = (name: string) => word(LIMITS, name);

const PLAN_FIELDS: Record<string, TextKey> = {
  exercise_version: "plan.field.exercise_version",
  side: "plan.field.side",
  sets: "plan.field.sets",
  repetitions: "plan.field.repetitions",
  tempo: "plan.field.tempo",
  target_low_deg: "plan.field.target_low",
  target_high_deg: "plan.field.target_high",
  load_kg: "plan.field.load",
  band: "plan.field.band",
  weekdays: "plan.field.weekdays",
  valid_from: "plan.field.valid_from",
};
export const planFieldText = (name: string) => word(PLAN_FIELDS, name);

const BANDS: Record<string, TextKey> = {
  yellow: "band.yellow",
  red: "band.red",
  green: "band.green",
  blue: "band.blue",
  black: "band.black",
  silver: "band.silver",
};
export const BAND_COLOURS = Object.keys(BANDS);
export const bandText = (band: string) => word(BANDS, band);

const SIDES: Record<string, TextKey> = { left: "side.left", right: "side.right", both: "side.both" };
export const sideText = (side: string) => word(SIDES, side);
