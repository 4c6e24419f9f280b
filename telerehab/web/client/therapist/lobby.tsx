import { useState } from "preact/hooks";
import { api } from "../shared/api";
import { EXERCISE_CODES, exerciseText } from "../shared/codes";
import { language, setLanguage, t } from "../shared/i18n";
import type { TherapistFace } from "./face";
import { matches, personText } from "./format";
import { Field } from "./parts/fields";
import { PersonName } from "./parts/person";
import { problemSentence } from "./problem";
import { SessionList } from "./sessions";
import type { Person } from "./types";

/** So many patients are offered at once; more are found by searching. */
const OFFERED_MAX = 20;

/** The therapist's live sessions, and a new one from the therapist's own patients. */
export function Lobby({ face }: { face: TherapistFace }) {
  const sessions = face.sessions.value;
  return (
    <main class="lobby">
      <h1>{t("therapist.lobby.title")}</h1>
      {sessions === null ? (
        face.problem.value === null && <p role="status">{t("app.loading")}</p>
      ) : sessions.length === 0 ? (
        <p class="empty">{t("therapist.lobby.empty")}</p>
      ) : (
        <SessionList sessions={sessions} heading="h2" />
      )}
      <NewLiveSession face={face} />
    </main>
  );
}

export function LanguageButton() {
  const other = language.value === "da" ? "en" : "da";
  return (
    <button class="button" data-action="language" lang={other} onClick={() => setLanguage(other, true)}>
      {t("language.other")}
    </button>
  );
}

function NewLiveSession({ face }: { face: TherapistFace }) {
  const patients = face.patients.value;
  const time = new Date().toLocaleTimeString(language.value === "da" ? "da-DK" : "en-GB", { hour: "2-digit", minute: "2-digit" });
  const [title, setTitle] = useState<string | null>(null);
  const [chosen, setChosen] = useState<string[]>([]);
  const [exercise, setExercise] = useState("knee_extension_seated");
  const [side, setSide] = useState("right");
  const [nobody, setNobody] = useState(false);
  const [isWorking, setIsWorking] = useState(false);
  const [typed, setTyped] = useState("");
  const found = (patients ?? []).filter((patient) => chosen.includes(patient.id) || matches(patient, typed));
  const shown = found.filter((patient, index) => index < OFFERED_MAX || chosen.includes(patient.id));
  const shownTitle = title ?? t("therapist.lobby.name.default", { time });
  const create = async (event: Event) => {
    event.preventDefault();
    setNobody(chosen.length === 0);
    if (chosen.length === 0 || isWorking) return;
    setIsWorking(true);
    await face.create(shownTitle, chosen, { exercise, side });
    setIsWorking(false);
  };
  return (
    <form class="card new" onSubmit={(event) => void create(event)}>
      <h2>{t("therapist.lobby.new")}</h2>
      <label class="field">
        <span>{t("therapist.lobby.name")}</span>
        <input value={shownTitle} maxLength={80} required onInput={(event) => setTitle(event.currentTarget.value)} />
      </label>
      <fieldset>
        <legend>{t("therapist.lobby.patients")}</legend>
        {patients?.length === 0 && <p class="empty">{t("therapist.lobby.no_patients")}</p>}
        {(patients?.length ?? 0) > OFFERED_MAX && (
          <Field label={t("person.search")} type="search" required={false} value={typed} onChange={setTyped} hint={t("person.search.hint")} />
        )}
        <ul class="choose">
          {shown.map((patient) => (
            <li key={patient.id}>
              <label>
                <input
                  type="checkbox"
                  checked={chosen.includes(patient.id)}
                  onChange={(event) =>
                    setChosen(event.currentTarget.checked ? [...chosen, patient.id] : chosen.filter((id) => id !== patient.id))
                  }
                />
                <PersonName person={patient} />
              </label>
              <PairingCode patient={patient} />
            </li>
          ))}
        </ul>
        {shown.length < found.length && <p class="soft">{t("person.search.more", { count: found.length - shown.length })}</p>}
      </fieldset>
      <div class="row">
        <ExerciseFields exercise={exercise} side={side} label={t("therapist.lobby.exercise")} onExercise={setExercise} onSide={setSide} />
      </div>
      {nobody && chosen.length === 0 && (
        <p class="problem" role="alert">
          {t("therapist.lobby.choose_one")}
        </p>
      )}
      <button class="button primary" data-action="create" aria-disabled={isWorking}>
        {t("therapist.lobby.create")}
      </button>
    </form>
  );
}

export function ExerciseFields(props: {
  exercise: string;
  side: string;
  label: string;
  onExercise: (exercise: string) => void;
  onSide: (side: string) => void;
}) {
  return (
    <>
      <label class="field">
        <span>{props.label}</span>
        <select value={props.exercise} onChange={(event) => props.onExercise(event.currentTarget.value)}>
          {EXERCISE_CODES.map((exercise) => (
            <option key={exercise} value={exercise}>
              {exerciseText({ exercise, side: "" })}
            </option>
          ))}
        </select>
      </label>
      <label class="field">
        <span>{t("therapist.lobby.side")}</span>
        <select value={props.side} onChange={(event) => props.onSide(event.currentTarget.value)}>
          <option value="right">{t("side.right")}</option>
          <option value="left">{t("side.left")}</option>
        </select>
      </label>
    </>
  );
}

/** Six digits to read out on the telephone. */
export function PairingCode({ patient }: { patient: Person }) {
  const [text, setText] = useState<string | null>(null);
  const name = personText(patient);
  const make = async () => {
    try {
      const { code } = await api.makePairingCode(patient.id);
      setText(t("therapist.lobby.pair.code", { name, code: `${code.slice(0, 3)} ${code.slice(3)}` }));
    } catch (error) {
      setText(problemSentence(error));
    }
  };
  return text === null ? (
    <button type="button" class="button small" data-action="pairing-code" aria-label={t("therapist.lobby.pair.label", { name })} onClick={() => void make()}>
      {t("therapist.lobby.pair")}
    </button>
  ) : (
    <strong class="code" role="status">
      {text}
    </strong>
  );
}
