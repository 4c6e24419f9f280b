import { useState } from "preact/hooks";
import { ApiError } from "../shared/api";
import { t } from "../shared/i18n";
import { patientApi } from "./api";
import type { PatientFace } from "./face";
import { Heading } from "./message";

const DIGITS_MAX = 8;
const KEYS = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "0"];

/** The PIN that the patient has chosen, asked when the page is opened. */
export function PinScreen({ face }: { face: PatientFace }) {
  const [pin, setPin] = useState("");
  const [wrong, setWrong] = useState<"no" | "wrong" | "later" | "unreachable">("no");
  const check = () => {
    patientApi.checkPin(pin).then(
      () => face.givePin(),
      (error: unknown) => {
        const status = error instanceof ApiError ? error.status : 0;
        setPin("");
        setWrong(status === 0 || status >= 500 ? "unreachable" : status === 429 ? "later" : "wrong");
      },
    );
  };
  return (
    <main class="message page-screen">
      <Heading title={t("patient.pin.title")} />
      <p class="lead pin" role="status" aria-label={t("patient.pin.typed", { count: pin.length })}>
        {"●".repeat(pin.length) || "–"}
      </p>
      {wrong !== "no" && pin === "" && (
        <p class="note" role="alert">
          {t(`patient.pin.${wrong}`)}
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
        <button class="button calm" data-action="pin-back" onClick={() => setPin(pin.slice(0, -1))}>
          {t("patient.pin.delete")}
        </button>
        <button class="button primary" data-action="pin-done" onClick={check}>
          {t("patient.pin.done")}
        </button>
      </div>
    </main>
  );
}
