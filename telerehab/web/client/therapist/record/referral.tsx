import { useState } from "preact/hooks";
import { newId } from "../../shared/api";
import { t, type TextKey } from "../../shared/i18n";
import { care } from "../api";
import { longDay } from "../format";
import { useLoad, useSaving } from "../load";
import { Choice, Field, Form, TextArea } from "../parts/fields";
import { Panel, SaveState } from "../parts/panel";
import type { Clock, Referral } from "../types";
import { clockText, referralKindText, STOP_REASONS, stopReasonText } from "../words";
import type { RecordProps } from "./view";

const KINDS = ["general", "general_advanced", "specialised", "rehabilitation"] as const;
const DATES = ["discharged_on", "received_on", "informed_on", "first_offered_on", "started_on", "stopped_on"] as const;
const DATE_NAMES: Record<(typeof DATES)[number], TextKey> = {
  discharged_on: "referral.discharged_on",
  received_on: "referral.received_on",
  informed_on: "referral.informed_on",
  first_offered_on: "referral.first_offered_on",
  started_on: "referral.started_on",
  stopped_on: "referral.stopped_on",
};
const dateName = (date: (typeof DATES)[number]) => t(DATE_NAMES[date] as "referral.started_on");

type Fields = Pick<Referral, "kind" | "stop_reason" | "note" | (typeof DATES)[number]>;

const EMPTY: Fields = { kind: "general", discharged_on: null, received_on: null, informed_on: null, first_offered_on: null, started_on: null, stopped_on: null, stop_reason: null, note: null };

/** Referrals with the clock of seven days. */
export function ReferralsPanel({ patient }: RecordProps) {
  const loaded = useLoad(() => care.referrals(patient), [patient]);
  const [edited, setEdited] = useState<Referral | "new" | null>(null);
  const done = () => {
    setEdited(null);
    void loaded.reload();
  };
  const add = edited === null && (
    <button class="button small" data-action="referral-add" onClick={() => setEdited("new")}>
      {t("referral.add")}
    </button>
  );
  return (
    <Panel title={t("referral.title")} loaded={loaded} isEmpty={(referrals) => referrals.length === 0 && edited === null} empty={t("referral.none")} action={add}>
      {(referrals) => (
        <>
          {edited === "new" && <ReferralForm patient={patient} referral={null} onDone={done} />}
          {referrals.map((referral) =>
            edited !== "new" && edited?.id === referral.id ? (
              <ReferralForm key={referral.id} patient={patient} referral={referral} onDone={done} />
            ) : (
              <article key={referral.id} class="referral">
                <h3>{referralKindText(referral.kind)}</h3>
                <Clocks referral={referral} />
                <dl class="facts">
                  {DATES.filter((date) => referral[date] !== null).map((date) => (
                    <div key={date}>
                      <dt>{dateName(date)}</dt>
                      <dd>{longDay(referral[date] ?? "")}</dd>
                    </div>
                  ))}
                  {referral.stop_reason && (
                    <div>
                      <dt>{t("referral.stop_reason")}</dt>
                      <dd>{stopReasonText(referral.stop_reason)}</dd>
                    </div>
                  )}
                </dl>
                {referral.note && <p>{referral.note}</p>}
                <button class="button small" data-action="referral-edit" onClick={() => setEdited(referral)}>
                  {t("referral.edit")}
                </button>
              </article>
            ),
          )}
        </>
      )}
    </Panel>
  );
}

function Clocks({ referral }: { referral: Referral }) {
  const { start, inform, has_free_choice: hasFreeChoice } = referral.clock;
  return (
    <ul class="clocks">
      <ClockLine name={t("clock.start")} clock={start} />
      <ClockLine name={t("clock.inform")} clock={inform} />
      {hasFreeChoice && <li class="clock late">{t("clock.free_choice")}</li>}
    </ul>
  );
}

function ClockLine({ name, clock }: { name: string; clock: Clock }) {
  return (
    <li class={`clock ${clock.state}`} data-clock={clock.state}>
      <svg class="shape" viewBox="0 0 20 20" aria-hidden="true" focusable="false">
        {clock.state === "late" ? <path d="M10 1 19.500 18.500H.5Z" /> : <circle cx="10" cy="10" r="7" class={clock.state === "in_time" ? "" : "hollow"} />}
      </svg>{" "}
      {name}: <strong>{clockText(clock.state)}</strong>
      {clock.last_day && ` · ${t("clock.last_day", { day: longDay(clock.last_day) })}`}
      {clock.days_left !== null && ` · ${t("clock.days_left", { count: clock.days_left })}`}
      {clock.days_late !== null && ` · ${t("clock.days_late", { count: clock.days_late })}`}
    </li>
  );
}

function ReferralForm({ patient, referral, onDone }: { patient: string; referral: Referral | null; onDone: () => void }) {
  const [fields, setFields] = useState<Fields>(referral ? pick(referral) : EMPTY);
  const [id] = useState(newId);
  const saving = useSaving();
  const save = async () => {
    const body = { ...fields, stop_reason: fields.stopped_on === null ? null : fields.stop_reason };
    const isSaved = await saving.run(() => (referral ? care.putReferral(referral.id, { ...body, version: referral.version }) : care.addReferral(patient, { id, ...body })));
    if (isSaved) onDone();
  };
  const reasons = Object.keys(STOP_REASONS);
  return (
    <Form onSubmit={() => void save()} label={t("referral.edit")}>
      <div class="row">
        <Choice label={t("referral.kind")} value={fields.kind} options={KINDS.map((kind) => [kind as string, referralKindText(kind)] as const)} onChange={(kind) => setFields({ ...fields, kind })} />
        {DATES.map((date) => (
          <Field key={date} type="date" name={date} required={false} label={dateName(date)} value={fields[date] ?? ""} onChange={(text) => setFields({ ...fields, [date]: text === "" ? null : text })} />
        ))}
        {fields.stopped_on !== null && (
          <Choice
            label={t("referral.stop_reason")}
            value={fields.stop_reason ?? ""}
            options={[["", t("form.choose")] as const, ...reasons.map((reason) => [reason, stopReasonText(reason)] as const)]}
            onChange={(reason) => setFields({ ...fields, stop_reason: reason === "" ? null : reason })}
          />
        )}
      </div>
      <TextArea label={t("form.note")} required={false} value={fields.note ?? ""} onChange={(note) => setFields({ ...fields, note: note === "" ? null : note })} />
      <SaveState saving={saving} />
      <div class="row">
        <button class="button primary" data-action="referral-save" aria-disabled={saving.isWorking}>
          {t("form.save")}
        </button>
        <button type="button" class="button" onClick={onDone}>
          {t("form.cancel")}
        </button>
      </div>
    </Form>
  );
}

function pick(referral: Referral): Fields {
  const { kind, discharged_on, received_on, informed_on, first_offered_on, started_on, stopped_on, stop_reason, note } = referral;
  return { kind, discharged_on, received_on, informed_on, first_offered_on, started_on, stopped_on, stop_reason, note };
}
