import { useState } from "preact/hooks";
import { t } from "../../shared/i18n";
import { care } from "../api";
import type { TherapistFace } from "../face";
import { momentText } from "../format";
import { useLoad, useSaving } from "../load";
import { Panel, SaveState } from "../parts/panel";
import { LinkToHandOver } from "../parts/qr";
import { AppointmentsPanel } from "./appointments";

/** My appointments, and the address under which my own calendar reads them. */
export function CalendarView({ face }: { face: TherapistFace }) {
  const [address, setAddress] = useState<string | null>(null);
  const loaded = useLoad(care.feeds, []);
  const saving = useSaving();
  const make = async () => {
    const isMade = await saving.run(async () => setAddress(new URL((await care.makeFeed()).address, location.href).href));
    if (isMade) await loaded.reload();
  };
  const end = async (feed: string) => {
    if (await saving.run(() => care.endFeed(feed))) await loaded.reload();
  };
  return (
    <main class="page">
      <h1>{t("nav.calendar")}</h1>
      <div class="panels">
        <AppointmentsPanel face={face} />
        <Panel title={t("feed.title")} loaded={loaded}>
          {(feeds) => (
            <>
              <p>{t("feed.text")}</p>
              <ul class="plain-list">
                {feeds.map((feed) => (
                  <li key={feed.id} class="row">
                    <span>{t("feed.made", { time: momentText(feed.created_at) })}</span>
                    <button class="button small danger" data-action="feed-end" aria-label={t("feed.end.label", { time: momentText(feed.created_at) })} onClick={() => void end(feed.id)}>
                      {t("feed.end")}
                    </button>
                  </li>
                ))}
              </ul>
              {address !== null && (
                <>
                  <LinkToHandOver link={address} label={t("feed.address")} />
                  <p>{t("feed.once")}</p>
                </>
              )}
              <SaveState saving={saving} />
              <button class="button" data-action="feed-make" aria-disabled={saving.isWorking} onClick={() => void make()}>
                {t("feed.make")}
              </button>
            </>
          )}
        </Panel>
      </div>
    </main>
  );
}
