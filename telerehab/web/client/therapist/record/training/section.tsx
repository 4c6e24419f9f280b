import { useState } from "preact/hooks";
import { exerciseText } from "../../../shared/codes";
import { t } from "../../../shared/i18n";
import { care } from "../../api";
import { addDays, isoDay, momentText } from "../../format";
import { useLoad } from "../../load";
import { Panel } from "../../parts/panel";
import type { TrainingSession } from "../../types";
import { closeReasonText } from "../../words";
import type { RecordProps } from "../view";
import { AdherenceCalendar } from "./calendar";
import { ResultsView } from "./results";
import { RetractDialog } from "./retract";

const WEEKS_SHOWN = 4;

/** Adherence by day, and the training sessions with what came of them. */
export function TrainingSection(props: RecordProps) {
  const { patient, mayWrite, face } = props;
  const [weeks, setWeeks] = useState(WEEKS_SHOWN);
  const today = isoDay(new Date());
  const loaded = useLoad(() => care.trainingSessions(patient, addDays(today, -7 * weeks), addDays(today, 1)), [patient, weeks], undefined, face.changes.value["training_session"]);
  const [open, setOpen] = useState<string | null>(null);
  const [wrong, setWrong] = useState<TrainingSession | null>(null);
  return (
    <div class="panels">
      <AdherenceCalendar {...props} />
      <Panel title={t("training.title")} loaded={loaded} isEmpty={(sessions) => sessions.length === 0} empty={t("training.none", { weeks })}>
        {(sessions) => (
          <>
            <ul class="training-list">
              {[...sessions].sort((one, other) => other.opened_at.localeCompare(one.opened_at)).map((session) => (
                <li key={session.id} data-training={session.id}>
                  <div class="row">
                    <p>
                      <strong>{momentText(session.opened_at)}</strong> · {exerciseText(session)} · {t(session.live_session_id ? "training.live" : session.helper_id ? "training.with_helper" : "training.alone")}
                      {" · "}
                      {session.closed_at === null ? t("training.open") : session.close_reason ? closeReasonText(session.close_reason) : t("training.closed")}
                    </p>
                    <button class="button small" data-action="results" aria-expanded={open === session.id} aria-label={t("training.results.label", { day: momentText(session.opened_at) })} onClick={() => setOpen(open === session.id ? null : session.id)}>
                      {t("training.results")}
                    </button>
                    {mayWrite && (
                      <button class="button small danger" data-action="retract" aria-label={t("retract.label", { day: momentText(session.opened_at) })} onClick={() => setWrong(session)}>
                        {t("retract.button")}
                      </button>
                    )}
                  </div>
                  {open === session.id && <ResultsView trainingSession={session.id} mayWrite={mayWrite} />}
                </li>
              ))}
            </ul>
            <button class="button small" data-action="more-weeks" onClick={() => setWeeks(weeks + WEEKS_SHOWN)}>
              {t("training.more", { weeks: weeks + WEEKS_SHOWN })}
            </button>
          </>
        )}
      </Panel>
      {wrong && <RetractDialog {...props} training={wrong} onClose={() => setWrong(null)} onDone={() => void loaded.reload()} />}
    </div>
  );
}
