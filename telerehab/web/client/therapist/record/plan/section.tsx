import { useState } from "preact/hooks";
import { t } from "../../../shared/i18n";
import { care } from "../../api";
import { longDay, momentText } from "../../format";
import { useLoad } from "../../load";
import { Panel } from "../../parts/panel";
import type { PlanVersion } from "../../types";
import { LIMIT_FIELDS, limitValueText } from "./limits";
import { draftOf, PlanEditor } from "./editor";
import { itemName, loadText, targetText, tempoText, weekdaysText } from "./sentences";
import { limitText } from "../../words";
import type { RecordProps } from "../view";
import { ChangesPanel } from "./changes";

/** The plan in force, its history, and the next version. */
export function PlanSection(props: RecordProps) {
  const { patient, face, mayWrite } = props;
  const head = useLoad(() => care.plan(patient), [patient], 10_000, face.changes.value["plan_version"]);
  const history = useLoad(() => care.planVersions(patient), [patient], undefined, head.value?.number);
  const [isEditing, setIsEditing] = useState(draftOf(patient) !== null);
  const edit = mayWrite && !isEditing && head.value !== undefined && (
    <button class="button primary" data-action="plan-edit" onClick={() => setIsEditing(true)}>
      {t(head.value === null ? "plan.begin" : "plan.edit")}
    </button>
  );
  return (
    <div class="panels">
      {isEditing && mayWrite && head.value !== undefined ? (
        <PlanEditor
          {...props}
          plan={head.value}
          onDone={() => {
            setIsEditing(false);
            void head.reload();
          }}
        />
      ) : (
        <Panel title={t("plan.title")} loaded={head} isEmpty={(version) => version === null} empty={t("plan.none")} action={edit}>
          {(version) => version && <CurrentPlan version={version} withLimits />}
        </Panel>
      )}
      <Panel title={t("plan.history")} loaded={history} isEmpty={(versions) => versions.length === 0} empty={t("plan.history.none")}>
        {(versions) => (
          <ol class="versions" reversed>
            {versions.map((version) => (
              <Version key={version.number} patient={patient} version={version} isFirst={version.number === 1} />
            ))}
          </ol>
        )}
      </Panel>
    </div>
  );
}

function Version({ patient, version, isFirst }: { patient: string; version: PlanVersion; isFirst: boolean }) {
  const [isOpen, setIsOpen] = useState(false);
  return (
    <li data-version={version.number}>
      <div class="row">
        <p>
          <strong>{t("plan.version", { number: version.number })}</strong> <code>{version.short_hash}</code> · {momentText(version.created_at)} · {version.author.display_name}
          {version.is_in_force && ` · ${t("plan.in_force")}`}
          <br />
          {t("plan.reason", { reason: version.reason })}
        </p>
        {!isFirst && (
          <button class="button small" data-action="plan-changes" aria-expanded={isOpen} aria-label={t("plan.changes.label", { number: version.number })} onClick={() => setIsOpen(!isOpen)}>
            {t("plan.changes")}
          </button>
        )}
      </div>
      {isOpen && <ChangesPanel patient={patient} from={version.number - 1} to={version.number} title={t("plan.changes.since", { number: version.number - 1 })} />}
    </li>
  );
}

/** One version as a table, with the short hash that stands on the patient's tablet too. */
export function CurrentPlan({ version, withLimits }: { version: PlanVersion; withLimits?: boolean }) {
  const { content } = version;
  return (
    <>
      <p>
        <strong>{t("plan.version", { number: version.number })}</strong> · {t("plan.hash")} <code class="hash">{version.short_hash}</code> · {t("plan.valid_from", { day: longDay(content.valid_from) })}
      </p>
      {!version.is_in_force && <p class="warning">{t("plan.not_yet", { day: longDay(content.valid_from) })}</p>}
      {version.template && <p class="example">{t("library.not_reviewed")}</p>}
      <div class="table-box" tabIndex={0} role="group" aria-label={t("plan.exercises")}>
        <table>
          <thead>
            <tr>
              <th scope="col">{t("room.exercise")}</th>
              <th scope="col">{t("plan.dose")}</th>
              <th scope="col">{t("plan.field.target")}</th>
              <th scope="col">{t("plan.field.tempo")}</th>
              <th scope="col">{t("plan.field.load")}</th>
              <th scope="col">{t("plan.field.weekdays")}</th>
            </tr>
          </thead>
          <tbody>
            {content.items.map((item) => (
              <tr key={`${item.exercise} ${item.local_exercise_id} ${item.side}`}>
                <th scope="row">{itemName(item)}</th>
                <td>{t("plan.sets", { sets: item.sets, repetitions: item.repetitions })}</td>
                <td>{targetText(item.target_low_deg, item.target_high_deg)}</td>
                <td>{tempoText(item.tempo)}</td>
                <td>{loadText(item)}</td>
                <td>{weekdaysText(item.weekdays)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {withLimits && (
        <>
          <h3>{t("plan.limits")}</h3>
          <dl class="facts">
            {LIMIT_FIELDS.map((field) => (
              <div key={field.name}>
                <dt>{limitText(field.name)}</dt>
                <dd>{limitValueText(content.limits[field.name])}</dd>
              </div>
            ))}
          </dl>
        </>
      )}
    </>
  );
}
