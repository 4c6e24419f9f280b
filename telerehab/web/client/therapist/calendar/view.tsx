import { useState } from "preact/hooks";
import { t } from "../../shared/i18n";
import { care } from "../api";
import type { TherapistFace } from "../face";
import { useSaving } from "../load";
import { SaveState } from "../parts/panel";
import { LinkToHandOver } from "../parts/qr";
import { AppointmentsPanel } from "./appointments";

/** My appointments, and the address under which my own calendar reads them. */
export function CalendarView({ face }: { face: TherapistFace }) {
  const [address, setAddress] = useState<string | null>(null);
  const saving = useSaving();
  const make = () => saving.run(async () => setAddress(new URL((await care.makeFeed()).address, location.href).href));
  return (
    <main class="page">
      <h1>{t("nav.calendar")}</h1>
      <div class="panels">
        <AppointmentsPanel face={face} />
        <section class="panel" aria-labelledby="feed">
          <h2 id="feed">{t("feed.title")}</h2>
          <p>{t("feed.text")}</p>
          {address === null ? (
            <button class="button" data-action="feed-make" aria-disabled={saving.isWorking} onClick={() => void make()}>
              {t("feed.make")}
            </button>
          ) : (
            <LinkToHandOver link={address} label={t("feed.address")} />
          )}
          <SaveState saving={saving} done={t("feed.once")} />
        </section>
      </div>
    </main>
  );
}
