import { keyOr, t, type TextKey } from "../shared/i18n";
import { momentText } from "../therapist/format";
import { useLoad, useSaving } from "../therapist/load";
import { Panel, SaveState } from "../therapist/parts/panel";
import { useState } from "preact/hooks";
import { office, type LogEntry, type Look, type Outcome } from "./api";
import { roleText } from "./staff";

const OUTCOMES: readonly Outcome[] = ["justified", "not_justified"];
const PAGE = 100;

/** Looks at patients in nobody's care: each with its reason, to be judged in time. */
export function ReviewsView() {
  const loaded = useLoad(office.looks, []);
  return (
    <div class="panels">
      <Panel title={t("office.reviews.title")} loaded={loaded} isEmpty={(list) => list.length === 0} empty={t("office.reviews.empty")}>
        {(list) => (
          <ul class="plain-list">
            {list.map((look) => (
              <LookRow key={look.id} look={look} onChanged={loaded.reload} />
            ))}
          </ul>
        )}
      </Panel>
    </div>
  );
}

function LookRow({ look, onChanged }: { look: Look; onChanged: () => Promise<void> }) {
  const saving = useSaving();
  const review = async (outcome: Outcome) => {
    if (await saving.run(() => office.review(look.id, outcome))) await onChanged();
  };
  const isLate = look.outcome === null && new Date(look.review_due_at) < new Date();
  return (
    <li class="stack">
      <p>
        <strong>{look.actor_name}</strong> · {momentText(look.starts_at)} – {momentText(look.ends_at)}
      </p>
      <p>{t("office.reviews.reason", { reason: look.reason ?? "–" })}</p>
      {look.outcome ? (
        <p>{t("office.reviews.judged", { outcome: outcomeText(look.outcome), time: momentText(look.reviewed_at) })}</p>
      ) : (
        <>
          <p class={isLate ? "problem" : ""}>{t(isLate ? "office.reviews.late" : "office.reviews.due", { time: momentText(look.review_due_at) })}</p>
          <div class="row">
            {OUTCOMES.map((outcome) => (
              <button
                key={outcome}
                type="button"
                class="button"
                data-action={`review-${outcome}`}
                aria-label={t("office.reviews.judge.label", { outcome: outcomeText(outcome), name: look.actor_name })}
                onClick={() => void review(outcome)}
              >
                {outcomeText(outcome)}
              </button>
            ))}
          </div>
        </>
      )}
      <SaveState saving={saving} />
    </li>
  );
}

function outcomeText(outcome: Outcome): string {
  return t(`office.reviews.${outcome}` as TextKey as "app.name");
}

/** What was looked at, decided and refused, the newest first: ids and roles, names of staff, no patient's. */
export function LogView() {
  const [before, setBefore] = useState<number | null>(null);
  const loaded = useLoad(() => office.log(before, PAGE), [before]);
  return (
    <div class="panels">
      <Panel title={t("office.log.title")} loaded={loaded} isEmpty={(list) => list.length === 0} empty={t("office.log.empty")}>
        {(list) => (
          <>
            <LogTable entries={list} />
            <div class="row">
              {before !== null && (
                <button type="button" class="button" data-action="log-newest" onClick={() => setBefore(null)}>
                  {t("office.log.newest")}
                </button>
              )}
              {list.length === PAGE && (
                <button type="button" class="button" data-action="log-older" onClick={() => setBefore(list.at(-1)?.sequence ?? null)}>
                  {t("office.log.older")}
                </button>
              )}
            </div>
          </>
        )}
      </Panel>
    </div>
  );
}

function LogTable({ entries }: { entries: LogEntry[] }) {
  if (entries.length === 0) return null;
  return (
    <table>
      <thead>
        <tr>
          <th scope="col">{t("office.log.number")}</th>
          <th scope="col">{t("office.log.time")}</th>
          <th scope="col">{t("office.log.who")}</th>
          <th scope="col">{t("office.log.what")}</th>
          <th scope="col">{t("office.log.patient")}</th>
        </tr>
      </thead>
      <tbody>
        {entries.map((entry) => (
          <tr key={entry.sequence}>
            <td>{entry.sequence}</td>
            <td>{momentText(entry.at)}</td>
            <td>
              {entry.who ?? "–"} ({actorText(entry.actor_role)})
            </td>
            <td>
              {actionText(entry.action)}
              {!entry.allowed && <strong> · {t("office.log.refused")}</strong>}
            </td>
            <td>{entry.patient_id ? <code>{entry.patient_id.slice(0, 8)}</code> : "–"}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function actorText(role: string): string {
  return role === "tablet" || role === "helper" ? t(`office.actor.${role}`) : roleText(role);
}

/** In words; an action of another version is shown by its code. */
function actionText(action: string): string {
  const key = keyOr(`access.${action}` as TextKey, "office.log.other");
  return key === "office.log.other" ? `${t(key)} ${action}` : t(key as "office.log.other");
}
