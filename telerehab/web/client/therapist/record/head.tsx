import { useEffect, useState } from "preact/hooks";
import { t } from "../../shared/i18n";
import { care } from "../api";
import { birthText, nameOf } from "../format";
import { useSaving } from "../load";
import { Dialog } from "../parts/dialog";
import { Form, TextArea } from "../parts/fields";
import { SaveState } from "../parts/panel";
import type { BreakGlass } from "../types";
import type { RecordProps } from "./view";

type Secret = "cpr" | "protected_address";

/** Who this is. CPR and protected address are shown only when somebody says why. */
export function Head({ head, patient, mayWrite, emergency }: RecordProps & { emergency: BreakGlass | null }) {
  const [asked, setAsked] = useState<Secret | null>(null);
  const [shown, setShown] = useState<Partial<Record<Secret, string>>>({});
  return (
    <header class="record-head">
      <h1>{nameOf(head)}</h1>
      <p class="record-facts">
        <span>{birthText(head)}</span>
        <span>{t(head.language === "en" ? "record.language.en" : "record.language.da")}</span>
        <span>{head.telephone ? <a href={`tel:${head.telephone.replace(/[^+\d]/g, "")}`}>{t("record.telephone", { number: head.telephone })}</a> : t("record.telephone.none")}</span>
        {mayWrite && (
          <>
            {head.has_cpr && <SecretFact label={t("record.cpr")} value={shown.cpr} action="reveal-cpr" onAsk={() => setAsked("cpr")} />}
            {head.has_address_mark && <SecretFact label={t("record.protected_address")} value={shown.protected_address} action="reveal-address" onAsk={() => setAsked("protected_address")} />}
          </>
        )}
      </p>
      {emergency && <EmergencyNote emergency={emergency} />}
      {asked && (
        <RevealDialog
          patient={patient}
          what={asked}
          onClose={() => setAsked(null)}
          onShown={(value) => {
            setShown({ ...shown, [asked]: value });
            setAsked(null);
          }}
        />
      )}
    </header>
  );
}

function SecretFact({ label, value, action, onAsk }: { label: string; value: string | undefined; action: string; onAsk: () => void }) {
  return (
    <span>
      {label}:{" "}
      {value === undefined ? (
        <button class="button small" data-action={action} aria-label={t("record.reveal.label", { what: label })} onClick={onAsk}>
          {t("record.reveal")}
        </button>
      ) : (
        <strong role="status">{value}</strong>
      )}
    </span>
  );
}

function RevealDialog(props: { patient: string; what: Secret; onClose: () => void; onShown: (value: string) => void }) {
  const [reason, setReason] = useState("");
  const saving = useSaving();
  const reveal = () =>
    saving.run(async () => {
      const { value } = await care.reveal(props.patient, props.what, reason.trim());
      props.onShown(secretText(props.what, value));
    });
  return (
    <Dialog title={t("record.reveal.title")} onClose={props.onClose}>
      <p>{t("record.reveal.text")}</p>
      <Form onSubmit={() => void reveal()}>
        <TextArea label={t("form.reason")} value={reason} onChange={setReason} name="reason" minLength={3} maxLength={500} />
        <SaveState saving={saving} />
        <button class="button primary" data-action="reveal" aria-disabled={saving.isWorking}>
          {t("record.reveal")}
        </button>
      </Form>
    </Dialog>
  );
}

function secretText(what: Secret, value: string | boolean | null): string {
  if (value === null || value === "") return t("value.unknown");
  if (what === "cpr") return String(value).replace(/^(\d{6})(\d{4})$/, "$1-$2");
  return t(value === true || value === "1" || value === "true" ? "record.protected.yes" : "record.protected.no");
}

/** How long the emergency look still lasts, counted down by the minute. */
export function EmergencyNote({ emergency }: { emergency: BreakGlass }) {
  const [minutes, setMinutes] = useState(minutesLeft(emergency.ends_at));
  useEffect(() => {
    const timer = setInterval(() => setMinutes(minutesLeft(emergency.ends_at)), 5000);
    return () => clearInterval(timer);
  }, [emergency.ends_at]);
  return (
    <p class="emergency" role="status">
      {minutes > 0 ? t("find.running", { minutes }) : t("find.over")}
    </p>
  );
}

export function minutesLeft(endsAt: string, now: Date = new Date()): number {
  return Math.max(0, Math.ceil((new Date(endsAt).getTime() - now.getTime()) / 60_000));
}
