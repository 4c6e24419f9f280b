import { useMemo } from "preact/hooks";
import { language, number, setLanguage, t } from "../shared/i18n";
import { exerciseText } from "../shared/codes";
import type { LinkQuality } from "../shared/messages";
import { LinkMark, Voice } from "../shared/parts";
import { TapGuard } from "../shared/tap_guard";
import { itemOf } from "./alone";
import { AloneScreen, StopQuestion } from "./alone_screens";
import type { PatientFace, Receipt } from "./face";
import { GateScreen } from "./gate_screen";
import { HelpScreen } from "./help_screen";
import { HomeScreen, itemName, OfferScreen, WhomScreen } from "./home";
import { DoneMark, Message } from "./message";
import { GoalsScreen, MessagesScreen, NotTodayScreen, ProgressScreen } from "./own_pages";
import { PinScreen, PinSetupScreen } from "./pin";
import { QuestionnaireScreen } from "./questionnaire";
import { PainScreen } from "./scales";
import { numberText } from "./telephone";
import { ToneButton } from "./tone_button";
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
      {showsHelp(face) ? (
        <HelpScreen face={face}>
          <TherapistVoice face={face} />
        </HelpScreen>
      ) : (
        <CurrentScreen face={face} />
      )}
    </div>
  );
}

/** Help has the whole screen, but for a live session whose therapist is being told or has heard. */
function showsHelp(face: PatientFace): boolean {
  if (!face.helpCaller.isOn.value) return false;
  return !face.room.value || (face.helpCaller.view.value?.kind === "telephone" && !face.helpHeard.value);
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
    case "pin":
      return <PinScreen face={face} />;
    case "whom":
      return <WhomScreen face={face} />;
    case "offer":
      return <OfferScreen face={face} />;
    case "home":
      return <HomeScreen face={face} />;
    case "messages":
      return <MessagesScreen face={face} />;
    case "goals":
      return <GoalsScreen face={face} />;
    case "progress":
      return <ProgressScreen face={face} />;
    case "questionnaire":
      return <QuestionnaireScreen face={face} />;
    case "not_today":
      return <NotTodayScreen face={face} />;
    case "pin_setup":
      return <PinSetupScreen face={face} />;
    case "alone":
      return <AloneScreen face={face} />;
    case "stopped":
      return <GateScreen face={face} />;
    case "pain":
      return (
        <PainScreen
          title={t("patient.pain.how_much")}
          onPress={(value) => face.reportLivePain(value)}
          onBack={() => (face.asking.value = null)}
        >
          <TherapistVoice face={face} />
        </PainScreen>
      );
    case "waiting":
      return <WaitingScreen face={face} />;
    case "training":
      return <TrainingScreen face={face} />;
    case "stop_question":
      return <StopQuestion onNo={() => (face.asking.value = null)} onYes={() => void face.finish("stop")} />;
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
  const showsExercise = screen === "training" || screen === "writing" || screen === "stop_question" || screen === "pain";
  const alone = face.alone.state.value;
  return (
    <header class="top">
      <div class="top-text">
        <p class="top-title">
          {showsExercise && training ? exerciseText(training) : screen === "alone" && alone?.step === "set" ? itemName(itemOf(alone)) : t("app.name")}
        </p>
        {room && (
          <p class="top-status">
            {room.link.value === "connecting" ? t("app.loading") : <LinkMark link={link} />}
            {room.link.value === "open" && <MediaWords face={face} />}
          </p>
        )}
        {!room && face.loaded.value && (
          <p class="top-status">
            <LinkMark link={face.unreachable.value || face.outbox.isBlocked.value ? "lost" : "good"} />
            {face.outbox.waiting.value > 0 && <span>{t("patient.kept_here")}</span>}
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
        aria-pressed={face.helpOn.value || face.helpCaller.isOn.value}
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

/** The voice goes on while another screen than the exercise is shown. */
function TherapistVoice({ face }: { face: PatientFace }) {
  const room = face.room.value;
  const therapist = face.therapist.value;
  if (!room || !therapist) return null;
  return <Voice stream={room.streamOf(therapist.id, "audio")} onBlocked={(start) => (face.soundBlocked.value = start)} />;
}

/** What became of the call for help; an alert, so that it is read out at once. */
export function HelpBanner({ face }: { face: PatientFace }) {
  const isLost = face.room.value?.link.value === "lost";
  const name = face.name();
  return (
    <div class="help-banner">
      <p role="alert">
        {isLost ? t("help.unreachable", { name }) : face.helpHeard.value ? t("help.sent", { name }) : t("help.sending", { name })}
        {face.helpCaller.view.value?.kind === "telephone" && ` ${numberText(face.telephone.value)}. ${t("help.emergency")}.`}
      </p>
      <button class="button calm" data-action="help-cancel" onClick={() => face.wantHelp(false)}>
        {t("help.cancel")}
      </button>
    </div>
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
      <DoneMark />
      <h1>{t("patient.receipt.title", { name: face.patientName.value })}</h1>
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
