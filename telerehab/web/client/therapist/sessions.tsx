import type { LiveSessionSummary } from "../shared/api";
import { keyOr, t } from "../shared/i18n";

/** Live sessions that are planned, open or running, with the way in. */
export function SessionList({ sessions, heading: Heading }: { sessions: readonly LiveSessionSummary[]; heading: "h2" | "h3" }) {
  return (
    <ul class="sessions">
      {sessions.map((session) => (
        <li key={session.id}>
          <div>
            <Heading>{session.title}</Heading>
            <p>{t(keyOr(`state.${session.state}`, "state.open") as "state.open")}</p>
          </div>
          <a class="button primary" data-action="open" href={`#/live/${session.id}`} aria-label={t("therapist.lobby.open.label", { title: session.title })}>
            {t("therapist.lobby.open")}
          </a>
        </li>
      ))}
    </ul>
  );
}
