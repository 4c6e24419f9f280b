import { useState } from "preact/hooks";
import { ApiError } from "../shared/api";
import { t } from "../shared/i18n";
import { patientApi } from "./api";
import type { PatientFace } from "./face";
import { DoneMark, Heading } from "./message";

const DIGITS_MIN = 4;
const DIGITS_MAX = 8;
const KEYS = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "0"];

type Wrong = "no" | "wrong" | "later" | "unreachable";

function wrongOf(error: unknown): Wrong {
  const status = error instanceof ApiError ? error.status : 0;
  return status === 0 || status >= 500 ? "unreachable" : status === 429 ? "later" : "wrong";
}

/** The PIN that the patient has chosen, asked when the page is opened. */
export function PinScreen({ face }: { face: PatientFace }) {
  const [wrong, setWrong] = useState<Wrong>("no");
  const check = (pin: string) => {
    patientApi.checkPin(pin).then(
      () => face.givePin(),
      (error: unknown) => setWrong(wrongOf(error)),
    );
  };
  return <PinPad title={t("patient.pin.title")} wrong={wrong} onDone={check} />;
}

/** Choose a PIN, another one, or none. The old one is asked first. */
export function PinSetupScreen({ face }: { face: PatientFace }) {
  const hasPin = face.hasPin.value;
  const [old, setOld] = useState<string | null>(null);
  const [wrong, setWrong] = useState<Wrong>("no");
  const [isDone, setIsDone] = useState(false);
  const leave = () => (face.page.value = "home");
  const set = (pin: string | null) => {
    patientApi.setPin(pin, old).then(
      () => {
        face.givePin();
        face.hasPin.value = pin !== null;
        setIsDone(true);
      },
      (error: unknown) => setWrong(wrongOf(error)),
    );
  };
  if (isDone) {
    return (
      <main class="message">
        <DoneMark />
        <Heading title={t(hasPin ? "patient.pin.set" : "patient.pin.removed")} />
        <div class="choices">
          <button class="button primary" data-action="pin-set" onClick={leave}>
            {t("patient.receipt.done")}
          </button>
        </div>
      </main>
    );
  }
  if (hasPin && old === null) {
    const check = (pin: string) => {
      patientApi.checkPin(pin).then(
        () => {
          setWrong("no");
          setOld(pin);
        },
        (error: unknown) => setWrong(wrongOf(error)),
      );
    };
    return <PinPad key="old" title={t("patient.pin.title")} wrong={wrong} onDone={check} onBack={leave} />;
  }
  return (
    <PinPad key="new" title={t("patient.pin.new")} wrong={wrong} onDone={set} onBack={leave} onNone={hasPin ? () => set(null) : undefined} />
  );
}

function PinPad(props: {
  title: string;
  wrong: Wrong;
  onDone(pin: string): void;
  onBack?: () => void;
  onNone?: (() => void) | undefined;
}) {
  const [pin, setPin] = useState("");
  return (
    <main class="message page-screen">
      <Heading title={props.title} />
      <p class="lead pin" role="status">
        <span aria-hidden="true">{"●".repeat(pin.length) || "–"}</span>
        <span class="hidden-text">{t("patient.pin.typed", { count: pin.length })}</span>
      </p>
      {props.wrong !== "no" && pin === "" && (
        <p class="note" role="alert">
          {t(`patient.pin.${props.wrong}`)}
        </p>
      )}
      <div class="numbers keypad">
        {KEYS.map((key) => (
          <button class="button calm number" data-action={`pin-${key}`} onClick={() => pin.length < DIGITS_MAX && setPin(pin + key)}>
            {key}
          </button>
        ))}
      </div>
      <div class="choices">
        <button class="button calm" data-action="pin-delete" onClick={() => setPin(pin.slice(0, -1))}>
          {t("patient.pin.delete")}
        </button>
        <button
          class="button primary"
          data-action="pin-done"
          disabled={pin.length < DIGITS_MIN}
          onClick={() => {
            setPin("");
            props.onDone(pin);
          }}
        >
          {t("patient.pin.done")}
        </button>
        {props.onNone && (
          <button class="button calm" data-action="pin-none" onClick={props.onNone}>
            {t("patient.pin.none")}
          </button>
        )}
        {props.onBack && (
          <button class="button calm" data-action="home" onClick={props.onBack}>
            {t("patient.back")}
          </button>
        )}
      </div>
    </main>
  );
}
