import { useSignal } from "@preact/signals";
import { useEffect, useMemo, useState } from "preact/hooks";
import { t, type TextKey } from "../shared/i18n";
import type { Freshness } from "../shared/freshness";
import { freshnessOf } from "../shared/live_values";
import { MovingFigure } from "../shared/moving_figure";
import { useRepaint } from "../shared/parts";
import { canSpeak, speak, stopSpeaking } from "../shared/speech";
import { exercisesDone, itemOf, repetitionsDone, setsDone, type Alone } from "./alone";
import type { TodaysItem } from "./api";
import { chooseCue, CueHolder } from "./cue";
import type { PatientFace } from "./face";
import { Figure } from "./figure";
import { dose, inWords, itemName, when } from "./home";
import { DoneMark, Heading, Message } from "./message";
import { EffortScreen, PainScreen } from "./scales";
import { ToneButton } from "./tone_button";

/** Training alone: one screen, one decision at a time. */
export function AloneScreen({ face }: { face: PatientFace }) {
  const { alone } = face;
  const state = alone.state.value;
  if (state === null) return null;
  if (alone.asksForPain.value) {
    const back = () => (alone.asksForPain.value = false);
    return <PainScreen title={t("patient.pain.how_much")} onPress={(value) => alone.reportPain(value)} onBack={back} />;
  }
  if (alone.asksToStop.value) return <StopQuestion onNo={() => (alone.asksToStop.value = false)} onYes={() => alone.stop()} />;
  switch (state.step) {
    case "check":
      return <CheckScreen face={face} state={state} />;
    case "space":
      return (
        <Message title={t("patient.space.question")} text={t("patient.space.text")}>
          <button class="button primary big" data-action="space-yes" onClick={() => alone.confirmSpace()}>
            {t("patient.space.yes")}
          </button>
          <button class="button calm" data-action="space-no" onClick={() => alone.back()}>
            {t("patient.space.no")}
          </button>
        </Message>
      );
    case "start_pain":
      return <PainScreen title={t("patient.pain.now")} onPress={(value) => alone.reportPain(value)} />;
    case "set_pain":
      return <PainScreen title={t("patient.pain.question")} onPress={(value) => alone.reportPain(value)} />;
    case "intro":
      return <IntroScreen face={face} state={state} />;
    case "set":
      return <SetScreen key={state.setId} face={face} state={state} />;
    case "rest":
      return <RestScreen face={face} state={state} />;
    case "effort":
      return <EffortScreen onPress={(value) => alone.reportEffort(value)} />;
    case "receipt":
      return <AloneReceipt face={face} state={state} />;
  }
}

export function StopQuestion(props: { onNo(): void; onYes(): void }) {
  return (
    <Message title={t("patient.stop.question")}>
      <button class="button calm" data-action="stop-no" onClick={props.onNo}>
        {t("patient.stop.no")}
      </button>
      <button class="button primary" data-action="stop-yes" onClick={props.onYes}>
        {t("patient.stop.yes")}
      </button>
    </Message>
  );
}

/** So long a sensor that is switched on may take to be seen. */
const LOOKING_MS = 6000;

type SensorState = "asking" | "seen" | "silent";

/** "Are we ready?": what works, what does not, and training without sensors as a way on. */
function CheckScreen({ face, state }: { face: PatientFace; state: Alone }) {
  const sensor = useSignal<SensorState>("asking");
  const [heard, setHeard] = useState(false);
  const [askedMs, setAskedMs] = useState(() => performance.now());
  const isMeasurable = state.items.some((item) => item.is_measurable);
  useRepaint((nowMs) => {
    const isSeen = freshnessOf(face.alone.newest(), nowMs).freshness === "fresh";
    sensor.value = isSeen ? "seen" : nowMs - askedMs < LOOKING_MS ? "asking" : "silent";
  });
  const isOnline = !face.unreachable.value;
  const isSeen = sensor.value === "seen";
  return (
    <main class="message page-screen">
      <Heading title={t("patient.check.title")} />
      <div role="status">
        <ul class="checks">
          <Check isGood={isOnline} text={t(isOnline ? "patient.check.online" : "patient.check.offline")} />
          <Check isGood={heard} text={t(heard ? "patient.check.sound" : "patient.check.sound.try")} />
          <Check isGood={isSeen} text={t(isMeasurable || isSeen ? `patient.check.sensor.${sensor.value}` : "patient.check.sensor.none")} />
        </ul>
      </div>
      <div class="choices">
        <ToneButton onPlayed={() => setHeard(true)} />
        {isMeasurable && sensor.value === "silent" && (
          <button class="button calm" data-action="check-again" onClick={() => setAskedMs(performance.now())}>
            {t("patient.check.again")}
          </button>
        )}
        <button class="button primary" data-action="check-done" onClick={() => face.alone.passCheck(isSeen)}>
          {t(isSeen ? "patient.check.go_on" : "patient.check.without_sensor")}
        </button>
        <button class="button calm" data-action="check-back" onClick={() => face.alone.back()}>
          {t("patient.back")}
        </button>
      </div>
    </main>
  );
}

