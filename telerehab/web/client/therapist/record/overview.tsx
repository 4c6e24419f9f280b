import { useState } from "preact/hooks";
import { t } from "../../shared/i18n";
import { care } from "../api";
import { FlagLine } from "../caseload/row";
import { daysOf, needsMe } from "../caseload/order";
import { AdherenceStrip } from "../caseload/strip";
import { WhyDialog } from "../caseload/why";
import { agoText, momentText } from "../format";
import { useLoad } from "../load";
import { Panel } from "../parts/panel";
import type { FlagRead } from "../types";
import { needText } from "../words";
import { CurrentPlan } from "./plan/section";
import type { RecordProps } from "./view";

/** What stands now: flags with their reasons, the last fortnight in numbers, the plan in force. */
export function OverviewSection(props: RecordProps) {
  const { patient, head, face } = props;
  const [why, setWhy] = useState<FlagRead | null>(null);
  const loaded = useLoad(care.caseload, [patient], 15_000, face.changes.value["flag"]);
  const plan = useLoad(() => care.plan(patient), [patient], undefined, face.changes.value["plan_version"]);
  const find = (patients: { id: string }[]) => patients.some((each) => each.id === patient);
  return (
    <div class="panels">
      <Panel title={t("record.now")} loaded={loaded} isEmpty={({ patients }) => !find(patients)} empty={t("record.not_in_caseload")}>
        {({ patients }) => {
          const one = patients.find((each) => each.id === patient);
          if (!one) return null;
          return (
            <>
              <p>{needText(one.rank_reason)}</p>
              <ul class="case-flags" aria-label={t("record.flags")}>
                {one.flags.map((flag) => (
                  <FlagLine key={flag.id} flag={flag} patient={one} onWhy={() => setWhy(flag)} />
                ))}
                {one.flags.length === 0 && <li class="soft">{t(needsMe(one) ? "caseload.no_other_flags" : "caseload.no_flags")}</li>}
              </ul>
              <dl class="facts">
                <div>
                  <dt>{t("caseload.pain")}</dt>
                  <dd>{one.pain_last === null ? t("value.none") : t("value.of_ten", { value: one.pain_last })}</dd>
                </div>
                <div>
                  <dt>{t("caseload.last_training")}</dt>
                  <dd>{one.last_training_at === null ? t("caseload.never") : `${momentText(one.last_training_at)} (${agoText(one.last_training_at)})`}</dd>
                </div>
                <div>
                  <dt>{t("caseload.adherence")}</dt>
                  <dd>
                    <AdherenceStrip days={daysOf(one)} />
                  </dd>
                </div>
              </dl>
            </>
          );
        }}
      </Panel>
      <Panel
        title={t("plan.title")}
        loaded={plan}
        isEmpty={(version) => version === null}
        empty={t("plan.none")}
        action={
          <a class="button small" href={`#/patients/${patient}/plan`}>
            {t("plan.to")}
          </a>
        }
      >
        {(version) => version && <CurrentPlan version={version} />}
      </Panel>
      {why && <WhyDialog flag={why} person={head} onClose={() => setWhy(null)} onChanged={() => void loaded.reload()} />}
    </div>
  );
}

