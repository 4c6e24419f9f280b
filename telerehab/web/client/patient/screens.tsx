import type { ComponentChildren } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { language, number, setLanguage, t } from "../shared/i18n";
import { exerciseText } from "../shared/codes";
import type { LinkQuality } from "../shared/messages";
import { LinkMark } from "../shared/parts";
import { TapGuard } from "../shared/tap_guard";
import { playTone } from "../shared/tone";
import type { PatientFace, Receipt } from "./face";
import { TrainingScreen } from "./training";
import { WritingScreen } from "./writing";

/** The whole page: one screen at a time, help top right on every one of them. */
export function PatientApp({ face }: { face: PatientFace }) {
  const guard = useMemo(() => new TapGuard(), []);
  // One guard for the whole page, before any button hears of the tap: a tremor's second tap may land on the next screen.
  const onClickCapture = (event: MouseEvent) => {
    if (event.detail === 0) return; // from the keyboard or a switch, where no finger trembles
    if (!guard.accepts(performance.now())) {
      event.stopPropagation();
      event.preventDefault();
    }
  };
  return (
    <div class="page" onClickCapture={onClickCapture}>
      <Header face={face} />
      {face.helpOpen.value ? <HelpScreen face={face} /> : <CurrentScreen face={face} />}
    </div>
  );
}

function CurrentScreen({ face }: { face: PatientFace }) {
  switch (face.screen.value) {
    case "loading":
      return <Message text={face.unreachable.value ? t("error.unreachable") : t("app.loading")} title={t("patient.title")} />;
    case "not_logged_in":
      return (
        <Message title={t("patient.enter.title")} text={t("patient.not_logged_in")}>
          <a class="button primary" href="/enter">
            {t("patient.to_enter")}
          </a>
        </Message>
      );
    case "home":
      return <HomeScreen face={face} />;
    case "waiting":
      return <WaitingScreen face={face} />;
    case "training":
      return <TrainingScreen face={face} />;
    case "stop_question":
      return (
        <Message title={t("patient.stop.question")}>
          <button class="button calm" data-action="stop-no" onClick={() => (face.asking.value = null)}>
            {t("patient.stop.no")}
          </button>
          <button class="button primary" data-action="stop-yes" onClick={() => void face.finish("stop")}>
            {t("patient.stop.yes")}
          </button>
        </Message>
      );
    case "writing":
      return <WritingScreen face={face} />;
    case "receipt":
      return face.receipt.value && <ReceiptScreen face={face} receipt={face.receipt.value} />;
    case "replaced":
      return (
        <Message title={t("patient.replaced.title")} text={t("patient.replaced.text")}>
          <button class="button primary" data-action="take-back" onClick={() => void face.takeBack()}>
            {t("patient.replaced.here")}
          </button>
        </Message>
      );
    case "revoked":
      return <Message title={t("patient.revoked.title")} text={t("patient.revoked.text")} />;
  }
}

function Header({ face }: { face: PatientFace }) {
  const room = face.room.value;
  const screen = face.screen.value;
  const training = face.training.value;
  const link: LinkQuality = room?.link.value !== "open" ? "lost" : (face.self.value?.link ?? "good");
  const showsExercise = screen === "training" || screen === "writing" || screen === "stop_question";
  return (
    <header class="top">
      <div class="top-text">
        {showsExercise && training ? <p class="top-title">{exerciseText(training)}</p> : <p class="top-title">{t("app.name")}</p>}
        {room && (
          <p class="top-status">
            {room.link.value === "connecting" ? t("app.loading") : <LinkMark link={link} />}
            {room.link.value === "open" && <MediaWords face={face} />}
          </p>
        )}
      </div>
      <button
        class="button calm language"
        data-action="language"
        lang={language.value === "da" ? "en" : "da"}
        onClick={() => setLanguage(language.value === "da" ? "en" : "da", true)}
      >
        {t("language.other")}
      </button>
      <button
        class="button help"
        data-action="help"
        aria-label={`${t("help.call")} – ${t("help.call.label")}`}
        aria-pressed={face.helpOn.value || face.helpOpen.value}
        onClick={() => face.wantHelp(true)}
      >
        <HelpMark />
        {t("help.call")}
      </button>
    </header>
  );
}

/** What really goes out, not what was wished for. */
function MediaWords({ face }: { face: PatientFace }) {
  const choice = face.media.value ?? "none";
  const leg = face.room.value?.legs.value.publish ?? "off";
  if (choice !== "none" && leg !== "flowing" && face.screen.value !== "waiting") return <span>{t("patient.media.connecting")}</span>;
  return (
    <>
      <span>{t(choice === "both" ? "patient.camera.on" : "patient.camera.off")}</span>
      <span>{t(choice === "none" ? "patient.microphone.off" : "patient.microphone.on")}</span>
    </>
  );
}

function HelpMark() {
  return (
    <svg class="help-mark" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path d="M12 3v11" />
      <circle cx="12" cy="19.5" r="1.2" />
    </svg>
  );
}