function Check({ isGood, text }: { isGood: boolean; text: string }) {
  return (
    <li class={isGood ? "good" : "open"}>
      <svg class="check-mark" viewBox="0 0 32 32" aria-hidden="true" focusable="false">
        {isGood ? <path d="M6 17 13 24 26 8" /> : <path d="M16 5V19M16 25V26" />}
      </svg>
      {text}
    </li>
  );
}

function setText(state: Alone): string {
  return t("patient.set.number", { set: state.set, sets: itemOf(state).sets });
}

/** The exercise before it begins: how it goes, what to mind, and the moving figure. */
function IntroScreen({ face, state }: { face: PatientFace; state: Alone }) {
  const item = itemOf(state);
  const lines = sentences(item.instructions);
  const [isSafety, setIsSafety] = useState(false);
  useEffect(() => stopSpeaking, []);
  const shown = isSafety ? sentences(item.safety) : lines;
  return (
    <main class="exercise">
      <Heading title={itemName(item)} />
      <p class="note exercise-place">
        {t("patient.exercise.place", { number: state.item + 1, count: state.items.length })} · {dose(item)}
        {load(item)}
        {setting(item)}
      </p>
      <ItemFigure item={item} />
      <ol class={`instructions ${isSafety ? "safety" : ""}`} aria-live="polite">
        {shown.map((line) => (
          <li>{line}</li>
        ))}
      </ol>
      <footer class="bottom">
        <button class="button primary" data-action="begin-set" onClick={() => face.alone.beginSet()}>
          {t("patient.set.begin", { set: state.set })}
        </button>
        <button class="button calm" data-action="safety" aria-pressed={isSafety} onClick={() => setIsSafety(!isSafety)}>
          {t(isSafety ? "patient.exercise.how" : "patient.exercise.mind")}
        </button>
        <SpeakButton lines={[itemName(item), ...shown]} />
        <button class="button calm" data-action="skip" onClick={() => face.alone.skip()}>
          {t("patient.exercise.skip")}
        </button>
        <StopButton face={face} />
      </footer>
    </main>
  );
}

function sentences(text: TodaysItem["instructions"]): string[] {
  return text.da.map((danish, index) => inWords({ da: danish, en: text.en[index] ?? null }));
}

/** How one begins, and what must lie ready: "Sitting · A steady chair". */
function setting(item: TodaysItem): string {
  const things = item.equipment.map((thing) => t(`equipment.${thing}` as "equipment.chair"));
  return [` · ${t(`start_pose.${item.start_pose}` as "start_pose.sitting")}`, ...things].join(" · ");
}

function load(item: TodaysItem): string {
  if (item.band !== null) return ` · ${t(`band.${item.band}` as "band.red")}`;
  return item.load_kg === null ? "" : ` · ${t("patient.exercise.load", { load: item.load_kg })}`;
}

function ItemFigure({ item }: { item: TodaysItem }) {
  return (
    <div class="exercise-figure">
      {item.figure && <MovingFigure figure={item.figure} label={t("patient.exercise.figure", { exercise: itemName(item) })} />}
    </div>
  );
}

/** Only where a voice speaks on this very machine. */
function SpeakButton({ lines }: { lines: string[] }) {
  const [isPossible] = useState(canSpeak);
  if (!isPossible) return null;
  return (
    <button class="button calm" data-action="read-aloud" onClick={() => speak(lines)}>
      {t("patient.read_aloud")}
    </button>
  );
}

function StopButton({ face }: { face: PatientFace }) {
  return (
    <button class="button stop" data-action="stop" onClick={() => (face.alone.asksToStop.value = true)}>
      {t("patient.stop")}
    </button>
  );
}

