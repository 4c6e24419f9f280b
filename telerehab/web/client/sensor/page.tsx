import { language, number, setLanguage, t, type TextKey } from "../shared/i18n";
import type { Phase, Sensor } from "./sensor";

type Tone = "good" | "calm" | "wrong";

/** The one page of a telephone that is a sensor. */
export function SensorPage({ sensor }: { sensor: Sensor }) {
  const phase = sensor.phase.value;
  return (
    <div class="page">
      <header class="top">
        <h1>{t("sensor.title")}</h1>
        <button class="button language" data-action="language" onClick={() => setLanguage(language.value === "da" ? "en" : "da", true)}>
          {t("language.other")}
        </button>
      </header>
      <main>
        <Now sensor={sensor} />
        {(phase === "ready" || phase === "denied") && (
          <>
            {phase === "ready" && <Placing />}
            <button class="button primary" data-action="start" onClick={() => void sensor.start()}>
              {t("sensor.start")}
            </button>
          </>
        )}
        {phase === "unreachable" && (
          <button class="button primary" data-action="again" onClick={() => location.reload()}>
            {t("sensor.again")}
          </button>
        )}
        {hasRing(phase) && <Delivery sensor={sensor} />}
        {phase === "running" && (
          <button class="button" data-action="stop" onClick={() => sensor.stop()}>
            {t("sensor.stop")}
          </button>
        )}
      </main>
      <footer>{t("sensor.not_alarm")}</footer>
    </div>
  );
}

/** What is now, in one headline and one next step. */
function Now({ sensor }: { sensor: Sensor }) {
  const { tone, key } = nowOf(sensor.phase.value, sensor.isSilent.value);
  return (
    <section class={`now ${tone}`} role="status">
      <p class="headline">
        <Shape tone={tone} />
        {t(key)}
      </p>
      <p>{t(`${key}.text` as "sensor.ready.text")}</p>
    </section>
  );
}

function nowOf(phase: Phase, isSilent: boolean): { tone: Tone; key: TextKey & `sensor.${string}` & "sensor.ready" } {
  const key = phase === "running" && isSilent ? "silent" : phase;
  const tone = key === "running" ? "good" : ["opening", "ready"].includes(key) ? "calm" : "wrong";
  return { tone, key: `sensor.${key}` as "sensor.ready" };
}

function hasRing(phase: Phase): boolean {
  return ["ready", "running", "denied", "no_sensor"].includes(phase);
}

function Placing() {
  return (
    <section class="placing">
      <h2>{t("sensor.place")}</h2>
      <ol>
        <li>{t("sensor.place.1")}</li>
        <li>{t("sensor.place.2")}</li>
        <li>{t("sensor.place.3")}</li>
      </ol>
    </section>
  );
}

/** The link, and what has been sent and what waits. */
function Delivery({ sensor }: { sensor: Sensor }) {
  const link = sensor.link.value;
  return (
    <section class="delivery">
      <p class={`link ${link}`} role="status" data-link={link}>
        <Shape tone={link === "connected" ? "good" : "wrong"} />
        {t(`sensor.link.${link}`)}
      </p>
      {sensor.isVolatile.value && (
        <p class="link refused" role="alert">
          {t("sensor.volatile")}
        </p>
      )}
      <dl>
        <dt>{t("sensor.stored")}</dt>
        <dd data-stored={sensor.storedSamples.value}>{number(sensor.storedSamples.value)}</dd>
        <dt>{t("sensor.kept")}</dt>
        <dd data-kept={sensor.keptSamples.value}>{number(sensor.keptSamples.value)}</dd>
        {sensor.rateHz.value > 0 && (
          <>
            <dt>{t("sensor.rate")}</dt>
            <dd>{number(sensor.rateHz.value)}</dd>
          </>
        )}
      </dl>
    </section>
  );
}

/** Shape and colour and word: never colour alone. */
function Shape({ tone }: { tone: Tone }) {
  return (
    <svg class="shape" viewBox="0 0 20 20" aria-hidden="true" focusable="false">
      {tone === "good" && <circle cx="10" cy="10" r="8" />}
      {tone === "calm" && <circle cx="10" cy="10" r="7" class="hollow" />}
      {tone === "wrong" && <path d="M10 1.5 19 18H1Z" />}
    </svg>
  );
}
