/** What the server says and takes, as far as the therapist's page uses it. Days are ISO dates, moments RFC 3339. */

export interface Person {
  id: string;
  /** null: the patient's key was destroyed. */
  display_name: string | null;
  birth_date: string | null;
}

// --- safety ---

export type AlertAction = "may_continue" | "ended" | "called" | "seen";

export interface Alert {
  id: string;
  patient_id: string;
  display_name: string | null;
  birth_date: string | null;
  training_session_id: string | null;
  cause: string;
  value: number | null;
  limit: number | null;
  began_at: string;
  found_at: string;
  is_stop: boolean;
  /** Training still stands: nobody has let the patient go on. */
  is_standing: boolean;
  needs_confirmation_by: string | null;
  acknowledged: { action: string; at: string; account_name: string | null; note: string | null } | null;
}

export type HelpOutcome = "helped" | "called_back" | "not_reached" | "emergency" | "mistake";

export interface HelpCall {
  id: string;
  patient_id: string;
  display_name: string | null;
  birth_date: string | null;
  live_session_id: string | null;
  state: string;
  patient_telephone: string | null;
  called_at: string;
  rang_at: string;
  told_name: string | null;
  answered_name: string | null;
  answered_at: string | null;
  is_out_of_hours: boolean;
}

// --- caseload ---

export interface FlagRead {
  id: string;
  rule: string;
  value: number | null;
  threshold: number | null;
  unit: string | null;
  since: string;
  state: string;
  severity: number;
  suggested_action: string | null;
  exercise: string | null;
  side: string | null;
  version: number;
}

export interface Evidence {
  source: string;
  id: string;
  day: string;
  value: number | null;
}

export interface FlagDetail extends FlagRead {
  evidence: Evidence[];
  actions: { id: string; action: string; at: string; display_name: string; note: string | null }[];
}

export interface DaySummary {
  day: string;
  status: string;
}

/** What the last days were, one after the other. */
export interface AdherenceSummary {
  last_day: string;
  statuses: string[];
  completeness: number | null;
}

export interface CaseloadPatient extends Person {
  flags: FlagRead[];
  open_alerts: number;
  open_help_call: string | null;
  adherence: AdherenceSummary | null;
  last_training_at: string | null;
  pain_last: number | null;
  unread_messages: number;
  rank_reason: string;
  rank_since: string | null;
}

export interface Caseload {
  patients: CaseloadPatient[];
  /** When adherence, training and pain were counted; null: not yet. */
  counted_at: string | null;
}

/** `kind` is the key of a sentence. */
export interface NoticeRead {
  id: string;
  kind: string;
  patient_id: string | null;
  display_name: string | null;
  birth_date: string | null;
  /** Of a flag: its rule and number. */
  data: { rule?: string; number?: number };
  created_at: string;
  read_at: string | null;
}

// --- record ---

export interface Clock {
  state: string;
  last_day: string | null;
  days_left: number | null;
  days_late: number | null;
}

export interface Referral {
  id: string;
  kind: string;
  discharged_on: string | null;
  received_on: string | null;
  informed_on: string | null;
  first_offered_on: string | null;
  started_on: string | null;
  stopped_on: string | null;
  stop_reason: string | null;
  note: string | null;
  version: number;
  clock: { start: Clock; inform: Clock; has_free_choice: boolean | null };
}

export interface RecordHead extends Person {
  language: string;
  telephone: string | null;
  has_cpr: boolean;
  has_address_mark: boolean;
  scopes: string[];
}

export interface Limits {
  pain_max: number;
  pain_rise: number;
  heart_rate_max_per_min: number | null;
  heart_rate_min_per_min: number | null;
  heart_rate_hold_s: number;
  heart_rate_margin_per_min: number;
  spo2_min_percent: number | null;
  spo2_hold_s: number;
  spo2_margin_percent: number;
  is_fall_hint_on: boolean;
  stream_lost_s: number | null;
}

export interface PlanItem {
  exercise: string;
  exercise_version: number;
  local_exercise_id: string | null;
  side: "left" | "right" | "both";
  sets: number;
  repetitions: number;
  tempo: { up_s: number; hold_s: number; down_s: number } | null;
  target_low_deg: number | null;
  target_high_deg: number | null;
  load_kg: number | null;
  band: string | null;
  weekdays: number[];
}

export interface PlanContent {
  items: PlanItem[];
  limits: Limits;
  valid_from: string;
}

export interface PlanVersion {
  number: number;
  content: PlanContent;
  hash: string;
  short_hash: string;
  author: { account_id: string; display_name: string };
  reason: string;
  template: string | null;
  created_at: string;
  is_in_force: boolean;
}

export interface PlanChange {
  kind: "added" | "removed" | "changed" | "reordered";
  of: "item" | "limits" | "plan";
  exercise: string | null;
  side: string | null;
  field: string | null;
  before: unknown;
  after: unknown;
}

export interface LibraryExercise {
  code: string;
  version: number;
  local_id: string | null;
  name: Words;
  is_reviewed: boolean;
  is_measurable: boolean;
  default_target_deg: [number, number] | null;
}

/** Words of content: there is always Danish. */
export interface Words {
  da: string;
  en: string | null;
}

export interface PlanTemplate {
  code: string;
  version: number;
  title: Words;
  is_reviewed: boolean;
  items: PlanItem[];
  limits: Limits;
}

