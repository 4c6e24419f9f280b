/** The HTTP API. Every write carries the header that no foreign page can send. */

export interface Me {
  role: "therapist" | "team_manager" | "admin" | "auditor" | "tablet" | "helper";
  display_name: string;
  language: string;
  patient_id: string | null;
  account_id: string | null;
  helper_id?: string | null;
  organisation?: { id: string; name: string; service: string; help_telephone: string | null; time_zone: string };
}

export interface Patient {
  id: string;
  /** null: the patient's key was destroyed. */
  display_name: string | null;
  birth_date: string | null;
}

export interface LiveSessionSummary {
  id: string;
  title: string;
  state: string;
}

export interface TrainingSessionWrite {
  patient_id: string;
  exercise: string;
  side: string;
  live_session_id: string | null;
  target_low_deg?: number | null;
  target_high_deg?: number | null;
  target_repetitions?: number | null;
}

export interface RepetitionRead {
  index: number;
  rom_deg: number | null;
}

/** The server said no, or could not be reached (`status` 0). */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    /** Of content that cannot be: where and what. */
    readonly faults: readonly { at: string; kind: string }[] = [],
  ) {
    super(`${status} ${code}`);
  }
}

const TIMEOUT_MS = 10_000;

/** Call the server; each face has its own module of calls beside this one. */
export async function call<T>(method: string, path: string, body?: unknown): Promise<T> {
  const headers: Record<string, string> = { Accept: "application/json" };
  if (method !== "GET") headers["X-Telerehab"] = "1";
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      headers,
      body: body === undefined ? null : JSON.stringify(body),
      credentials: "same-origin",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  } catch {
    throw new ApiError(0, "unreachable");
  }
  const isJson = (response.headers.get("Content-Type") ?? "").includes("json");
  const answer: unknown = isJson ? await response.json().catch(() => null) : null;
  if (!response.ok) throw new ApiError(response.status, problemCode(answer), faultsOf(answer));
  return answer as T;
}

function problemCode(answer: unknown): string {
  if (typeof answer !== "object" || answer === null) return "unknown";
  const problem = answer as { code?: unknown; type?: unknown };
  return String(problem.code ?? problem.type ?? "unknown");
}

function faultsOf(answer: unknown): { at: string; kind: string }[] {
  const faults = (answer as { faults?: unknown } | null)?.faults;
  return Array.isArray(faults) ? faults.map((fault: { at?: unknown; kind?: unknown }) => ({ at: String(fault.at), kind: String(fault.kind) })) : [];
}

/** Lists come as an array, or as `{items: [...]}` where there may be more than one page. */
export async function list<T>(path: string): Promise<T[]> {
  const answer = await call<T[] | { items: T[] }>("GET", path);
  return Array.isArray(answer) ? answer : answer.items;
}

export const api = {
  me: () => call<Me>("GET", "/api/me"),
  logIn: (email: string, password: string) => call<null>("POST", "/api/login", { email, password }),
  logOut: () => call<null>("POST", "/api/logout"),
  enter: (token: string) => call<{ face: "therapist" | "patient" }>("POST", "/api/enter", { token }),
  pairTablet: (code: string) => call<unknown>("POST", "/api/tablet-pairing", { code }),
  makePairingCode: (patientId: string) =>
    call<{ code: string; expires_at: string }>("POST", "/api/tablet-pairing-codes", { patient_id: patientId }),
  patients: () => list<Patient>("/api/patients"),
  liveSessions: () => list<LiveSessionSummary>("/api/live-sessions"),
  createLiveSession: (title: string, patientIds: string[]) =>
    call<LiveSessionSummary>("POST", "/api/live-sessions", { title, patient_ids: patientIds }),
  putTrainingSession: (id: string, training: TrainingSessionWrite) =>
    call<unknown>("PUT", `/api/training-sessions/${id}`, training),
  closeTrainingSession: (id: string, reason: "done" | "stop") =>
    call<unknown>("POST", `/api/training-sessions/${id}/close`, { reason }),
  repetitions: (id: string) => list<RepetitionRead>(`/api/training-sessions/${id}/repetitions`),
};

/** Return a new random id; also where `crypto.randomUUID` is missing (a page without a secure context). */
export function newId(): string {
  if (typeof crypto.randomUUID === "function") return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}
