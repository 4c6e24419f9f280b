import { useState } from "preact/hooks";
import { exerciseText, phaseText, reasonText, trustLevel } from "../shared/codes";
import { number, t } from "../shared/i18n";
import { isPresent, isWaiting, type Participant } from "../shared/messages";
import { TrustShape } from "../shared/parts";
import { freshnessOf } from "../shared/room";
import { targetOf, type Visit } from "./face";
import { ExerciseFields } from "./lobby";
import { AnglePlot } from "./plot";
import { TilePicture } from "./tile";

/** Of the samples that should have come; with fewer the figures are marked. */
const MARKED_BELOW_PERCENT = 90;

/** One patient large: picture, numbers with what they are worth, the angle against the target zone. Nobody: the tiles have the room. */
export function Focus({ visit }: { visit: Visit }) {
  const patient = visit.focused.value;
  if (!patient) return null;
  return (
    <section class="focus" aria-label={t("room.focus")}>
      <FocusedPatient key={patient.id} visit={visit} patient={patient} />
    </section>
  );
}

function FocusedPatient({ visit, patient }: { visit: Visit; patient: Participant }) {
  const [isChoosing, setIsChoosing] = useState(false);
  const training = patient.training_session;
  const name = patient.display_name;
  const talksOnly = visit.talkTo.value === patient.id;
  return (
    <>
      <div class="focus-head">
        <div class="focus-name">
          <h2>{name}</h2>
          <p>{training ? exerciseText(training) : t("room.exercise.none")}</p>
        </div>
        {isWaiting(patient) && (
          <button class="button primary" data-action="admit" onClick={() => void visit.ask(() => visit.room.admit(patient.id))}>
            {t("room.admit")}
          </button>
        )}
        {isPresent(patient) && (
          <button
            class="button"
            data-action="talk-to"
            aria-pressed={talksOnly}
            onClick={() => void visit.ask(() => visit.room.talkTo(talksOnly ? null : patient.id))}
          >
            {talksOnly ? t("room.talk_all") : t("room.talk_only", { name: firstName(name) })}
          </button>
        )}
        <button class="button" data-action="next-exercise" aria-expanded={isChoosing} onClick={() => setIsChoosing(!isChoosing)}>
          {t("room.exercise.next")}
        </button>
      </div>
      <div class="focus-body">
        <div class="focus-picture">
          <TilePicture room={visit.room} patient={patient} slot={`focus`} showsVideo />
        </div>
        <Numbers visit={visit} patient={patient} />
      </div>
      {isChoosing ? (
        <ExerciseForm visit={visit} patient={patient} onDone={() => setIsChoosing(false)} />
      ) : (
        <AnglePlot
          value={() => visit.room.valueOf(training?.id)}
          low={training?.target_low_deg ?? null}
          high={training?.target_high_deg ?? null}
        />
      )}
    </>
  );
}