/** One set: the figure or the own movement, the big number, and a hand's +1 where no sensor counts. */
function SetScreen({ face, state }: { face: PatientFace; state: Alone }) {
  const item = itemOf(state);
  const holder = useMemo(() => new CueHolder(), []);
  const isMeasured = useSignal(false);
  const freshness = useSignal<Freshness>("none");
  const delaySeconds = useSignal(0);
  const cue = useSignal<TextKey | null>(null);
  useRepaint((nowMs) => {
    const value = state.usesSensors && item.is_measurable ? face.alone.newest() : null;
    const judged = freshnessOf(value, nowMs);
    freshness.value = judged.freshness;
    delaySeconds.value = Math.floor((judged.ageMs ?? 0) / 1000);
    isMeasured.value = judged.freshness === "fresh" || judged.freshness === "delayed";
    if (value === null || !isMeasured.value) {
      cue.value = null;
      return;
    }
    const chosen = chooseCue({
      exercise: item.code,
      freshness: judged.freshness,
      phase: value.entry.phase,
      angleDeg: value.history.newest(),
      targetLowDeg: item.target_low_deg,
      targetHighDeg: item.target_high_deg,
      repetitions: state.counted,
      targetRepetitions: item.repetitions,
    });
    cue.value = holder.next(chosen, nowMs);
  });
  const counted = state.counted ?? 0;
  const countsByHand = !(isMeasured.value && state.bySensor);
  // A number that a sensor counted is shown as long as the sensor is heard; nobody counted is not zero.
  const isKnown = state.counted !== null && (!state.bySensor || isMeasured.value);
  const isDelayed = state.bySensor && freshness.value === "delayed";
  const isReached = counted >= item.repetitions;
  return (
    <main class="exercise set">
      <h1 class="hidden-text">{itemName(item)}</h1>
      <p class="note exercise-place">{setText(state)}</p>
      {isMeasured.value ? (
        <div class="exercise-figure">
          <Figure exercise={item.code} value={() => face.alone.newest()} low={item.target_low_deg} high={item.target_high_deg} />
        </div>
      ) : (
        <ItemFigure item={item} />
      )}
      <div class="counter count" data-freshness={isDelayed ? "delayed" : isKnown ? "fresh" : "gone"}>
        {isKnown ? (
          <>
            <p class="count-number" aria-hidden="true">
              {counted}
            </p>
            <p class="count-of" aria-hidden="true">
              {t("patient.count.of", { target: item.repetitions })}
              {isDelayed && <span class="delay-mark">{t("freshness.delayed", { seconds: delaySeconds.value })}</span>}
            </p>
          </>
        ) : (
          <p class="count-none">{t("patient.count.none")}</p>
        )}
        <p class="hidden-text" role="status">
          {counted === 0 || !isKnown ? "" : t("patient.count.spoken_of", { count: counted, target: item.repetitions })}
        </p>
        {countsByHand && (
          <button class="button primary plus" data-action="plus" onClick={() => face.alone.countOne()}>
            {t("patient.count.plus")}
          </button>
        )}
      </div>
      <p class="cue" data-cue={isReached ? "cue.target_reached" : (cue.value ?? "by_hand")}>
        {isReached && isKnown
          ? t("cue.target_reached", { target: item.repetitions })
          : cue.value !== null && cue.value !== "cue.none" && cue.value !== "cue.no_exercise" && cue.value !== "cue.target_reached"
            ? t(cue.value as "cue.hold")
            : t(state.usesSensors && item.is_measurable && !isMeasured.value ? "patient.set.no_sensor" : "patient.set.by_hand")}
      </p>
      <footer class="bottom">
        <button class={`button ${isReached ? "primary" : "calm"}`} data-action="end-set" onClick={() => face.alone.endSet()}>
          {t("patient.set.end")}
        </button>
        <button class="button calm" data-action="hurts" onClick={() => (face.alone.asksForPain.value = true)}>
          {t("patient.pain.hurts")}
        </button>
        <StopButton face={face} />
      </footer>
    </main>
  );
}

/** Rest has no clock that hurries anybody: the next set begins with a press. */
function RestScreen({ face, state }: { face: PatientFace; state: Alone }) {
  const item = itemOf(state);
  return (
    <main class="message">
      <Heading title={t("patient.rest.title")} />
      <p class="lead">{t("patient.rest.text", { exercise: itemName(item), set: state.set, sets: item.sets })}</p>
      <div class="choices">
        <button class="button primary big" data-action="begin-set" onClick={() => face.alone.beginSet()}>
          {t("patient.set.begin", { set: state.set })}
        </button>
      </div>
      <div class="choices">
        <button class="button calm" data-action="skip" onClick={() => face.alone.skip()}>
          {t("patient.exercise.skip")}
        </button>
        <StopButton face={face} />
      </div>
    </main>
  );
}

function AloneReceipt({ face, state }: { face: PatientFace; state: Alone }) {
  const { done, all } = exercisesDone(state);
  const repetitions = repetitionsDone(state);
  const isWaiting = face.outbox.waiting.value > 0;
  const isRefused = face.outbox.refusedCount.value > 0;
  const appointment = face.home.nextAppointment.value;
  const sets = state.items.reduce((sum, _, index) => sum + setsDone(state, index), 0);
  const finish = () => {
    face.alone.finish();
    face.page.value = "home";
    void face.home.read(face.isHelper.peek(), true);
  };
  return (
    <main class="message">
      <DoneMark />
      <Heading title={t("patient.receipt.title", { name: face.patientName.value })} />
      <p class="lead">
        {state.done.length === 0
          ? t("patient.receipt.nothing")
          : t("patient.receipt.alone", { done, all, sets, repetitions })}
      </p>
      <p class={`lead ${isWaiting ? "waiting" : "saved"}`} role="status">
        {t(isWaiting ? "patient.receipt.here" : isRefused ? "patient.receipt.refused" : "patient.receipt.saved")}
      </p>
      {appointment && <p class="note">{t("patient.home.next", { when: when(appointment.starts_at), what: appointment.title })}</p>}
      <div class="choices">
        <button class="button primary" data-action="receipt-done" onClick={finish}>
          {t("patient.receipt.done")}
        </button>
        {!face.isHelper.value && (
          <button
            class="button calm"
            data-action="receipt-message"
            onClick={() => {
              finish();
              face.page.value = "messages";
            }}
          >
            {t("patient.receipt.message")}
          </button>
        )}
      </div>
    </main>
  );
}
