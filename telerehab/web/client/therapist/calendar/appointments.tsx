import { useState } from "preact/hooks";
import { newId } from "../../shared/api";
import { t } from "../../shared/i18n";
import { care } from "../api";
import type { TherapistFace } from "../face";
import { isoDay, momentText, personText, timeOf } from "../format";
import { useLoad, useSaving } from "../load";
import { Dialog } from "../parts/dialog";
import { Choice, Field, Form } from "../parts/fields";
import { Panel, SaveState } from "../parts/panel";
import { PersonChoice, PersonName } from "../parts/person";
import type { Appointment } from "../types";
import { appointmentKindText, appointmentStateText } from "../words";

const KINDS = ["live_session", "visit", "telephone"] as const;
const DAYS_BACK = 14;
const DAYS_AHEAD = 90;
const DAY_MS = 86_400_000;

/** Appointments, of one patient or all of mine: make and cancel. */
export function AppointmentsPanel({ face, patient }: { face: TherapistFace; patient?: string }) {
  const [now] = useState(() => Date.now());
  const range = (days: number) => new Date(now + days * DAY_MS).toISOString();
  const loaded = useLoad(() => care.appointments(range(-DAYS_BACK), range(DAYS_AHEAD)), [patient]);
  const [cancelled, setCancelled] = useState<Appointment | null>(null);
  const mine = (all: Appointment[]) => all.filter((each) => patient === undefined || each.patient_id === patient);
  return (
    <Panel title={t("appointment.title")} loaded={loaded} isEmpty={(all) => mine(all).length === 0} empty={t("appointment.none")}>
      {(all) => (
        <>
          <ul class="plain-list">
            {mine(all)
              .sort((one, other) => one.starts_at.localeCompare(other.starts_at))
              .map((each) => (
                <li key={each.id} class={`row appointment ${each.state}`}>
                  <span>
                    <strong>
                      {momentText(each.starts_at)}–{timeOf(each.ends_at)}
                    </strong>{" "}
                    {appointmentKindText(each.kind)}
                    {each.title !== appointmentKindText(each.kind) && `: ${each.title}`}
                    {each.group_name && ` · ${each.group_name}`}
                    {patient === undefined && each.patient_id !== null && (
                      <>
                        {" · "}
                        <PersonName person={{ ...each, id: each.patient_id }} />
                      </>
                    )}
                    {each.state !== "planned" && ` · ${appointmentStateText(each.state)}`}
                  </span>
                  {each.state === "planned" && (
                    <button class="button small" data-action="appointment-cancel" aria-label={t("appointment.cancel.label", { time: momentText(each.starts_at) })} onClick={() => setCancelled(each)}>
                      {t("appointment.cancel")}
                    </button>
                  )}
                </li>
              ))}
          </ul>
          <NewAppointment face={face} patient={patient ?? null} onDone={() => void loaded.reload()} />
          {cancelled && <CancelDialog appointment={cancelled} onClose={() => setCancelled(null)} onDone={() => void loaded.reload()} />}
        </>
      )}
    </Panel>
  );
}

function CancelDialog({ appointment, onClose, onDone }: { appointment: Appointment; onClose: () => void; onDone: () => void }) {
  const saving = useSaving();
  const cancel = async () => {
    if (!(await saving.run(() => care.cancelAppointment(appointment.id)))) return;
    onDone();
    onClose();
  };
  return (
    <Dialog title={t("appointment.cancel.question", { time: momentText(appointment.starts_at) })} onClose={onClose}>
      <SaveState saving={saving} />
      <button class="button danger" data-action="appointment-cancel-yes" aria-disabled={saving.isWorking} onClick={() => void cancel()}>
        {t("appointment.cancel.yes")}
      </button>
    </Dialog>
  );
}

function NewAppointment({ face, patient, onDone }: { face: TherapistFace; patient: string | null; onDone: () => void }) {
  const [chosen, setChosen] = useState<string | null>(patient);
  const [kind, setKind] = useState<(typeof KINDS)[number]>("live_session");
  const [day, setDay] = useState(isoDay(new Date(Date.now() + DAY_MS)));
  const [time, setTime] = useState("10:00");
  const [minutes, setMinutes] = useState("30");
  const [id, setId] = useState(newId);
  const [isMissing, setIsMissing] = useState(false);
  const saving = useSaving();
  const add = async () => {
    setIsMissing(chosen === null);
    if (chosen === null) return;
    const starts = new Date(`${day}T${time}`);
    const ends = new Date(starts.getTime() + Number(minutes) * 60_000);
    const body = { id, kind, title: appointmentKindText(kind), patient_id: chosen, starts_at: starts.toISOString(), ends_at: ends.toISOString() };
    if (!(await saving.run(() => care.addAppointment(body)))) return;
    setId(newId());
    onDone();
  };
  const person = face.patients.value?.find((one) => one.id === chosen) ?? null;
  return (
    <Form onSubmit={() => void add()} class="line" label={t("appointment.add")}>
      {patient === null && <PersonChoice label={t("appointment.with")} name="appointment-patient" people={face.patients.value ?? []} chosen={chosen} onChoose={setChosen} />}
      {isMissing && chosen === null && (
        <p class="problem" role="alert">
          {t("therapist.lobby.choose_one")}
        </p>
      )}
      <Choice label={t("appointment.kind")} value={kind} options={KINDS.map((each) => [each, appointmentKindText(each)] as const)} onChange={setKind} />
      <Field type="date" label={t("table.day")} value={day} onChange={setDay} />
      <Field type="time" label={t("appointment.time")} value={time} onChange={setTime} />
      <Field class="narrow" type="number" min={5} max={240} label={t("appointment.minutes")} value={minutes} onChange={setMinutes} />
      <button class="button" data-action="appointment-add" aria-disabled={saving.isWorking}>
        {t("appointment.add")}
      </button>
      <SaveState saving={saving} done={person ? t("appointment.made", { name: personText(person) }) : t("form.saved")} />
    </Form>
  );
}
