import { call, list } from "../shared/api";
import type { RingState } from "../therapist/types";

export type Role = "therapist" | "team_manager" | "admin" | "auditor";
export const ROLES: readonly Role[] = ["therapist", "team_manager", "admin", "auditor"];

export interface Staff {
  id: string;
  display_name: string;
  role: Role;
  language: string;
  is_disabled: boolean;
  email: string | null;
  has_way_in: boolean | null;
}

export interface Member {
  account_id: string;
  display_name: string;
  starts_at: string;
  ends_at: string | null;
}

export interface Team {
  id: string;
  name: string;
  members: Member[];
}

export interface Substitution {
  id: string;
  absent_name: string;
  substitute_name: string;
  first_on: string;
  last_on: string;
}

export interface Organisation {
  id: string;
  name: string;
  service: "full" | "measure_only" | "communication_only";
  help_telephone: string | null;
  time_zone: string;
  version: number;
}

export interface Duty {
  id: string;
  account_id: string;
  name: string;
  weekday: number;
  from_minute: number;
  to_minute: number;
  line: number;
  telephone: string | null;
}

export interface OnDuty {
  on_duty: string[];
  next: string | null;
  next_at: string | null;
  gaps: { start: string; stop: string }[];
}

export interface ImportFault {
  line: number;
  column: string | null;
  kind: string;
}

export interface ImportAnswer {
  rows_ok: number;
  errors: ImportFault[];
  error_count: number;
  import_id: string | null;
}

export interface PastImport {
  id: string;
  created_at: string;
  row_count: number;
  undone_at: string | null;
  /** What stands against undoing it. */
  hindered_by: string[];
}

export interface Device extends RingState {
  kind: string;
  kit_id: string | null;
  usual_site: string | null;
  is_lent: boolean;
  patient: { id: string; display_name: string | null; birth_date: string | null } | null;
  is_revoked: boolean;
}

export interface Kit {
  id: string;
  name: string;
  devices: Device[];
}

export interface Unattributed {
  device_name: string;
  reason: "no_clock_fit" | "outside_assignments" | "across_border";
  since: string;
  until: string;
  sample_count: number;
}

export interface Credential {
  name: string;
  password: string;
}

export type Outcome = "justified" | "not_justified";

export interface Look {
  id: string;
  actor_name: string;
  reason: string | null;
  starts_at: string;
  ends_at: string;
  review_due_at: string;
  reviewed_at: string | null;
  outcome: Outcome | null;
}

export interface LogEntry {
  sequence: number;
  at: string;
  action: string;
  actor_role: string;
  who: string | null;
  allowed: boolean;
  patient_id: string | null;
}

export interface Care {
  id: string;
  display_name: string;
  account_id: string | null;
  starts_at: string;
  ends_at: string | null;
}

export interface Holder {
  therapist_id?: string;
  team_id?: string;
}

export interface NewPatient extends Holder {
  id: string;
  name: string;
  birth_date?: string;
  cpr?: string;
  telephone?: string;
  has_protected_address?: boolean;
  language: "da" | "en";
}

/** What the people who run the service ask and say. */
export const office = {
  staff: () => list<Staff>("/api/staff"),
  addStaff: (staff: { id: string; email: string; display_name: string; role: Role; language: string }) => call<Staff>("POST", "/api/staff", staff),
  changeStaff: (id: string, staff: { email: string; display_name: string; role: Role; language: string }) =>
    call<Staff>("PUT", `/api/staff/${id}`, staff),
  staffLink: (id: string) => call<{ link: string; expires_at: string }>("POST", `/api/staff/${id}/link`),
  disableStaff: (id: string) => call<Staff>("POST", `/api/staff/${id}/disable`),
  enableStaff: (id: string) => call<Staff>("POST", `/api/staff/${id}/enable`),

  teams: () => list<Team>("/api/teams"),
  addTeam: (id: string, name: string) => call<Team>("POST", "/api/teams", { id, name }),
  setMembers: (id: string, members: { account_id: string; starts_at?: string; ends_at?: string | null }[]) =>
    call<Team>("PUT", `/api/teams/${id}/members`, { members }),
  endTeam: (id: string) => call<null>("DELETE", `/api/teams/${id}`),
  substitutions: () => list<Substitution>("/api/substitutions"),
  addSubstitution: (wish: { id: string; absent_account_id: string; substitute_account_id: string; first_on: string; last_on: string }) =>
    call<Substitution>("POST", "/api/substitutions", wish),
  endSubstitution: (id: string) => call<null>("DELETE", `/api/substitutions/${id}`),

  organisation: () => call<Organisation>("GET", "/api/organisation"),
  setOrganisation: (wish: Omit<Organisation, "id">) => call<Organisation>("PUT", "/api/organisation", wish),

  duties: () => list<Duty>("/api/duties"),
  onDuty: () => call<OnDuty>("GET", "/api/duties/now"),
  addDuty: (duty: Omit<Duty, "name">) => call<Duty>("POST", "/api/duties", duty),
  endDuty: (id: string) => call<null>("DELETE", `/api/duties/${id}`),

  addPatient: (patient: NewPatient) => call<unknown>("POST", "/api/patients", patient),
  care: (patientId: string) => list<Care>(`/api/patients/${patientId}/care-relations`),
  addCare: (patientId: string, wish: Holder & { id: string; starts_at?: string; ends_at?: string | null }) =>
    call<Care>("POST", `/api/patients/${patientId}/care-relations`, wish),
  endCare: (id: string) => call<null>("DELETE", `/api/care-relations/${id}`),
  endCourse: (patientId: string) => call<null>("POST", `/api/patients/${patientId}/end`),

  importPatients: (base64: string, isDryRun: boolean) =>
    call<ImportAnswer>("POST", "/api/patient-imports", { csv_base64: base64, is_dry_run: isDryRun }),
  devices: () => list<Device>("/api/devices"),
  unattributed: () => list<Unattributed>("/api/unattributed"),
  kits: () => list<Kit>("/api/kits"),
  addKit: (id: string, name: string) => call<Kit>("POST", "/api/kits", { id, name }),
  retireKit: (id: string) => call<null>("DELETE", `/api/kits/${id}`),
  addDevice: (wish: { name: string; kind: string; kit_id: string | null; usual_site: string | null }) => call<Credential>("POST", "/api/devices", wish),
  renewCredential: (name: string) => call<Credential>("POST", `/api/devices/${name}/credential`),
  revokeDevice: (name: string) => call<null>("DELETE", `/api/devices/${name}`),

  looks: () => list<Look>("/api/break-glass"),
  review: (id: string, outcome: Outcome) => call<Look>("POST", `/api/break-glass/${id}/review`, { outcome }),
  log: (before: number | null, limit: number) => list<LogEntry>(`/api/audit?limit=${limit}${before === null ? "" : `&before=${before}`}`),

  imports: () => list<PastImport>("/api/patient-imports"),
  undoImport: (id: string) => call<null>("POST", `/api/patient-imports/${id}/undo`),
};
