import { t } from "../shared/i18n";
import { Voice } from "../shared/parts";
import type { PatientFace } from "./face";
import { waitsFor } from "./gate";
import { Heading } from "./message";
import { Telephone } from "./telephone";

/** Training is stopped. There is one way on, the confirmation, and one way out, which is always open. */
export function GateScreen({ face }: { face: PatientFace }) {
  const gate = face.guard.gate.value;
  const room = face.room.value;
  const therapist = face.therapist.value;
  if (gate === null) return null;
  const isConfirmed = gate.stops.state === "confirmed";
  const isMine = !isConfirmed && waitsFor(gate) === "patient";
  const name = face.name() || t("patient.gate.therapist");
  const stopButton = (
    <button class="button stop" data-action="gate-stop" onClick={() => face.stopForToday()}>
      {t("patient.gate.stop")}
    </button>
  );
  return (
    <main class={`message gate ${isConfirmed || isMine ? "" : "closed"}`} data-gate={gate.stops.state}>
      {room && therapist && (
        <Voice stream={room.streamOf(therapist.id, "audio")} onBlocked={(start) => (face.soundBlocked.value = start)} />
      )}
      <Heading title={t(isConfirmed ? "patient.gate.open" : isMine ? "patient.gate.own" : "patient.gate.stop_now")} />
      {isConfirmed || isMine ? (
        <>
          <p class="lead" role="status">
            {isConfirmed ? t("patient.gate.open.text", { name }) : t("patient.gate.own.text")}
          </p>
          <div class="choices">
            <button
              class="button primary"
              data-action="gate-go-on"
              onClick={() => (isConfirmed ? face.passGate() : void face.guard.confirmMyself())}
            >
              {t(isConfirmed ? "patient.gate.go_on" : "patient.gate.ready")}
            </button>
            {stopButton}
          </div>
        </>
      ) : (
        <>
          <p class="lead" role="alert">
            {t("patient.gate.text", { name })}
          </p>
          <Telephone face={face} />
          <p class="note" role="status">
            {t(!face.guard.isReached.value ? "patient.gate.offline" : gate.isKnownThere ? "patient.gate.told" : "patient.gate.telling", { name })}
          </p>
          <div class="choices">{stopButton}</div>
        </>
      )}
    </main>
  );
}
