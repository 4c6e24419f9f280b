import { t } from "../../../shared/i18n";
import { care } from "../../api";
import { useLoad } from "../../load";
import { Panel } from "../../parts/panel";
import { changeText } from "./sentences";

/** What differs between two versions, one sentence each. */
export function ChangesPanel({ patient, from, to, title }: { patient: string; from: number; to: number; title: string }) {
  const loaded = useLoad(() => care.planDiff(patient, from, to), [patient, from, to]);
  return (
    <Panel title={title} loaded={loaded} class="inner" isEmpty={({ changes }) => changes.length === 0} empty={t("plan.changes.none")}>
      {({ changes }) => (
        <ul class="plain-list changes">
          {changes.map((change, index) => (
            <li key={index}>{changeText(change)}</li>
          ))}
        </ul>
      )}
    </Panel>
  );
}
