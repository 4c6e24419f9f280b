import { useState } from "preact/hooks";
import { api, type Patient } from "../shared/api";
import { EXERCISE_CODES, exerciseText } from "../shared/codes";
import { keyOr, language, setLanguage, t } from "../shared/i18n";
import type { TherapistFace } from "./face";
import { problemText } from "./face";

/** The therapist's live sessions, and a new one from the therapist's own patients. */
export function Lobby({ face }: { face: TherapistFace }) {
  const sessions = face.sessions.value;
  return (
    <div class="lobby-page">
      <header class="bar">
        <p class="brand">{t("app.name")}</p>
        <p class="who">{face.me.value?.display_name ?? ""}</p>
        <LanguageButton />
        <button class="button" data-action="log-out" onClick={() => void face.logOut()}>
          {t("therapist.log_out")}
        </button>
      </header>
      <main class="lobby">
        <h1>{t("therapist.lobby.title")}</h1>
        {face.problem.value && (
          <p class="problem" role="alert">
            {t(face.problem.value as "error.unknown")}
          </p>
        )}
        {sessions === null ? (
          <p role="status">{t("app.loading")}</p>
        ) : sessions.length === 0 ? (
          <p class="empty">{t("therapist.lobby.empty")}</p>
        ) : (
          <ul class="sessions">
            {sessions.map((session) => (
              <li key={session.id}>
                <div>
                  <h2>{session.title}</h2>
                  <p>{t(keyOr(`state.${session.state}`, "state.open") as "state.open")}</p>
                </div>
                <a class="button primary" data-action="open" href={`#/live/${session.id}`} aria-label={t("therapist.lobby.open.label", { title: session.title })}>
                  {t("therapist.lobby.open")}
                </a>
              </li>
            ))}
          </ul>
        )}
        <NewLiveSession face={face} />
      </main>
      <footer class="foot">{t("app.not_an_alarm")}</footer>
    </div>
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
        <ul class="choose">
          {(patients ?? []).map((patient) => (
            <li key={patient.id}>
              <label>
                <input
                  type="checkbox"
                  checked={chosen.includes(patient.id)}
                  onChange={(event) =>
                    setChosen(event.currentTarget.checked ? [...chosen, patient.id] : chosen.filter((id) => id !== patient.id))
                  }
                />
                <span>{patient.display_name}</span>
              </label>
              <PairingCode patient={patient} />
            </li>
          ))}
        </ul>
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
function PairingCode({ patient }: { patient: Patient }) {
  const [text, setText] = useState<string | null>(null);
  const name = patient.display_name ?? "–";
  const make = async () => {
    try {
      const { code } = await api.makePairingCode(patient.id);
      setText(t("therapist.lobby.pair.code", { name, code: `${code.slice(0, 3)} ${code.slice(3)}` }));
    } catch (error) {
      setText(t(problemText(error) as "error.unknown"));
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
