import { useSignal } from "@preact/signals";
import { useMemo } from "preact/hooks";
import { number, t, type TextKey } from "../shared/i18n";
import { isPresent, type Participant } from "../shared/messages";
import { Picture, useRepaint, Voice } from "../shared/parts";
import { freshnessOf } from "../shared/room";
import type { Freshness } from "../shared/freshness";
import { chooseCue, CueHolder, zoneOf } from "./cue";
import type { PatientFace } from "./face";
import { Figure } from "./figure";
import { HelpBanner } from "./screens";

/** The exercise: therapist, own movement, one big number, one cue; help, pause and stop always in the same place. */
export function TrainingScreen({ face }: { face: PatientFace }) {
  const room = face.room.value;
  const training = face.training.value;
  const therapist = face.therapist.value;
  const holder = useMemo(() => new CueHolder(), []);
  const cue = useSignal<TextKey>("cue.none");
  const freshness = useSignal<Freshness>("none");
  const delaySeconds = useSignal(0);
  const count = useSignal<number | null>(null);
  const low = useSignal<number | null>(training?.target_low_deg ?? null);
  const high = useSignal<number | null>(training?.target_high_deg ?? null);
  const lastRom = useSignal<number | null>(null);
  const isInZone = useSignal(false);

  useRepaint((nowMs) => {
    const value = room?.valueOf(training?.id) ?? null;
    const judged = freshnessOf(value, nowMs);
    const entry = value?.entry;
    freshness.value = judged.freshness;
    delaySeconds.value = Math.floor((judged.ageMs ?? 0) / 1000);
    count.value = value?.measured ? (entry?.repetitions ?? null) : null;
    low.value = entry?.targetLowDeg ?? training?.target_low_deg ?? null;
    high.value = entry?.targetHighDeg ?? training?.target_high_deg ?? null;
    lastRom.value = entry?.lastRomDeg ?? null;
    isInZone.value = zoneOf(training?.exercise ?? null, value?.history.newest() ?? NaN, low.value, high.value) === "in";
    const chosen = chooseCue({
      exercise: training?.exercise ?? null,
      freshness: judged.freshness,
      phase: entry?.phase ?? 0,
      angleDeg: value?.history.newest() ?? NaN,
      targetLowDeg: low.value,
      targetHighDeg: high.value,
      repetitions: count.value,
      targetRepetitions: training?.target_repetitions ?? null,
    });
    cue.value = holder.next(chosen, nowMs);
  });

  if (!room) return null;
  const name = face.name();
  const isLost = room.link.value === "lost";
  const target = training?.target_repetitions ?? null;
  // Above the sitting-down screen too: the voice goes on as long as it can be heard.
  const voice = therapist && (
    <Voice stream={room.streamOf(therapist.id, "audio")} onBlocked={(start) => (face.soundBlocked.value = start)} />
  );
  if (isLost) {
    return (
      <main class="message">
        {voice}
        <h1>{t("patient.reconnect.title")}</h1>
        <p class="lead" role="alert">
          {t("patient.reconnect.text")}
        </p>
        {face.helpOn.value && <HelpBanner face={face} />}
        <p class="note foot">{t("app.not_an_alarm")}</p>
        <footer class="bottom end">
          <StopButton face={face} />
        </footer>
      </main>
    );
  }
  return (
    <main class="training">
      <h1 class="hidden-text">{t("patient.title")}</h1>
      {voice}
      <section class="therapist" aria-label={t("patient.therapist")}>
        <TherapistPicture
          therapist={therapist}
          stream={therapist ? room.streamOf(therapist.id, "video") : null}
          isComing={room.legs.value.subscribe !== "flowing"}
          name={name}
        />
        <TherapistWords face={face} />
        {face.soundBlocked.value && (
          <button
            class="button primary sound"
            data-action="sound"
            onClick={() => {
              face.soundBlocked.value?.();
              face.soundBlocked.value = null;
            }}
          >
            {t("patient.sound.on")}
          </button>
        )}
      </section>
      <section class={`movement ${freshness.value}`} aria-label={t("patient.figure.label")}>
        <Figure
          exercise={training?.exercise ?? null}
          value={() => room.valueOf(training?.id)}
          low={low.value}
          high={high.value}
        />
        <div class="count" data-freshness={freshness.value}>
          {count.value === null || freshness.value === "gone" ? (
            <p class="count-none">{t("patient.count.none")}</p>
          ) : (
            <>
              <p class="count-number" aria-hidden="true">
                {count.value}
              </p>
              <p class="count-of" aria-hidden="true">
                {target === null ? t("patient.count.label").toLowerCase() : t("patient.count.of", { target })}
              </p>
            </>
          )}
          {freshness.value === "delayed" && <p class="delay-mark">{t("freshness.delayed", { seconds: delaySeconds.value })}</p>}
          {freshness.value === "fresh" && low.value !== null && (
            <p class={`zone-word ${isInZone.value ? "reached" : ""}`}>{t(isInZone.value ? "patient.zone.in" : "patient.zone")}</p>
          )}
        </div>
        {/* Changes once per repetition, so it is read out once per repetition. */}
        <p class="hidden-text" role="status">
          {count.value === null || count.value === 0
            ? ""
            : target === null
              ? t("patient.count.spoken", { count: count.value })
              : t("patient.count.spoken_of", { count: count.value, target })}
        </p>
        <p class="hidden-text">{summaryText(lastRom.value, low.value, high.value)}</p>
      </section>
      {face.helpOn.value ? (
        <HelpBanner face={face} />
      ) : (
        <p class="cue" data-cue={cue.value}>
          {face.paused.value ? t("patient.pause.text", { name }) : cueText(cue.value, name, target)}
        </p>
      )}
      <Bottom face={face} />
    </main>
  );
}

