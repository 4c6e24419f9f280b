import { useState } from "preact/hooks";
import { t } from "../../shared/i18n";
import { care } from "../api";
import { useSaving } from "../load";
import { Check, Field, Form, TextArea } from "../parts/fields";
import { SaveState } from "../parts/panel";
import type { BreakGlass } from "../types";

/** Look at somebody else's patient in an emergency: with a reason, for an hour, told and reviewed. */
export function BreakGlassForm({ patient, onOpened }: { patient: string | null; onOpened: (opened: BreakGlass) => void }) {
  const [cpr, setCpr] = useState("");
  const [reason, setReason] = useState("");
  const [code, setCode] = useState("");
  const [isSure, setIsSure] = useState(false);
  const saving = useSaving();
  const open = async () => {
    if (!isSure) return;
    const who = patient === null ? { cpr: cpr.replace(/\D/g, "") } : { patient_id: patient };
    const proof = code.trim() === "" ? {} : { code: code.replace(/\s/g, "") };
    await saving.run(async () => onOpened(await care.breakGlass({ ...who, ...proof, reason: reason.trim() })));
  };
  return (
    <section class="panel break-glass" aria-labelledby="break-glass">
      <h2 id="break-glass">{t("find.emergency")}</h2>
      <p class="warning">{t("find.warning")}</p>
      <Form onSubmit={() => void open()}>
        {patient === null && <Field label={t("find.cpr")} value={cpr} onChange={setCpr} name="cpr" maxLength={11} hint={t("find.cpr.hint")} />}
        <TextArea label={t("find.reason")} value={reason} onChange={setReason} name="reason" minLength={10} maxLength={1000} />
        <Field class="narrow" label={t("find.code")} required={false} value={code} onChange={setCode} name="code" maxLength={7} autocomplete="one-time-code" />
        <Check label={t("find.sure")} isOn={isSure} onChange={setIsSure} name="sure" />
        <SaveState saving={saving} notFound={t("find.none")} />
        <button class="button danger" data-action="break-glass" aria-disabled={!isSure || saving.isWorking}>
          {t("find.open")}
        </button>
      </Form>
    </section>
  );
}
