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
          <Arrived trainingSession={trainingSession} />
          {results.sets.length > 0 && <SetTable results={results} mayWrite={mayWrite} onWithdraw={(id) => void withdraw(id)} />}
          {results.outside.length > 0 && <p>{t("training.outside", { count: results.outside.length })}</p>}
          {results.corrections
            .filter((correction) => correction.training_set_id === null)
            .map((correction) => (
              <CorrectionLine key={correction.id} correction={correction} mayWrite={mayWrite} onWithdraw={() => void withdraw(correction.id)} />
            ))}
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

/** How much of what the sensors measured stands behind the figures; in words where it is too little. */
function Arrived({ trainingSession }: { trainingSession: string }) {
  const { value: ledger, error } = useLoad(() => care.ledger(trainingSession), [trainingSession]);
  if (error !== null) return <p class="soft">{t("ledger.unknown")}</p>;
  if (ledger === undefined) return null;
  const missing = ledger.streams.reduce((sum, stream) => sum + stream.missing, 0);
  const lost = ledger.streams.reduce((sum, stream) => sum + Object.values(stream.lost).reduce((one, other) => one + other, 0), 0);
  const percent = ledger.completeness === null ? null : Math.floor(ledger.completeness * 100);
  return (
    <p class={ledger.is_incomplete ? "problem" : "soft"} data-completeness={percent ?? ""}>
      {percent === null ? t("ledger.unknown") : t(ledger.is_incomplete ? "ledger.marked" : "ledger.whole", { percent })}
      {missing > 0 && ` ${t("ledger.missing", { count: missing })}`}
      {lost > 0 && ` ${t("ledger.lost", { count: lost })}`}
      {ledger.silent.length > 0 && ` ${t("ledger.silent", { names: ledger.silent.join(", ") })}`}
    </p>
  );
}

/** A number of repetitions; "not measured" where nobody counted. */
export function countText(count: number | null, target: number | null): string {
  if (count === null) return t("trust.unknown");
  return target === null ? plainNumber(count) : t("training.counted", { count, target });
}

/** What holds, with what was counted first beside it where that differs. */
export function countedText(set: Pick<SetResult, "counted" | "original_count" | "target_repetitions">): string {
  const holds = countText(set.counted, set.target_repetitions);
  if (set.counted === set.original_count) return holds;
  return t("training.corrected", { count: holds, original: countText(set.original_count, null) });
}

function completenessText({ completeness, is_incomplete }: Pick<SetResult, "completeness" | "is_incomplete">): string {
  if (completeness === null) return t("trust.unknown");
  return t(is_incomplete ? "completeness.marked" : "room.number.percent", { percent: Math.floor(completeness * 100) });
}

export function setName(set: SetResult, index: number): string {
  return t("training.set", { exercise: exerciseText(set), number: set.set_number ?? set.number ?? index + 1 });
}

function SetTable({ results, mayWrite, onWithdraw }: { results: Results; mayWrite: boolean; onWithdraw: (id: string) => void }) {
  return (
    <div class="table-box" tabIndex={0} role="group" aria-label={t("training.sets")}>
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
  const level = trustLevel(set.trust === null ? null : Math.round(set.trust * 100));
  return (
    <>
      <tr>
        <th scope="row">{name}</th>
        <td>
          {countedText(set)}
          {!set.is_valid && ` · ${t("correction.kind.not_valid")}`}
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
        <td class={set.is_incomplete ? "problem" : ""}>{completenessText(set)}</td>
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
  const count = correction.corrected["repetitions"];
  const isWithdrawn = correction.withdrawn_at !== null;
  return (
    <p class={`correction ${isWithdrawn ? "withdrawn" : ""}`}>
      {correctionKindText(correction.kind)}
      {typeof count === "number" && `: ${count}`}
      {correction.note && `: ${correction.note}`} <span class="soft">({momentText(correction.at)}{correction.author ? `, ${correction.author}` : ""})</span>{" "}
      {isWithdrawn && t("correction.withdrawn")}
      {mayWrite && !isWithdrawn && (
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