/** A title, some text and one decision. */
export function Message(props: { title: string; text?: string; status?: boolean; children?: ComponentChildren }) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus(), [props.title]);
  return (
    <main class="message">
      <h1 ref={heading} tabIndex={-1}>
        {props.title}
      </h1>
      {props.text && <p class="lead">{props.text}</p>}
      {props.children && <div class="choices">{props.children}</div>}
    </main>
  );
}

function HelpScreen({ face }: { face: PatientFace }) {
  return (
    <Message title={t("help.title")} text={t("help.nobody")}>
      <p class="note">{t("app.not_an_alarm")}</p>
      <button class="button primary" data-action="help-close" onClick={() => face.wantHelp(false)}>
        {t("help.close")}
      </button>
    </Message>
  );
}

function HomeScreen({ face }: { face: PatientFace }) {
  const isReady = face.offered.value !== null;
  const startsWithCamera = (face.media.value ?? "both") === "both";
  return (
    <main class="message">
      <h1>{t("patient.greeting", { name: face.me.value?.display_name ?? "" })}</h1>
      <p class="lead" role="status">
        {face.unreachable.value ? t("error.unreachable") : t(isReady ? "patient.home.ready" : "patient.home.none")}
      </p>
      {isReady && (
        <div class="choices">
          <button class="button primary big" data-action="start" onClick={() => void face.join(face.media.value ?? "both")}>
            {t("patient.start")}
          </button>
        </div>
      )}
      {isReady && (
        <>
          {face.media.value === null && <p class="note">{t("patient.home.media")}</p>}
          <div class="choices">
            {startsWithCamera ? (
              <button class="button calm" data-action="start-without" onClick={() => void face.join("audio")}>
                {t("patient.start.without_camera")}
              </button>
            ) : (
              <button class="button calm" data-action="start-with" onClick={() => void face.join("both")}>
                {t("patient.start.with_camera")}
              </button>
            )}
            <ToneButton />
          </div>
        </>
      )}
      <p class="note foot">{t("app.not_an_alarm")}</p>
    </main>
  );
}

function WaitingScreen({ face }: { face: PatientFace }) {
  return (
    <main class="message">
      <h1>{t("patient.waiting.title")}</h1>
      <p class="lead" role="status">
        {t("patient.waiting.text", { name: face.name() })}
      </p>
      {face.helpOn.value && <HelpBanner face={face} />}
      <p class="note">{t("patient.waiting.sit")}</p>
      <div class="choices">
        <ToneButton />
        <button class="button calm" data-action="stop" onClick={() => void face.finish("stop")}>
          {t("patient.stop")}
        </button>
      </div>
    </main>
  );
}

/** What became of the call for help; an alert, so that it is read out at once. */
export function HelpBanner({ face }: { face: PatientFace }) {
  const isLost = face.room.value?.link.value === "lost";
  const name = face.name();
  return (
    <div class="help-banner">
      <p role="alert">
        {isLost ? t("help.unreachable", { name }) : face.helpHeard.value ? t("help.sent", { name }) : t("help.sending", { name })}
      </p>
      <button class="button calm" data-action="help-cancel" onClick={() => face.wantHelp(false)}>
        {t("help.cancel")}
      </button>
    </div>
  );
}

function ToneButton() {
  const [played, setPlayed] = useState(false);
  return (
    <>
      <button
        class="button calm"
        data-action="tone"
        onClick={() => {
          playTone();
          setPlayed(true);
        }}
      >
        {t("patient.tone")}
      </button>
      {played && (
        <p class="note" role="status">
          {t("patient.tone.hint")}
        </p>
      )}
    </>
  );
}

function ReceiptScreen({ face, receipt }: { face: PatientFace; receipt: Receipt }) {
  const count =
    receipt.repetitions === 0
      ? t("patient.receipt.none")
      : receipt.repetitions === 1
        ? t("patient.receipt.one")
        : t("patient.receipt.count", { count: receipt.repetitions });
  return (
    <main class="message">
      <svg class="done-mark" viewBox="0 0 64 64" aria-hidden="true" focusable="false">
        <circle cx="32" cy="32" r="30" />
        <path d="M18 33 28 43 47 22" />
      </svg>
      <h1>{t("patient.receipt.title", { name: face.me.value?.display_name ?? "" })}</h1>
      <p class="lead">{count}</p>
      {receipt.romDeg !== null && <p class="lead">{t("patient.receipt.rom", { degrees: number(receipt.romDeg) })}</p>}
      <p class="lead saved" role="status">
        {t(receipt.saved.value ? "patient.receipt.saved" : "patient.receipt.unsaved")}
      </p>
      <div class="choices">
        <button class="button primary" data-action="receipt-done" onClick={() => face.closeReceipt()}>
          {t("patient.receipt.done")}
        </button>
      </div>
    </main>
  );
}
