import { useState } from "preact/hooks";
import { exerciseText, reasonText, trustLevel } from "../../../shared/codes";
import { t } from "../../../shared/i18n";
import { TrustShape } from "../../../shared/parts";
import { care } from "../../api";
import { momentText, plainNumber } from "../../format";
import { useLoad } from "../../load";
import { Panel } from "../../parts/panel";
import type { Correction, Results, SetResult } from "../../types";
import { correctionKindText, reportKindText, reportPhaseText } from "../../words";
import { CorrectionForm } from "./correction";

/** What came of one training session: what was measured, what was corrected beside it, and what the patient said. */
export function ResultsView({ trainingSession, mayWrite }: { trainingSession: string; mayWrite: boolean }) {
  const loaded = useLoad(() => care.results(trainingSession), [trainingSession]);
  const [correcting, setCorrecting] = useState(false);
  const withdraw = async (id: string) => {
    await care.withdrawCorrection(id).catch(() => null);
    await loaded.reload();
  };
  return (
    <Panel title={t("training.results")} loaded={loaded} class="inner" isEmpty={(results) => results.sets.length === 0} empty={t("training.results.none")}>
      {(results) => (
        <>
          {results.sets.length > 0 && <SetTable results={results} mayWrite={mayWrite} onWithdraw={(id) => void withdraw(id)} />}
          <SelfReports results={results} />
          {mayWrite &&
            (correcting ? (
              <CorrectionForm
                trainingSession={trainingSession}
                sets={results.sets}
                onDone={() => {
                  setCorrecting(false);
                  void loaded.reload();
                }}
              />
            ) : (
              <button class="button small" data-action="correct" onClick={() => setCorrecting(true)}>
                {t("correction.begin")}
              </button>
            ))}
        </>
      )}
    </Panel>
  );
}

/** A number as counted; "not measured" where nobody counted. */
export function countedText(set: Pick<SetResult, "counted" | "target_repetitions">): string {
  if (set.counted === null) return t("trust.unknown");
  return set.target_repetitions === null ? plainNumber(set.counted) : t("training.counted", { count: set.counted, target: set.target_repetitions });
}

export function setName(set: SetResult, index: number): string {
  return t("training.set", { exercise: exerciseText(set), number: set.set_number ?? index + 1 });
}

function SetTable({ results, mayWrite, onWithdraw }: { results: Results; mayWrite: boolean; onWithdraw: (id: string) => void }) {
  return (
    <div class="table-box" tabIndex={0} role="region" aria-label={t("training.sets")}>
      <table>
        <thead>
          <tr>
            <th scope="col">{t("training.set.title")}</th>
            <th scope="col">{t("room.number.repetitions")}</th>
            <th scope="col">{t("training.rom")}</th>
            <th scope="col">{t("room.number.trust")}</th>
            <th scope="col">{t("room.number.completeness")}</th>
            <th scope="col">{t("correction.title")}</th>
          </tr>
        </thead>
        <tbody>
          {results.sets.map((set, index) => (
            <SetRow key={set.id ?? index} set={set} name={setName(set, index)} mayWrite={mayWrite} onWithdraw={onWithdraw} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function SetRow({ set, name, mayWrite, onWithdraw }: { set: SetResult; name: string; mayWrite: boolean; onWithdraw: (id: string) => void }) {
  const [isOpen, setIsOpen] = useState(false);
  const percent = set.trust === null ? null : Math.round(set.trust <= 1 ? set.trust * 100 : set.trust);
  const level = trustLevel(percent);
  return (
    <>
      <tr>
        <th scope="row">{name}</th>
        <td>
          {countedText(set)}
          {set.repetitions.length > 0 && (
            <>
              {" "}
              <button class="button small" data-action="repetitions" aria-expanded={isOpen} aria-label={t("training.each.label", { set: name })} onClick={() => setIsOpen(!isOpen)}>
                {t("training.each")}
              </button>
            </>
          )}
        </td>
        <td>{set.rom_median_deg === null ? t("trust.unknown") : t("unit.deg", { number: plainNumber(set.rom_median_deg) })}</td>
        <td>
          <span class={`mark trust-${level}`}>
            <TrustShape level={level} /> {t(`trust.${level}`)}
          </span>
        </td>
        <td>{set.completeness === null ? t("trust.unknown") : t("room.number.percent", { percent: Math.round(set.completeness <= 1 ? set.completeness * 100 : set.completeness) })}</td>
        <td>
          {set.corrections.length === 0 && <span class="soft">{t("correction.none")}</span>}
          {set.corrections.map((correction) => (
            <CorrectionLine key={correction.id} correction={correction} mayWrite={mayWrite} onWithdraw={() => onWithdraw(correction.id)} />
          ))}
        </td>
      </tr>
      {isOpen && (
        <tr>
          <td colSpan={6}>
            <ol class="repetitions">
              {set.repetitions.map((repetition) => (
                <li key={repetition.index}>
                  {repetition.rom_deg === null ? t("trust.unknown") : t("unit.deg", { number: plainNumber(repetition.rom_deg) })}
                  {repetition.reason !== 0 && ` (${reasonText(repetition.reason)})`}
                </li>
              ))}
            </ol>
          </td>
        </tr>
      )}
    </>
  );
}

function CorrectionLine({ correction, mayWrite, onWithdraw }: { correction: Correction; mayWrite: boolean; onWithdraw: () => void }) {
  const count = correction.corrected["count"] ?? correction.corrected["repetitions"] ?? correction.corrected["repetition_count"];
  return (
    <p class="correction">
      {correctionKindText(correction.kind)}
      {typeof count === "number" && `: ${count}`}
      {correction.note && `: ${correction.note}`} <span class="soft">({momentText(correction.at)}{correction.author ? `, ${correction.author}` : ""})</span>{" "}
      {mayWrite && (
        <button class="button small" data-action="correction-withdraw" onClick={onWithdraw}>
          {t("correction.withdraw")}
        </button>
      )}
    </p>
  );
}

function SelfReports({ results }: { results: Results }) {
  const reports = results.self_reports;
  return (
    <>
      <h3>{t("report.title")}</h3>
      {reports.length === 0 && <p class="empty">{t("report.none")}</p>}
      <ul class="plain-list">
        {reports.map((report) => (
          <li key={report.id}>
            {reportKindText(report.kind)}
            {report.value !== null && `: ${t("value.of_ten", { value: report.value })}`} · {reportPhaseText(report.phase)} · {momentText(report.at)}
          </li>
        ))}
      </ul>
    </>
  );
}
