import { call, list, type Me } from "../shared/api";
import type { Figure } from "../shared/figure_pose";
import type { Limits } from "../shared/safety";

export interface Words {
  da: string;
  en: string | null;
}

export interface Sentences {
  da: string[];
  en: string[];
}

/** One exercise of the plan in force. */
export interface TodaysItem {
  index: number;
  code: string;
  name: Words;
  start_pose: string;
  equipment: string[];
  instructions: Sentences;
  safety: Sentences;
  figure: Figure | null;
  is_reviewed: boolean;
  is_measurable: boolean;
  side: "left" | "right" | "both";
  sets: number;
  repetitions: number;
  tempo: { up_s: number; hold_s: number; down_s: number } | null;
  target_low_deg: number | null;
  target_high_deg: number | null;
  load_kg: number | null;
  band: string | null;
  done_set_count: number;
}

export interface TodaysPlan {
  id: string;
  number: number;
  short_hash: string;
  limits: Limits;
  items: TodaysItem[];
}

export interface Today {
  date: string;
  plan: TodaysPlan | null;
  is_training_day: boolean;
  pause: { kind: string; starts_on: string; ends_on: string | null } | null;
}

/** Whether training stands still; the patient may confirm what `alert_ids` names. */
export interface StopRead {
  is_stopped: boolean;
  cause: string | null;
  since: string | null;
  needs_confirmation_by: "therapist" | "patient" | null;
  alert_ids: string[];
  telephone: string | null;
}

export interface HelpCallRead {
  id: string;
  state: string;
  told_name?: string | null;
  answered_name?: string | null;
  is_out_of_hours?: boolean;
  is_unanswered?: boolean;
  telephone?: string | null;
}

export interface MessageRead {
  id: string;
  /** null: the patient's key was destroyed. */
  text: string | null;
  sent_at: string;
  is_own: boolean;
  author: string | null;
  read_at: string | null;
}

export interface GoalRead {
  id: string;
  text: string | null;
  state: string;
  target_on: string | null;
}

export interface AppointmentRead {
  id: string;
  kind: string;
  title: string;
  starts_at: string;
  state: string;
}

export interface AdherenceDay {
  day: string;
  status: string;
  prescribed_set_count: number;
  done_set_count: number | null;
}

export interface Question {
  kind: "choice" | "number" | "text";
  code: string;
  text: Words;
  options?: { code: string; text: Words }[];
  minimum?: number;
  maximum?: number;
  step?: number;
  is_required?: boolean;
}

export interface DueQuestionnaire {
  schedule_id: string;
  due_on: string;
  questionnaire_id: string | null;
  definition: { code: string; version: number; title: Words; questions: Question[] };
}

export interface HelpedPatient {
  patient_id: string;
  display_name: string | null;
  birth_date: string | null;
  scopes: string[];
  ends_at: string | null;
}

export const patientApi = {
  me: () => call<Me>("GET", "/api/me"),
  today: (patient: string | null) => call<Today>("GET", patient === null ? "/api/my/today" : `/api/patients/${patient}/today`),
  stop: (patient: string) => call<StopRead>("GET", `/api/patients/${patient}/stop`),
  confirmStop: (alert: string) => call<unknown>("POST", `/api/alerts/${alert}/confirm`, {}),
  callForHelp: (id: string, liveSession: string | null) =>
    call<HelpCallRead>("POST", "/api/help-calls", liveSession === null ? { id } : { id, live_session_id: liveSession }),
  helpCall: (id: string) => call<HelpCallRead>("GET", `/api/help-calls/${id}`),
  withdrawHelp: (id: string) => call<unknown>("POST", `/api/help-calls/${id}/withdraw`, {}),
  messages: (patient: string) => list<MessageRead>(`/api/patients/${patient}/messages`),
  markRead: (patient: string) => call<unknown>("POST", `/api/patients/${patient}/messages/read`, {}),
  goals: (patient: string) => list<GoalRead>(`/api/patients/${patient}/goals`),
  appointments: (from: string, to: string) => list<AppointmentRead>(`/api/appointments?from=${from}&to=${to}`),
  adherence: (patient: string, from: string, to: string) =>
    call<{ days: AdherenceDay[] }>("GET", `/api/patients/${patient}/adherence?from=${from}&to=${to}`),
  questionnairesDue: (patient: string) => list<DueQuestionnaire>(`/api/patients/${patient}/questionnaires-due`),
  pin: () => call<{ has_pin: boolean }>("GET", "/api/my/tablet-pin"),
  setPin: (pin: string | null, oldPin: string | null) => call<unknown>("PUT", "/api/my/tablet-pin", { pin, old_pin: oldPin }),
  checkPin: (pin: string) => call<unknown>("POST", "/api/my/tablet-pin/check", { pin }),
  helpedPatients: () => list<HelpedPatient>("/api/my/patients"),
};