function Numbers({ visit, patient }: { visit: Visit; patient: Participant }) {
  const nowMs = visit.tick.value;
  const training = patient.training_session;
  const value = visit.room.valueOf(training?.id);
  const { freshness, ageMs } = freshnessOf(value, Math.max(nowMs, value?.receivedMs ?? 0));
  const shown = value !== null && (freshness === "fresh" || freshness === "delayed") ? value.entry : null;
  const angle = shown && value ? value.history.newest() : NaN;
  const none = t("room.number.none");
  const degrees = (deg: number | null) => (deg === null || Number.isNaN(deg) ? none : t("room.number.degrees", { degrees: number(deg) }));
  const target = training?.target_repetitions ?? null;
  const level = trustLevel(shown?.trust ?? null);
  const low = value?.entry.targetLowDeg ?? training?.target_low_deg ?? null;
  const high = value?.entry.targetHighDeg ?? training?.target_high_deg ?? null;
  return (
    <div class={`numbers ${freshness}`} data-freshness={freshness}>
      <dl>
        <div class="big">
          <dt>{t("room.number.repetitions")}</dt>
          <dd data-number="repetitions">{shown ? `${shown.repetitions}${target === null ? "" : ` / ${target}`}` : none}</dd>
        </div>
        <div class="big">
          <dt>{t("room.number.angle")}</dt>
          <dd data-number="angle">{degrees(angle)}</dd>
        </div>
        <div>
          <dt>{t("room.number.last_rom")}</dt>
          <dd>{degrees(shown?.lastRomDeg ?? null)}</dd>
        </div>
        <div>
          <dt>{t("patient.zone")}</dt>
          <dd>{low === null || high === null ? none : `${number(low)}–${degrees(high)}`}</dd>
        </div>
        <div>
          <dt>{t("room.number.heart_rate")}</dt>
          <dd>{shown?.heartRate ? t("room.number.per_minute", { count: shown.heartRate }) : none}</dd>
        </div>
        <div>
          <dt>{t("room.number.completeness")}</dt>
          <dd class={shown?.completeness != null && shown.completeness < MARKED_BELOW_PERCENT ? "marked" : ""}>
            {shown?.completeness == null ? none : t(shown.completeness < MARKED_BELOW_PERCENT ? "completeness.marked" : "room.number.percent", { percent: shown.completeness })}
          </dd>
        </div>
        <div>
          <dt>{t("room.number.trust")}</dt>
          <dd class="mark">
            <TrustShape level={level} />
            {shown?.trust == null ? t("trust.unknown") : t("room.number.percent", { percent: shown.trust })}
          </dd>
        </div>
        <div>
          <dt>{t("room.number.age")}</dt>
          <dd data-number="age">{ageMs === null ? none : t("room.number.seconds", { seconds: number(ageMs / 1000, 1) })}</dd>
        </div>
      </dl>
      <p class="says">
        {freshness === "gone"
          ? t("freshness.gone")
          : freshness === "delayed"
            ? t("freshness.delayed", { seconds: Math.floor((ageMs ?? 0) / 1000) })
            : shown
              ? shown.reason === 0
                ? phaseText(shown.phase)
                : `${phaseText(shown.phase)}. ${reasonText(shown.reason)}.`
              : t("freshness.none")}
      </p>
      <p class="hidden-text">
        {t("room.plot.summary", {
          name: patient.display_name,
          angle: degrees(angle),
          rom: degrees(shown?.lastRomDeg ?? null),
          low: degrees(low),
          high: degrees(high),
        })}
      </p>
    </div>
  );
}

function ExerciseForm({ visit, patient, onDone }: { visit: Visit; patient: Participant; onDone: () => void }) {
  const current = patient.training_session;
  const [exercise, setExercise] = useState(current?.exercise ?? "knee_extension_seated");
  const [side, setSide] = useState(current?.side ?? "right");
  const usual = targetOf(exercise);
  const [target, setTarget] = useState({
    target_low_deg: current?.target_low_deg ?? usual.target_low_deg,
    target_high_deg: current?.target_high_deg ?? usual.target_high_deg,
    target_repetitions: current ? current.target_repetitions : usual.target_repetitions,
  });
  const choose = (chosen: string) => {
    setExercise(chosen);
    setTarget(targetOf(chosen));
  };
  const field = (key: "target_low_deg" | "target_high_deg" | "target_repetitions", label: string) => (
    <label class="field narrow">
      <span>{label}</span>
      <input
        type="number"
        value={target[key] ?? ""}
        onInput={(event) => setTarget({ ...target, [key]: Number.isNaN(event.currentTarget.valueAsNumber) ? null : event.currentTarget.valueAsNumber })}
      />
    </label>
  );
  const begin = async (event: Event) => {
    event.preventDefault();
    const { target_low_deg, target_high_deg, target_repetitions } = target;
    await visit.beginExercise(patient, { exercise, side, target_low_deg, target_high_deg, target_repetitions });
    onDone();
  };
  return (
    <form class="exercise-form" onSubmit={(event) => void begin(event)}>
      <ExerciseFields exercise={exercise} side={side} label={t("room.exercise")} onExercise={choose} onSide={setSide} />
      {field("target_low_deg", t("room.exercise.target_low"))}
      {field("target_high_deg", t("room.exercise.target_high"))}
      {field("target_repetitions", t("room.exercise.repetitions"))}
      <button class="button primary" data-action="begin-exercise">
        {t("room.exercise.begin")}
      </button>
      <button type="button" class="button" onClick={onDone}>
        {t("room.exercise.cancel")}
      </button>
    </form>
  );
}

function firstName(name: string): string {
  return name.split(" ")[0] ?? name;
}
