import { t } from "../../shared/i18n";
import { care } from "../api";
import { momentText, nameOf } from "../format";
import { useLoad } from "../load";
import { Panel } from "../parts/panel";
import { PersonName } from "../parts/person";
import { EmergencyNote, minutesLeft } from "../record/head";
import { BreakGlassForm } from "./form";

/** Somebody else's patient in an emergency, and which such looks are mine. */
export function FindView() {
  const loaded = useLoad(care.ownBreakGlass, [], 30_000);
  return (
    <main class="page">
      <h1>{t("nav.find")}</h1>
      <p>{t("find.text")}</p>
      <div class="panels">
        <BreakGlassForm patient={null} onOpened={(opened) => (location.hash = `#/patients/${opened.patient_id}`)} />
        <Panel title={t("find.mine")} loaded={loaded} isEmpty={(all) => all.length === 0} empty={t("find.mine.none")}>
          {(all) => (
            <ul class="plain-list">
              {all.map((each) => (
                <li key={each.id} class="row">
                  <span>
                    <PersonName person={{ ...each, id: each.patient_id }} />
                    {` · ${momentText(each.starts_at)}`}
                  </span>
                  {minutesLeft(each.ends_at) > 0 ? (
                    <>
                      <EmergencyNote emergency={each} />
                      <a class="button small" href={`#/patients/${each.patient_id}`} aria-label={t("caseload.open.label", { name: nameOf(each) })}>
                        {t("caseload.open")}
                      </a>
                    </>
                  ) : (
                    <span class="soft">{t("find.over")}</span>
                  )}
                </li>
              ))}
            </ul>
          )}
        </Panel>
      </div>
    </main>
  );
}
