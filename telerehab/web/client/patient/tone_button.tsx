import { useState } from "preact/hooks";
import { t } from "../shared/i18n";
import { playTone } from "../shared/tone";

export function ToneButton({ onPlayed }: { onPlayed?: () => void }) {
  const [played, setPlayed] = useState(false);
  return (
    <>
      <button
        class="button calm"
        data-action="tone"
        onClick={() => {
          playTone();
          setPlayed(true);
          onPlayed?.();
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