export interface TrainingSession {
  id: string;
  exercise: string;
  side: string;
  live_session_id: string | null;
  helper_id?: string | null;
  opened_at: string;
  closed_at: string | null;
  close_reason: string | null;
  retracted_at?: string | null;
}

export interface Correction {
  id: string;
  training_set_id: string | null;
  kind: string;
  original: Record<string, unknown>;
  corrected: Record<string, unknown>;
  note: string | null;
  author: string | null;
  at: string;
  withdrawn_at: string | null;
}

export interface SetRepetition {
  index: number;
  rom_deg: number | null;
  trust: number | null;
  reason: number;
}

export interface SetResult {
  id: string | null;
  number: number;
  exercise: string;
  side: string;
  set_number: number | null;
  target_repetitions: number | null;
  repetitions: SetRepetition[];
  /** What holds, corrections included; null: nobody counted, which is not 0. */
  counted: number | null;
  /** As first counted. */
  original_count: number | null;
  is_valid: boolean;
  rom_median_deg: number | null;
  trust: number | null;
  completeness: number | null;
  is_incomplete: boolean;
  corrections: Correction[];
}

export interface SelfReport {
  id: string;
  kind: string;
  value: number | null;
  phase: string;
  at: string;
  training_set_id: string | null;
}

export interface Results {
  sets: SetResult[];
  /** Repetitions that belong to no set. */
  outside: SetRepetition[];
  /** Of the training session as a whole. */
  corrections: Correction[];
  self_reports: SelfReport[];
}

export interface DayAdherence extends DaySummary {
  plan_number: number | null;
  prescribed_set_count: number;
  done_set_count: number | null;
  completeness: number | null;
  pause: string | null;
}

export interface Adherence {
  days: DayAdherence[];
  completeness: number | null;
  missed_run: number;
}

export interface Pause {
  id: string;
  kind: string;
  starts_on: string;
  ends_on: string | null;
}

export interface Goal {
  id: string;
  text: string | null;
  target_on: string | null;
  state: string;
  measure: Record<string, unknown> | null;
  version: number;
}

export interface Message {
  id: string;
  text: string;
  sent_at: string;
  read_at: string | null;
  /** Who wrote it: `patient`, `helper` or `staff`, and the name where it is not the patient. */
  from: string;
  author: string | null;
}

export interface Questionnaire {
  id: string | null;
  definition: { code: string; version: number; title: Words };
}

export interface Schedule {
  id: string;
  code: string;
  first_on: string;
  every_days: number | null;
  until: string | null;
}

export interface QuestionnaireResponse {
  id: string;
  code: string;
  title: Words;
  due_on: string | null;
  scores: { code: string; title: Words; value: number | null; reason: string | null }[];
  answered_at: string;
}

export interface Appointment {
  id: string;
  kind: string;
  title: string;
  patient_id: string | null;
  display_name: string | null;
  birth_date: string | null;
  group_name: string | null;
  starts_at: string;
  ends_at: string;
  state: string;
  version: number;
}

export interface HelperGrant {
  id: string;
  name: string | null;
  scopes: string[];
  ends_at: string;
  accepted_at: string | null;
  revoked_at: string | null;
}

export interface Consent {
  id: string;
  kind: string;
  given_how: string;
  given_at: string;
  ends_at: string | null;
  revoked_at: string | null;
}

export interface Tablet {
  id: string;
  paired_at: string | null;
  revoked_at: string | null;
  last_seen_at: string | null;
}

export interface TabletLink {
  link: string;
  qr_svg: string;
  expires_at: string;
}

export interface Invitation {
  grant_id: string;
  link: string;
  expires_at: string;
  qr_svg: string;
}

export interface Kit {
  id: string;
  name: string;
}

/** Why a device that is free cannot be lent yet; null: it can. */
export type Hindrance = "device_unheard" | "device_not_empty" | "device_has_holes";

/** What a free device has said of what it keeps. */
export interface RingState {
  name: string;
  hindrance: Hindrance | null;
  bytes_kept: number | null;
  wipe_asked_at: string | null;
}

export interface StreamLedger {
  missing: number;
  lost: Record<string, number>;
}

/** What became of what the sensors of a training session measured. */
export interface Ledger {
  streams: StreamLedger[];
  silent: string[];
  completeness: number | null;
  is_incomplete: boolean;
}

export interface Device extends RingState {
  kind: string;
  kit_id: string | null;
  usual_site: string | null;
  is_lent: boolean;
  is_revoked: boolean;
}

export interface Feed {
  id: string;
  created_at: string;
}

export interface Assignment {
  id: string;
  device_name: string;
  body_site: string | null;
  starts_at: string;
  ends_at: string | null;
}

export interface AccessEntry {
  sequence: number;
  at: string;
  action: string;
  who: string | null;
  allowed: boolean;
}

// --- me, break-glass ---

export interface OwnLogin {
  id: string;
  browser: string;
  created_at: string;
  last_seen_at: string;
  is_this: boolean;
}

export interface SecondFactors {
  totp: boolean;
  passkeys: { id: string; created_at: string; last_used_at: string | null }[];
}

export interface TotpSecret {
  secret: string;
  address: string;
  qr_svg: string;
}

export interface Challenge {
  challenge_id: string;
  options: Record<string, unknown>;
}

export interface BreakGlass {
  id: string;
  patient_id: string;
  display_name: string | null;
  birth_date: string | null;
  starts_at: string;
  ends_at: string;
}

export interface Fault {
  at: string;
  kind: string;
}
