import { t } from "../../shared/i18n";
import { agoText, nameOf, shortDay } from "../format";
import { PersonName } from "../parts/person";
import type { CaseloadPatient, FlagRead } from "../types";
import { flagActionText, flagStateText, flagText, needText } from "../words";
import { daysOf, needsMe } from "./order";
import { AdherenceStrip } from "./strip";

/** Where the one action of a flag leads. */
export function actionAddress(patient: string, action: string): string {
  const section: Record<string, string> = { call: "", review: "training", message: "messages", check_device: "equipment", praise: "messages" };
  return `#/patients/${patient}/${section[action] ?? ""}`;
}

export function CaseloadRow({ patient, onWhy }: { patient: CaseloadPatient; onWhy: (flag: FlagRead) => void }) {
  const { flags } = patient;
  return (
    <li class={`case ${needsMe(patient) ? "asks" : ""}`} data-patient={patient.id} data-need={patient.rank_reason}>
      <div class="case-who">
        <a class="case-link" data-action="open-record" href={`#/patients/${patient.id}`}>
          <PersonName person={patient} />
        </a>
        <span class="case-need">
          <NeedShape needs={needsMe(patient)} /> {needText(patient.rank_reason)}
        </span>
      </div>
      <ul class="case-flags" aria-label={t("caseload.flags", { name: nameOf(patient) })}>
        {flags.map((flag) => (
          <FlagLine key={flag.id} flag={flag} patient={patient} onWhy={() => onWhy(flag)} />
        ))}
        {flags.length === 0 && <li class="soft">{t(needsMe(patient) ? "caseload.no_other_flags" : "caseload.no_flags")}</li>}
      </ul>
      <dl class="case-numbers">
        <div>
          <dt>{t("caseload.pain")}</dt>
          <dd>{patient.pain_last === null ? t("value.none") : t("value.of_ten", { value: patient.pain_last })}</dd>
        </div>
        <div>
          <dt>{t("caseload.last_training")}</dt>
          <dd>{patient.last_training_at === null ? t("caseload.never") : agoText(patient.last_training_at)}</dd>
        </div>
        <div>
          <dt>{t("caseload.messages")}</dt>
          <dd>
            {patient.unread_messages > 0 ? (
              <a href={`#/patients/${patient.id}/messages`} aria-label={t("caseload.unread.label", { count: patient.unread_messages, name: nameOf(patient) })}>
                {t("caseload.unread", { count: patient.unread_messages })}
              </a>
            ) : (
              t("caseload.unread.none")
            )}
          </dd>
        </div>
        <div>
          <dt>{t("caseload.adherence")}</dt>
          <dd>
            <AdherenceStrip days={daysOf(patient)} />
          </dd>
        </div>
      </dl>
    </li>
  );
}

export function FlagLine({ flag, patient, onWhy }: { flag: FlagRead; patient: { id: string; display_name: string | null }; onWhy: () => void }) {
  const text = flagText(flag);
  return (
    <li class={`flag severity-${flag.severity} ${flag.state}`} data-flag={flag.id}>
      <span>
        {text} · {t("flag.since", { day: shortDay(flag.since) })}
        {flag.state !== "open" && <em> · {flagStateText(flag.state)}</em>}
      </span>
      <span class="flag-actions">
        {flag.suggested_action && (
          <a class="button small" data-action="flag-act" href={actionAddress(patient.id, flag.suggested_action)} aria-label={t("flag.act.label", { action: flagActionText(flag.suggested_action), name: nameOf(patient) })}>
            {flagActionText(flag.suggested_action)}
          </a>
        )}
        <button class="button small" data-action="why" aria-label={t("flag.why.label", { flag: text, name: nameOf(patient) })} onClick={onWhy}>
          {t("flag.why")}
        </button>
      </span>
    </li>
  );
}

function NeedShape({ needs }: { needs: boolean }) {
  return (
    <svg class="shape" viewBox="0 0 20 20" aria-hidden="true" focusable="false">
      {needs ? <path d="M10 1 19.500 18.500H.5Z" /> : <circle cx="10" cy="10" r="7" class="hollow" />}
    </svg>
  );
}

