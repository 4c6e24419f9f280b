import { useState } from "preact/hooks";
import { t } from "../../../shared/i18n";
import { care } from "../../api";
import { momentText, personText } from "../../format";
import { useSaving } from "../../load";
import { Dialog } from "../../parts/dialog";
import { Check, Form, TextArea } from "../../parts/fields";
import { SaveState } from "../../parts/panel";
import { PersonChoice, PersonName } from "../../parts/person";
import type { TrainingSession } from "../../types";
import type { RecordProps } from "../view";

/** Take a training session away from the wrong patient, and give it to the right one where that is known. */
export function RetractDialog({ face, patient, head, training, onClose, onDone }: RecordProps & { training: TrainingSession; onClose: () => void; onDone: () => void }) {
  const [right, setRight] = useState<string | null>(null);
  const [isUnknown, setIsUnknown] = useState(false);
  const [reason, setReason] = useState("");
  const [isAsked, setIsAsked] = useState(false);
  const saving = useSaving();
  const others = (face.patients.value ?? []).filter((each) => each.id !== patient);
  const target = others.find((each) => each.id === right) ?? null;
  const isReady = (isUnknown || target !== null) && reason.trim() !== "";
  const retract = async () => {
    const body = { what: "training_session", row_id: training.id, right_patient_id: isUnknown ? null : right, reason: reason.trim() };
    if (!(await saving.run(() => care.retract(body)))) return;
    onDone();
    onClose();
  };
  return (
    <Dialog title={t("retract.title")} onClose={onClose} class="wide">
      <p>{t("retract.what", { day: momentText(training.opened_at) })}</p>
      <p>
        {t("retract.from")} <PersonName person={head} />
      </p>
      {!isAsked ? (
        <Form onSubmit={() => isReady && setIsAsked(true)}>
          <Check
            label={t("retract.unknown")}
            isOn={isUnknown}
            onChange={(isOn) => {
              setIsUnknown(isOn);
              if (isOn) setRight(null);
            }}
          />
          {!isUnknown && <PersonChoice label={t("retract.right")} name="right-patient" people={others} chosen={right} onChoose={setRight} />}
          <TextArea label={t("form.reason")} value={reason} onChange={setReason} name="reason" />
          {!isReady && <p class="soft">{t("retract.missing")}</p>}
          <button class="button primary" data-action="retract-next" aria-disabled={!isReady}>
            {t("retract.next")}
          </button>
        </Form>
      ) : (
        <>
          <p class="warning" role="alert">
            {target ? t("retract.confirm", { from: personText(head), to: personText(target) }) : t("retract.confirm.unknown", { from: personText(head) })}
          </p>
          <SaveState saving={saving} />
          <div class="row">
            <button class="button danger" data-action="retract-yes" aria-disabled={saving.isWorking} onClick={() => void retract()}>
              {t("retract.yes")}
            </button>
            <button class="button" data-action="retract-back" onClick={() => setIsAsked(false)}>
              {t("form.back")}
            </button>
          </div>
        </>
      )}
    </Dialog>
  );
}