function summaryText(lastRomDeg: number | null, low: number | null, high: number | null): string {
  if (lastRomDeg === null || low === null || high === null) return "";
  return t("patient.figure.summary", { rom: number(lastRomDeg), low: number(low), high: number(high) });
}

function cueText(cue: TextKey, name: string, target: number | null): string {
  if (cue === "cue.none" || cue === "cue.no_exercise") return t(cue, { name });
  if (cue === "cue.target_reached") return t(cue, { target: target ?? "" });
  return t(cue as "cue.hold");
}

function TherapistPicture(props: { therapist: Participant | null; stream: MediaStream | null; isComing: boolean; name: string }) {
  const { therapist, stream, isComing, name } = props;
  const isHere = therapist !== null && isPresent(therapist);
  const isLost = isHere && therapist.link === "lost";
  const showsPicture = stream !== null && isHere && !isLost && therapist.publishes.video;
  return (
    <div class="frame">
      {showsPicture ? (
        <Picture stream={stream} label={t("patient.video.label", { name })} slot="video-0" />
      ) : (
        <p class="no-picture">
          <Person />
          <strong>{name || t("patient.therapist")}</strong>
          {t(
            isLost
              ? "patient.therapist.lost"
              : !isHere
                ? "patient.therapist.absent"
                : isComing
                  ? "patient.therapist.coming"
                  : therapist.publishes.audio
                    ? "patient.therapist.voice_only"
                    : "patient.therapist.novideo",
          )}
        </p>
      )}
    </div>
  );
}

function Person() {
  return (
    <svg class="person" viewBox="0 0 64 64" aria-hidden="true" focusable="false">
      <circle cx="32" cy="22" r="12" />
      <path d="M8 60c2-16 12-22 24-22s22 6 24 22Z" />
    </svg>
  );
}

/** The therapist's name, and what the therapist wrote last, below the picture like a subtitle. */
function TherapistWords({ face }: { face: PatientFace }) {
  const room = face.room.value;
  const own = room?.state.value?.you;
  const line = room?.texts.value.filter((candidate) => candidate.participant !== own).at(-1);
  const name = face.name();
  const showsName = line !== undefined || face.therapist.value?.publishes.video === true; // else the name stands in the middle
  if (name === "" || !showsName) return null;
  return (
    <p class="words">
      <strong>
        {name}
        {line && ":"}
      </strong>{" "}
      {line?.text}
    </p>
  );
}

function Bottom({ face }: { face: PatientFace }) {
  return (
    <footer class="bottom">
      <button class="button calm" data-action="pause" aria-pressed={face.paused.value} onClick={() => face.wantPause(!face.paused.peek())}>
        {t(face.paused.value ? "patient.pause.go_on" : "patient.pause")}
      </button>
      <button class="button calm" data-action="write" onClick={() => (face.asking.value = "write")}>
        {t("patient.write")}
      </button>
      <button class="button calm" data-action="hurts" onClick={() => (face.asking.value = "pain")}>
        {t("patient.pain.hurts")}
      </button>
      <StopButton face={face} />
    </footer>
  );
}

function StopButton({ face }: { face: PatientFace }) {
  return (
    <button class="button stop" data-action="stop" onClick={() => (face.asking.value = "stop")}>
      {t("patient.stop")}
    </button>
  );
}
