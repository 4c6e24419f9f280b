import { useState } from "preact/hooks";
import { t } from "../../shared/i18n";

/** A link to hand over: shown, to be copied. */
export function LinkToHandOver({ link, label }: { link: string; label: string }) {
  const [isCopied, setIsCopied] = useState(false);
  const copy = async () => {
    await navigator.clipboard?.writeText(link).catch(() => undefined);
    setIsCopied(true);
  };
  return (
    <div class="row">
      <label class="field wide">
        <span>{label}</span>
        <input readonly value={link} onFocus={(event) => event.currentTarget.select()} />
      </label>
      <button type="button" class="button" data-action="copy" onClick={() => void copy()}>
        {t(isCopied ? "handover.copied" : "handover.copy")}
      </button>
    </div>
  );
}
