import { useState } from "preact/hooks";
import { newId } from "../../../shared/api";
import { t } from "../../../shared/i18n";
import { care } from "../../api";
import { useSaving } from "../../load";
import { Choice, Field, Form, Radios, TextArea } from "../../parts/fields";
import { SaveState } from "../../parts/panel";
import type { SetResult } from "../../types";
import { correctionKindText } from "../../words";
import { countText, setName } from "./results";

type Kind = "repetition_count" | "not_valid" | "note";
const KINDS: readonly Kind[] = ["repetition_count", "not_valid", "note"];

/** Say what a set really was; what was measured stays beside it. */
export function CorrectionForm(props: { trainingSession: string; sets: readonly SetResult[]; onDone: () => void }) {
  const ids = props.sets.map((set, index) => [set.id ?? "", setName(set, index)] as const).filter(([id]) => id !== "");
  const [id] = useState(newId);
  const [set, setSet] = useState(ids[0]?.[0] ?? "");
  const [kind, setKind] = useState<Kind | null>(null);
  const [count, setCount] = useState("");
  const [note, setNote] = useState("");
  const saving = useSaving();
  const chosen = props.sets.find((each) => each.id === set);
  const save = async () => {
    if (kind === null) return;
    const corrected = { repetitions: kind === "repetition_count" ? Number(count) : null };
    const body = { id, training_set_id: set === "" ? null : set, kind, corrected, note: note.trim() || null };
    if (await saving.run(() => care.correct(props.trainingSession, body))) props.onDone();
  };
  return (
    <Form onSubmit={() => void save()} label={t("correction.begin")}>
      {ids.length > 0 && <Choice label={t("training.set.title")} value={set} options={ids} onChange={setSet} />}
      {chosen && <p class="soft">{t("correction.original", { counted: countText(chosen.original_count, chosen.target_repetitions) })}</p>}
      <Radios label={t("correction.kind")} name="correction-kind" value={kind} options={KINDS.map((each) => [each, correctionKindText(each)] as const)} onChange={setKind} />
      {kind === "repetition_count" && <Field class="narrow" type="number" min={0} max={1000} label={t("correction.count")} value={count} onChange={setCount} />}
      <TextArea label={t("form.note")} required={kind === "note"} value={note} onChange={setNote} name="note" />
      <SaveState saving={saving} />
      <div class="row">
        <button class="button primary" data-action="correction-save" aria-disabled={saving.isWorking}>
          {t("form.save")}
        </button>
        <button type="button" class="button" onClick={props.onDone}>
          {t("form.cancel")}
        </button>
      </div>
    </Form>
  );
}
