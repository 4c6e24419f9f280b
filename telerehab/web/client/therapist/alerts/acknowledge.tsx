import { useState } from "preact/hooks";
import { t } from "../../shared/i18n";
import { care } from "../api";
import { useSaving } from "../load";
import { Dialog } from "../parts/dialog";
import { Form, Radios, TextArea } from "../parts/fields";
import { SaveState } from "../parts/panel";
import { PersonName } from "../parts/person";
import type { Alert, AlertAction } from "../types";
import { alertActionText, causeNumber, causeText } from "../words";

const ACTIONS: readonly AlertAction[] = ["may_continue", "ended", "called", "seen"];

/** Say what follows from an alert; `may_continue` alone lets training go on after a stop. */
export function AcknowledgeDialog({ alert, onClose }: { alert: Alert; onClose: () => void }) {
  const [action, setAction] = useState<AlertAction | null>(null);
  const [note, setNote] = useState("");
  const saving = useSaving();
  const save = async () => {
    if (action === null) return;
    if (await saving.run(() => care.acknowledge(alert.id, action, note.trim() || null))) onClose();
  };
  return (
    <Dialog title={t("alert.acknowledge.title")} onClose={onClose}>
      <p>
        <PersonName person={{ ...alert, id: alert.patient_id }} />
      </p>
      <p>{[causeText(alert.cause), causeNumber(alert.cause, alert.value, alert.limit)].filter((part) => part !== null).join(" · ")}</p>
      <Form onSubmit={() => void save()}>
        <Radios label={t("alert.action")} name="alert-action" value={action} options={ACTIONS.map((code) => [code, alertActionText(code)] as const)} onChange={setAction} />
        {alert.is_stop && action !== null && action !== "may_continue" && <p class="soft">{t("alert.still_stopped")}</p>}
        <TextArea label={t("form.note")} required={false} value={note} onChange={setNote} name="note" />
        <SaveState saving={saving} />
        <button class="button primary" data-action="acknowledge-save" aria-disabled={saving.isWorking}>
          {t("alert.acknowledge.save")}
        </button>
      </Form>
    </Dialog>
  );
}
