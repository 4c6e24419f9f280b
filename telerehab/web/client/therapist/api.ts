import { call, list } from "../shared/api";
import type * as T from "./types";

const get = <R>(path: string) => call<R>("GET", path);
const post = <R>(path: string, body: unknown = {}) => call<R>("POST", path, body);
const put = <R>(path: string, body: unknown) => call<R>("PUT", path, body);
const remove = (path: string) => call<null>("DELETE", path);
const of = (patient: string) => `/api/patients/${patient}`;

/** The therapist's part of the HTTP API; ids of new rows are the page's, so that a second sending adds nothing. */
export const care = {
  caseload: () => get<T.Caseload>("/api/caseload"),
  alerts: () => list<T.Alert>("/api/alerts?open=true"),
  acknowledge: (id: string, action: T.AlertAction, note: string | null) => post(`/api/alerts/${id}/acknowledge`, { action, note }),
  helpCalls: () => list<T.HelpCall>("/api/help-calls?open=true"),
  answerHelpCall: (id: string) => post<T.HelpCall>(`/api/help-calls/${id}/answer`),
  closeHelpCall: (id: string, outcome: T.HelpOutcome, note: string | null) => post(`/api/help-calls/${id}/close`, { outcome, note }),
  notices: () => list<T.NoticeRead>("/api/notices"),
  readNotice: (id: string) => post(`/api/notices/${id}/read`),
  flag: (id: string) => get<T.FlagDetail>(`/api/flags/${id}`),
  actOnFlag: (id: string, version: number, action: "acknowledged" | "resolved", note: string | null) =>
    post(`/api/flags/${id}/actions`, { action, note, version }),

  record: (patient: string) => get<T.RecordHead>(of(patient)),
  reveal: (patient: string, what: "cpr" | "protected_address", reason: string) =>
    post<{ value: string | boolean | null }>(`${of(patient)}/reveal`, { what, reason }),

  exercises: () => list<T.LibraryExercise>("/api/exercises"),
  templates: (side: "left" | "right") => list<T.PlanTemplate>(`/api/plan-templates?side=${side}`),
  plan: (patient: string) => get<T.PlanVersion | null>(`${of(patient)}/plan`),
  planVersions: (patient: string) => list<T.PlanVersion>(`${of(patient)}/plan-versions`),
  planDiff: (patient: string, from: number, to: number) => get<{ changes: T.PlanChange[] }>(`${of(patient)}/plan-versions/${from}/diff?to=${to}`),
  writePlan: (patient: string, version: { based_on: number; content: T.PlanContent; reason: string; template: string | null }) =>
    post<T.PlanVersion>(`${of(patient)}/plan-versions`, version),

  trainingSessions: (patient: string, from: string, to: string) =>
    list<T.TrainingSession>(`${of(patient)}/training-sessions?from=${from}&to=${to}`),
  ledger: (trainingSession: string) => get<T.Ledger>(`/api/training-sessions/${trainingSession}/ledger`),
  results: (trainingSession: string) => get<T.Results>(`/api/training-sessions/${trainingSession}/results`),
  correct: (trainingSession: string, correction: Record<string, unknown>) =>
    post(`/api/training-sessions/${trainingSession}/corrections`, correction),
  withdrawCorrection: (id: string) => remove(`/api/corrections/${id}`),
  retract: (retraction: { what: string; row_id: string; right_patient_id: string | null; reason: string }) =>
    post("/api/retractions", retraction),
  adherence: (patient: string, from: string, to: string) => get<T.Adherence>(`${of(patient)}/adherence?from=${from}&to=${to}`),
  pauses: (patient: string) => list<T.Pause>(`${of(patient)}/pauses`),
  addPause: (patient: string, pause: { id: string; kind: string; starts_on: string; ends_on: string | null }) =>
    post(`${of(patient)}/pauses`, pause),
  withdrawPause: (id: string) => remove(`/api/pauses/${id}`),

  goals: (patient: string) => list<T.Goal>(`${of(patient)}/goals`),
  addGoal: (patient: string, goal: { id: string; text: string; target_on: string | null }) => post(`${of(patient)}/goals`, goal),
  putGoal: (id: string, goal: Record<string, unknown>) => put(`/api/goals/${id}`, goal),
  messages: (patient: string) => list<T.Message>(`${of(patient)}/messages`),
  putMessage: (patient: string, id: string, text: string) => put(`${of(patient)}/messages/${id}`, { text }),
  readMessages: (patient: string) => post(`${of(patient)}/messages/read`),
  questionnaires: () => list<T.Questionnaire>("/api/questionnaires"),
  schedules: (patient: string) => list<T.Schedule>(`${of(patient)}/questionnaire-schedules`),
  addSchedule: (patient: string, schedule: Record<string, unknown>) => post(`${of(patient)}/questionnaire-schedules`, schedule),
  endSchedule: (id: string) => remove(`/api/questionnaire-schedules/${id}`),
  responses: (patient: string) => list<T.QuestionnaireResponse>(`${of(patient)}/questionnaire-responses`),

  referrals: (patient: string) => list<T.Referral>(`${of(patient)}/referrals`),
  addReferral: (patient: string, referral: Record<string, unknown>) => post(`${of(patient)}/referrals`, referral),
  putReferral: (id: string, referral: Record<string, unknown>) => put(`/api/referrals/${id}`, referral),
  appointments: (from: string, to: string) =>
    list<T.Appointment>(`/api/appointments?from=${encodeURIComponent(from)}&to=${encodeURIComponent(to)}`),
  addAppointment: (appointment: Record<string, unknown>) => post("/api/appointments", appointment),
  cancelAppointment: (id: string) => post(`/api/appointments/${id}/cancel`),
  feeds: () => list<T.Feed>("/api/calendar-feeds"),
  endFeed: (id: string) => remove(`/api/calendar-feeds/${id}`),
  makeFeed: () => post<{ address: string }>("/api/calendar-feeds"),

  helpers: (patient: string) => list<T.HelperGrant>(`${of(patient)}/helpers`),
  invite: (patient: string, invitation: Record<string, unknown>) => post<T.Invitation>(`${of(patient)}/helpers`, invitation),
  revokeGrant: (id: string) => remove(`/api/helper-grants/${id}`),
  consents: (patient: string) => list<T.Consent>(`${of(patient)}/consents`),
  addConsent: (patient: string, consent: Record<string, unknown>) => post(`${of(patient)}/consents`, consent),
  revokeConsent: (id: string) => remove(`/api/consents/${id}`),

  tablets: (patient: string) => list<T.Tablet>(`${of(patient)}/tablets`),
  tabletLink: (patient: string) => post<T.TabletLink>(`${of(patient)}/tablet-links`),
  pairingCode: (patient: string) => post<{ code: string; expires_at: string }>("/api/tablet-pairing-codes", { patient_id: patient }),
  revokeTablet: (id: string) => remove(`/api/tablets/${id}`),
  kits: () => list<T.Kit>("/api/kits"),
  devices: () => list<T.Device>("/api/devices"),
  wipe: (device: string) => post(`/api/devices/${device}/wipe`),
  assignments: (patient: string) => list<T.Assignment>(`${of(patient)}/assignments`),
  lend: (patient: string, assignment: Record<string, unknown>) => post(`${of(patient)}/assignments`, assignment),
  endAssignment: (id: string) => post(`/api/assignments/${id}/end`),
  phoneLink: (assignment: string) => post<T.TabletLink>(`/api/assignments/${assignment}/phone-link`),
  accessLog: (patient: string) => list<T.AccessEntry>(`${of(patient)}/access-log`),

  breakGlass: (wish: { patient_id?: string; cpr?: string; reason: string; code?: string }) => post<T.BreakGlass>("/api/break-glass", wish),
  ownBreakGlass: () => list<T.BreakGlass>("/api/break-glass"),
  logins: () => list<T.OwnLogin>("/api/my/logins"),
  endLogin: (id: string) => remove(`/api/my/logins/${id}`),
  endOtherLogins: () => remove("/api/my/logins"),
  changePassword: (old: string | null, fresh: string) => put("/api/my/password", { old, new: fresh }),
  secondFactors: () => get<T.SecondFactors>("/api/my/second-factors"),
  beginTotp: () => post<T.TotpSecret>("/api/my/totp"),
  confirmTotp: (code: string) => post("/api/my/totp/confirm", { code }),
  removeTotp: () => remove("/api/my/totp"),
  beginPasskey: () => post<T.Challenge>("/api/my/passkeys/options"),
  addPasskey: (challenge: string, credential: unknown) => post("/api/my/passkeys", { challenge_id: challenge, credential }),
  removePasskey: (id: string) => remove(`/api/my/passkeys/${id}`),
};
