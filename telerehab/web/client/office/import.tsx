import { useState } from "preact/hooks";
import { keyOr, t, type TextKey } from "../shared/i18n";
import { momentText } from "../therapist/format";
import { useLoad, useSaving } from "../therapist/load";
import { Panel, SaveState } from "../therapist/parts/panel";
import { office, type ImportAnswer, type ImportFault } from "./api";

const FAULTS_SHOWN_MAX = 100;

/** Patients from a file: looked at first, written when nothing is wrong, and taken back as a whole. */
export function ImportView() {
  const past = useLoad(office.imports, []);
  const [content, setContent] = useState<string | null>(null);
  const [fileName, setFileName] = useState("");
  const [answer, setAnswer] = useState<ImportAnswer | null>(null);
  const saving = useSaving();
  const choose = async (file: File | undefined) => {
    setAnswer(null);
    saving.clear();
    if (!file) return;
    const text = await readBase64(file);
    setContent(text);
    setFileName(file.name);
    await saving.run(async () => setAnswer(await office.importPatients(text, true)));
  };
  const write = async () => {
    if (content === null) return;
    const isWritten = await saving.run(async () => {
      setAnswer(await office.importPatients(content, false));
      setContent(null);
    });
    if (isWritten) await past.reload();
  };
  const undo = async (id: string) => {
    if (await saving.run(() => office.undoImport(id))) await past.reload();
  };
  return (
    <div class="panels">
      <section class="panel" aria-labelledby="import-file">
        <h2 id="import-file">{t("office.import.title")}</h2>
        <p>{t("office.import.columns")}</p>
        <label class="field">
          <span>{t("office.import.file")}</span>
          <input type="file" accept=".csv,text/csv,text/plain" onChange={(event) => void choose(event.currentTarget.files?.[0])} />
        </label>
        {saving.isWorking && <p role="status">{t("office.import.working")}</p>}
        {answer && (
          <div role="status">
            <p>
              <strong>{answer.import_id ? t("office.import.done", { count: answer.rows_ok }) : t("office.import.tried", { name: fileName, count: answer.rows_ok })}</strong>
            </p>
            {answer.errors.length > 0 && <Faults faults={answer.errors} count={answer.error_count} />}
          </div>
        )}
        {answer && !answer.import_id && answer.errors.length === 0 && (
          <button type="button" class="button primary" data-action="write-import" aria-disabled={saving.isWorking} onClick={() => void write()}>
            {t("office.import.write", { count: answer.rows_ok })}
          </button>
        )}
        <SaveState saving={saving} done={answer !== null && !answer.import_id ? "" : undefined /* tried is not saved */} />
      </section>
      <Panel title={t("office.import.past")} loaded={past} isEmpty={(list) => list.length === 0} empty={t("office.import.none")}>
        {(list) => (
          <ul class="plain-list">
            {list.map((each) => (
              <li key={each.id} class="row">
                <span class="grow">
                  {t("office.import.row", { time: momentText(each.created_at), count: each.row_count })}
                  {each.undone_at && ` · ${t("office.import.undone", { time: momentText(each.undone_at) })}`}
                </span>
                {!each.undone_at && each.hindered_by.length > 0 && <span class="soft">{t("office.import.hindered")}</span>}
                {!each.undone_at && each.hindered_by.length === 0 && (
                  <button
                    type="button"
                    class="button small danger"
                    data-action="undo-import"
                    aria-label={t("office.import.undo.label", { time: momentText(each.created_at) })}
                    onClick={() => void undo(each.id)}
                  >
                    {t("office.import.undo")}
                  </button>
                )}
              </li>
            ))}
          </ul>
        )}
      </Panel>
    </div>
  );
}

function Faults({ faults, count }: { faults: ImportFault[]; count: number }) {
  return (
    <table>
      <caption>{t("office.import.faults", { count })}</caption>
      <thead>
        <tr>
          <th scope="col">{t("office.import.line")}</th>
          <th scope="col">{t("office.import.column")}</th>
          <th scope="col">{t("office.import.fault")}</th>
        </tr>
      </thead>
      <tbody>
        {faults.slice(0, FAULTS_SHOWN_MAX).map((fault) => (
          <tr key={`${fault.line}-${fault.column}-${fault.kind}`}>
            <td>{fault.line}</td>
            <td>{fault.column ? columnText(fault.column) : "–"}</td>
            <td>{t(keyOr(`import.fault.${fault.kind}` as TextKey, "import.fault.other") as "import.fault.other")}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function columnText(column: string): string {
  const key = keyOr(`import.column.${column}` as TextKey, "office.import.column");
  return key === "office.import.column" ? column : t(key as "office.import.column");
}

/** The bytes of a file as base64: the server finds out in which encoding they are. */
function readBase64(file: Blob): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result).replace(/^[^,]*,/, ""));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
}
