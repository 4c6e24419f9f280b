import { useState } from "preact/hooks";
import { t } from "../../shared/i18n";
import { care } from "../api";
import { momentText } from "../format";
import { useSaving } from "../load";
import type { RingState } from "../types";
import { Dialog } from "./dialog";
import { SaveState } from "./panel";

/** Why a device cannot be lent yet, what to do about it, and how far that is. */
export function RingNote({ device, onChanged }: { device: RingState; onChanged: () => Promise<void> }) {
  const [isAsking, setIsAsking] = useState(false);
  const saving = useSaving();
  if (device.hindrance === null) return null;
  const wipe = async () => {
    if (!(await saving.run(() => care.wipe(device.name)))) return;
    setIsAsking(false);
    await onChanged();
  };
  return (
    <div class="stack" data-hindrance={device.hindrance}>
      <p class="problem">
        <strong>{device.name}</strong>: {t(`problem.${device.hindrance}`)} {device.bytes_kept ? t("device.keeps", { kilobytes: Math.ceil(device.bytes_kept / 1000) }) : ""}
      </p>
      {device.wipe_asked_at !== null && <p role="status">{t("device.wipe.waiting", { time: momentText(device.wipe_asked_at) })}</p>}
      <p>
        <button type="button" class="button small danger" data-action="wipe" aria-label={t("device.wipe.label", { name: device.name })} onClick={() => setIsAsking(true)}>
          {t("device.wipe")}
        </button>
      </p>
      {isAsking && (
        <Dialog title={t("device.wipe.question")} onClose={() => setIsAsking(false)}>
          <p>{t("device.wipe.text", { name: device.name })}</p>
          <SaveState saving={saving} />
          <button type="button" class="button danger" data-action="wipe-yes" aria-disabled={saving.isWorking} onClick={() => void wipe()}>
            {t("device.wipe")}
          </button>
        </Dialog>
      )}
    </div>
  );
}
