import { useState } from "preact/hooks";
import { t } from "../shared/i18n";
import { Voice } from "../shared/parts";
import type { PatientFace } from "./face";

/** Real-time text: the therapist sees each letter as it is written. */
export function WritingScreen({ face }: { face: PatientFace }) {
  const room = face.room.value;
  const [draft, setDraft] = useState(room?.draft ?? "");
  if (!room) return null;
  const name = face.name();
  const own = room.state.value?.you;
  const therapist = face.therapist.value;
  const finish = async () => {
    if (draft !== "" && !(await room.closeLine())) return;
    setDraft("");
    face.asking.value = null;
  };
  return (
    <main class="writing">
      {therapist && <Voice stream={room.streamOf(therapist.id, "audio")} onBlocked={(start) => (face.soundBlocked.value = start)} />}
      <h1>{t("patient.write.title", { name })}</h1>
      <ol class="lines">
        {room.texts.value.slice(-3).map((line) => (
          <li class={line.participant === own ? "own" : "other"}>
            <strong>{line.participant === own ? t("patient.write.you") : name}:</strong> {line.text}
          </li>
        ))}
      </ol>
      <label class="field">
        <span>{t("patient.write.field", { name })}</span>
        <textarea
          rows={2}
          maxLength={500}
          value={draft}
          onInput={(event) => {
            setDraft(event.currentTarget.value.replace(/\n/g, " "));
            room.type(event.currentTarget.value.replace(/\n/g, " "));
          }}
        />
      </label>
      <div class="choices">
        <button class="button primary" data-action="write-done" onClick={() => void finish()}>
          {t("patient.write.done")}
        </button>
      </div>
    </main>
  );
}
