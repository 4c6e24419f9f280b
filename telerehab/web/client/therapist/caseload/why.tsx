import { useState } from "preact/hooks";
import { t } from "../../shared/i18n";
import { care } from "../api";
import { momentText, shortDay } from "../format";
import { useLoad, useSaving } from "../load";
import { Dialog } from "../parts/dialog";
import { Form, TextArea } from "../parts/fields";
import { Panel, SaveState } from "../parts/panel";
import { PersonName } from "../parts/person";
import type { FlagDetail, FlagRead, Person } from "../types";
import { flagRuleText, flagStateText, flagText, sourceText, withUnit } from "../words";

/** The data that a flag was made from, and what was done about it. */
export function WhyDialog({ flag, person, onClose, onChanged }: { flag: FlagRead; person: Person; onClose: () => void; onChanged: () => void }) {
  const loaded = useLoad(() => care.flag(flag.id), [flag.id]);
  const saving = useSaving();
  const [note, setNote] = useState("");
  const act = async (action: "acknowledged" | "resolved") => {
    if (!(await saving.run(() => care.actOnFlag(flag.id, flag.version, action, note.trim() || null)))) return;
    onChanged();
    onClose();
  };
  return (
    <Dialog title={flagText(flag)} onClose={onClose} class="wide">
      <p>
        <PersonName person={person} />
      </p>
      <p>{flagRuleText(flag)}</p>
      <Panel title={t("flag.evidence")} loaded={loaded} isEmpty={(detail) => detail.evidence.length === 0} empty={t("flag.evidence.none")}>
        {(detail) => <EvidenceTable detail={detail} />}
      </Panel>
      <Form onSubmit={() => void act("acknowledged")}>
        <TextArea label={t("form.note")} required={false} value={note} onChange={setNote} name="note" />
        <SaveState saving={saving} />
        <div class="row">
          <button class="button primary" data-action="flag-acknowledge" aria-disabled={saving.isWorking}>
            {t("flag.acknowledge")}
          </button>
          <button type="button" class="button" data-action="flag-resolve" aria-disabled={saving.isWorking} onClick={() => void act("resolved")}>
            {t("flag.resolve")}
          </button>
        </div>
        <p class="soft">{t("flag.acknowledge.hint")}</p>
      </Form>
    </Dialog>
  );
}

function EvidenceTable({ detail }: { detail: FlagDetail }) {
  const { evidence, actions } = detail;
  return (
    <>
      {evidence.length > 0 && (
        <div class="table-box" tabIndex={0} role="group" aria-label={t("flag.evidence")}>
          <table>
            <thead>
              <tr>
                <th scope="col">{t("table.day")}</th>
                <th scope="col">{t("table.source")}</th>
                <th scope="col" class="number">
                  {t("table.value")}
                </th>
              </tr>
            </thead>
            <tbody>
              {evidence.map((one) => (
                <tr key={`${one.source} ${one.id} ${one.day}`}>
                  <th scope="row">{shortDay(one.day)}</th>
                  <td>{sourceText(one.source)}</td>
                  <td class="number">{withUnit(one.value, detail.unit)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {actions.length > 0 && (
        <ul class="plain-list">
          {actions.map((action) => (
            <li key={action.id}>
              {momentText(action.at)}: {flagStateText(action.action)}, {action.display_name}
              {action.note && `: ${action.note}`}
            </li>
          ))}
        </ul>
      )}
    </>
  );
}
