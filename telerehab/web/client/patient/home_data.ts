import { computed, signal } from "@preact/signals";
import { ApiError } from "../shared/api";
import { keep, kept } from "../shared/kept";
import {
  patientApi,
  type AdherenceDay,
  type AppointmentRead,
  type DueQuestionnaire,
  type GoalRead,
  type MessageRead,
  type Today,
} from "./api";

const READ_AGAIN_MS = 15_000;
export const PROGRESS_DAYS = 14;
export const APPOINTMENT_DAYS = 60;

/** What the first screen shows of one patient. A part that cannot be read keeps what was read last, and says so. */
export class HomeData {
  readonly today = signal<Today | null>(null);
  readonly messages = signal<MessageRead[] | null>(null);
  readonly goals = signal<GoalRead[] | null>(null);
  readonly days = signal<AdherenceDay[] | null>(null);
  readonly due = signal<DueQuestionnaire[]>([]);
  readonly appointments = signal<AppointmentRead[]>([]);
  /** The plan on the screen is the one that was read before the link broke. */
  readonly isOld = signal(false);
  readonly unread = computed(() => (this.messages.value ?? []).filter((message) => isFromOthers(message) && !message.read_at).length);
  readonly nextAppointment = computed(() => this.appointments.value.find((appointment) => appointment.state === "planned") ?? null);
  private readAtMs = -Infinity;
  private patientId: string | null = null;

  /** Show this patient's things; `isHelper`: asked by somebody else, who may not see all. */
  start(patientId: string, isHelper: boolean): void {
    if (this.patientId === patientId) return;
    this.stop();
    this.patientId = patientId;
    if (!isHelper) this.today.value = kept<Today>(this.key());
    this.isOld.value = this.today.value !== null;
  }

  stop(): void {
    this.patientId = null;
    this.readAtMs = -Infinity;
    this.today.value = null;
    this.messages.value = this.goals.value = this.days.value = null;
    this.due.value = [];
    this.appointments.value = [];
  }

  /** This browser is nobody's tablet any more: the plan that was kept on it goes. */
  forget(): void {
    if (this.patientId !== null) keep(this.key(), null);
    this.stop();
  }

  /** Read again when it is time, or now. */
  async read(isHelper: boolean, isNow = false): Promise<void> {
    const patient = this.patientId;
    if (patient === null || (!isNow && performance.now() - this.readAtMs < READ_AGAIN_MS)) return;
    this.readAtMs = performance.now();
    const now = new Date();
    const reads = [
      this.take(patient, patientApi.today(isHelper ? patient : null), (today) => {
        this.today.value = today;
        this.isOld.value = false;
        if (!isHelper) keep(this.key(), today);
      }, () => (this.isOld.value = this.today.peek() !== null)),
      this.take(patient, patientApi.adherence(patient, dayOf(now, 1 - PROGRESS_DAYS), dayOf(now, 1)), (answer) => {
        this.days.value = answer.days;
      }),
      this.take(patient, patientApi.goals(patient), (goals) => (this.goals.value = goals)),
    ];
    if (!isHelper) {
      reads.push(
        this.take(patient, patientApi.messages(patient), (messages) => (this.messages.value = inOrder(messages))),
        this.take(patient, patientApi.questionnairesDue(patient), (due) => (this.due.value = due)),
        this.take(patient, patientApi.appointments(dayOf(now, 0), dayOf(now, APPOINTMENT_DAYS)), (appointments) => {
          this.appointments.value = [...appointments].sort((one, other) => one.starts_at.localeCompare(other.starts_at));
        }),
      );
    }
    await Promise.all(reads);
  }

  private async take<T>(patient: string, asked: Promise<T>, use: (answer: T) => void, otherwise?: () => void): Promise<void> {
    try {
      const answer = await asked;
      if (this.patientId === patient) use(answer);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (this.patientId === patient) otherwise?.();
    }
  }

  private key(): string {
    return `telerehab.today.${this.patientId ?? ""}`;
  }
}

export function isFromOthers(message: MessageRead): boolean {
  return message.is_own !== true;
}

function inOrder(messages: MessageRead[]): MessageRead[] {
  return [...messages].sort((one, other) => one.sent_at.localeCompare(other.sent_at));
}

/** Return a local day as an ISO date, some days from now. */
export function dayOf(now: Date, daysAhead: number): string {
  const day = new Date(now.getFullYear(), now.getMonth(), now.getDate() + daysAhead);
  return `${day.getFullYear()}-${String(day.getMonth() + 1).padStart(2, "0")}-${String(day.getDate()).padStart(2, "0")}`;
}
