import { useEffect, useState } from "preact/hooks";
import { api } from "../../shared/api";
import { t } from "../../shared/i18n";
import { care } from "../api";
import { timeOf } from "../format";
import { useSaving } from "../load";
import { Dialog } from "../parts/dialog";
import { Form, Radios, TextArea } from "../parts/fields";
import { SaveState } from "../parts/panel";
import { PersonName } from "../parts/person";
import { problemSentence } from "../problem";
import type { HelpCall, HelpOutcome } from "../types";
import { outcomeText } from "../words";

const OUTCOMES: readonly HelpOutcome[] = ["helped", "called_back", "not_reached", "emergency", "mistake"];

/** Take a call: from now on it is mine, and I reach the patient by picture or by telephone. */
export function AnswerDialog(props: { call: HelpCall; isInRoom: boolean; onClose: () => void; onCloseCall: () => void }) {
  const { call } = props;
  const taking = useSaving();
  const opening = useSaving();
  useEffect(() => void taking.run(() => care.answerHelpCall(call.id)), [call.id]);
  const openRoom = async () => {
    let room = call.live_session_id;
    const isOpened = await opening.run(async () => {
      room ??= (await api.createLiveSession(t("help_call.room", { time: timeOf(new Date()) }), [call.patient_id])).id;
    });
    if (!isOpened || room === null) return;
    location.hash = `#/live/${room}`;
    props.onClose();
  };
  return (
    <Dialog title={t("help_call.answer.title")} onClose={props.onClose}>
      <p>
        <PersonName person={{ ...call, id: call.patient_id }} />
      </p>
      <p role="status">{taking.isWorking ? t("app.loading") : taking.isDone ? t("help_call.yours") : ""}</p>
      {taking.error !== null && (
        <p class="problem" role="alert">
          {problemSentence(taking.error)}
        </p>
      )}
      <p class="telephone">
        {call.patient_telephone ? (
          <a href={`tel:${call.patient_telephone.replace(/[^+\d]/g, "")}`}>{t("record.telephone", { number: call.patient_telephone })}</a>
        ) : (
          t("record.telephone.none")
        )}
      </p>
      <SaveState saving={opening} />
      <div class="row">
        <button class="button primary" data-action="help-room" aria-disabled={opening.isWorking} onClick={() => void openRoom()}>
          {t("help_call.open_room")}
        </button>
        <a class="button" data-action="help-record" href={`#/patients/${call.patient_id}`} target={props.isInRoom ? "_blank" : undefined} rel="noopener" onClick={props.onClose}>
          {t("caseload.open")}
        </a>
        <button class="button" data-action="help-to-close" onClick={props.onCloseCall}>
          {t("help_call.close")}
        </button>
      </div>
      {props.isInRoom && <p>{t("help_call.leaves_room")}</p>}
      <p class="soft">{t("help_call.112")}</p>
    </Dialog>
  );
}

/** End a call, with what came of it. */
export function CloseDialog({ call, onClose }: { call: HelpCall; onClose: () => void }) {
  const [outcome, setOutcome] = useState<HelpOutcome | null>(null);
  const [note, setNote] = useState("");
  const saving = useSaving();
  const save = async () => {
    if (outcome === null) return;
    if (await saving.run(() => care.closeHelpCall(call.id, outcome, note.trim() || null))) onClose();
  };
  return (
    <Dialog title={t("help_call.close.title")} onClose={onClose}>
      <p>
        <PersonName person={{ ...call, id: call.patient_id }} />
      </p>
      <Form onSubmit={() => void save()}>
        <Radios label={t("help_call.outcome")} name="outcome" value={outcome} options={OUTCOMES.map((code) => [code, outcomeText(code)] as const)} onChange={setOutcome} />
        <TextArea label={t("form.note")} required={false} value={note} onChange={setNote} name="note" />
        <SaveState saving={saving} />
        <button class="button primary" data-action="close-help-save" aria-disabled={saving.isWorking}>
          {t("help_call.close.save")}
        </button>
      </Form>
    </Dialog>
  );
}
