import { useRef } from "preact/hooks";
import { phaseText, trustLevel } from "../shared/codes";
import { t } from "../shared/i18n";
import { hasLeft, isPresent, isWaiting, type Participant } from "../shared/messages";
import { LinkShape, Picture, TrustShape, useRepaint } from "../shared/parts";
import { freshnessOf, type Room } from "../shared/room";
import { SAMPLING_RATE_HZ } from "../shared/history";
import { drawSparkline } from "../shared/sparkline";
import type { Visit } from "./face";

const SPARKLINE_S = 10;
const NO_SAMPLES = new Float32Array(SPARKLINE_S * SAMPLING_RATE_HZ).fill(NaN);

/** One patient at a glance: face, count, curve, trust, age, link, call for help. Keeps its place for ever. */
export function Tile({ visit, patient, slot }: { visit: Visit; patient: Participant; slot: string }) {
  const { room } = visit;
  const isFocused = visit.focus.value === patient.id;
  const isTalkedTo = visit.talkTo.value === patient.id;
  const name = patient.display_name;
  const link = isPresent(patient) || isWaiting(patient) ? patient.link : "lost";
  return (
    <li
      class={`tile ${isFocused ? "focused" : ""} ${patient.help_since !== null ? "calls" : ""}`}
      data-participant={patient.id}
    >
      <div class="tile-picture">
        <TilePicture room={room} patient={patient} slot={slot} showsVideo />
        {patient.help_since !== null && <strong class="badge help">{t("room.tile.help")}</strong>}
        {patient.paused_since !== null && isPresent(patient) && <span class="badge pause">{t("room.tile.paused")}</span>}
        {isTalkedTo && <span class="badge talk">{t("room.tile.talked_to")}</span>}
      </div>
      <div class="tile-head">
        <h3>
          <button class="name" data-action="look" aria-pressed={isFocused} aria-label={t("room.look.label", { name })} onClick={() => visit.look(patient.id)}>
            {name}
          </button>
        </h3>
        <span class="tile-link">
          <LinkShape link={link} />
          <span class="hidden-text">{t(`link.${link}`)}</span>
        </span>
      </div>
      <TileNumbers visit={visit} patient={patient} />
    </li>
  );
}

export function TilePicture(props: { room: Room; patient: Participant; slot: string; showsVideo: boolean }) {
  const { room, patient } = props;
  const stream = room.streamOf(patient.id, "video");
  if (isWaiting(patient)) return <p class="no-picture">{t("room.tile.waiting")}</p>;
  if (!isPresent(patient)) return <p class="no-picture">{t(hasLeft(patient) ? "room.tile.left" : "room.tile.absent")}</p>;
  if (stream === null || !patient.publishes.video || patient.link === "lost") return <p class="no-picture">{t("room.tile.novideo")}</p>;
  return <Picture stream={stream} slot={props.slot} label={t("room.video.label", { name: patient.display_name })} />;
}

function TileNumbers({ visit, patient }: { visit: Visit; patient: Participant }) {
  const nowMs = visit.tick.value;
  const training = patient.training_session;
  const value = visit.room.valueOf(training?.id);
  const { freshness, ageMs } = freshnessOf(value, Math.max(nowMs, value?.receivedMs ?? 0));
  const canvas = useRef<HTMLCanvasElement>(null);
  useRepaint((paintMs) => {
    const current = visit.room.valueOf(training?.id);
    if (!canvas.current) return;
    const samples = current?.history.samples ?? NO_SAMPLES;
    drawSparkline(canvas.current, {
      samples: samples.subarray(samples.length - SPARKLINE_S * SAMPLING_RATE_HZ),
      lowDeg: current?.entry.targetLowDeg ?? training?.target_low_deg ?? null,
      highDeg: current?.entry.targetHighDeg ?? training?.target_high_deg ?? null,
      isFresh: freshnessOf(current, paintMs).freshness === "fresh",
    });
  });
  const showsNumber = value !== null && (freshness === "fresh" || freshness === "delayed");
  const level = trustLevel(showsNumber ? value.entry.trust : null);
  const target = training?.target_repetitions ?? null;
  return (
    <>
      <div class={`tile-values ${freshness}`} data-freshness={freshness}>
        <p class="tile-count">
          {showsNumber ? (
            <>
              <strong>{value.entry.repetitions}</strong>
              {target !== null && <span>/{target}</span>}
            </>
          ) : (
            <span class="none">–</span>
          )}
          <span class="hidden-text"> {t("room.tile.repetitions")}</span>
        </p>
        <canvas ref={canvas} class="sparkline" role="img" aria-label={t("room.sparkline.label")} />
      </div>
      <p class="tile-foot">
        <span class="mark">
          <TrustShape level={level} />
          {t(`trust.${level}`)}
        </span>
        <span class="age">
          {freshness === "delayed"
            ? t("freshness.delayed", { seconds: Math.floor((ageMs ?? 0) / 1000) })
            : freshness === "gone"
              ? t("freshness.gone")
              : value && freshness === "fresh"
                ? phaseText(value.entry.phase)
                : ""}
        </span>
      </p>
      {value?.entry.notStored && <p class="not-stored">{t("room.not_stored")}</p>}
      {value?.entry.partial && <p class="partial">{t("room.partial")}</p>}
    </>
  );
}
