import { useState } from "preact/hooks";
import { newId } from "../../shared/api";
import { t } from "../../shared/i18n";
import { care } from "../api";
import { addDays, isoDay, momentText } from "../format";
import { useLoad, useSaving } from "../load";
import { Check, Choice, Field, Form } from "../parts/fields";
import { Panel, SaveState } from "../parts/panel";
import { QrCode } from "../../shared/qr";
import { LinkToHandOver } from "../parts/qr";
import type { HelperGrant, Invitation } from "../types";
import { accessText, consentText, givenText, scopeText } from "../words";
import type { RecordProps } from "./view";

const SCOPES = ["join", "see_plan", "see_results", "train_for"] as const;
const GIVEN = ["spoken", "on_paper", "assisted_without_eid"] as const;
const CONSENTS = ["auto_answer", "seen_by_group", "assisted_start"] as const;

/** Who else may see and help, what the patient agreed to, and who has looked. */
export function AccessSection(props: RecordProps) {
  return (
    <div class="panels">
      <Helpers {...props} />
      <Consents {...props} />
      <AccessLog {...props} />
    </div>
  );
}

function Helpers({ patient }: RecordProps) {
  const loaded = useLoad(() => care.helpers(patient), [patient]);
  const [made, setMade] = useState<Invitation | null>(null);
  const revoking = useSaving();
  const revoke = async (grant: HelperGrant) => {
    if (await revoking.run(() => care.revokeGrant(grant.id))) await loaded.reload();
  };
  return (
    <Panel title={t("helper.title")} loaded={loaded} isEmpty={(grants) => grants.length === 0} empty={t("helper.none")}>
      {(grants) => (
        <>
          <ul class="plain-list">
            {grants.map((grant) => (
              <li key={grant.id} class="row">
                <span>
                  <strong>{grant.name ?? "–"}</strong>: {grant.scopes.map(scopeText).join(", ")} · {t("helper.until", { day: momentText(grant.ends_at) })} ·{" "}
                  {t(grant.revoked_at !== null ? "helper.revoked" : grant.accepted_at !== null ? "helper.accepted" : "helper.invited")}
                </span>
                {grant.revoked_at === null && (
                  <button class="button small danger" data-action="helper-revoke" aria-label={t("helper.revoke.label", { name: grant.name ?? "–" })} onClick={() => void revoke(grant)}>
                    {t("helper.revoke")}
                  </button>
                )}
              </li>
            ))}
          </ul>
          <SaveState saving={revoking} />
          {made && (
            <div class="hand-over" role="status">
              <p>{t("helper.hand_over", { time: momentText(made.expires_at) })}</p>
              <LinkToHandOver link={made.link} label={t("helper.link")} />
              <QrCode svg={made.qr_svg} label={t("helper.qr")} />
            </div>
          )}
          <InviteForm
            patient={patient}
            onMade={(invitation) => {
              setMade(invitation);
              void loaded.reload();
            }}
          />
        </>
      )}
    </Panel>
  );
}

function InviteForm({ patient, onMade }: { patient: string; onMade: (invitation: Invitation) => void }) {
  const [id, setId] = useState(newId);
  const [name, setName] = useState("");
  const [scopes, setScopes] = useState<string[]>(["join"]);
  const [endsOn, setEndsOn] = useState(addDays(isoDay(new Date()), 90));
  const [given, setGiven] = useState<(typeof GIVEN)[number]>("spoken");
  const [hasConsent, setHasConsent] = useState(false);
  const saving = useSaving();
  const isReady = hasConsent && scopes.length > 0;
  const invite = async () => {
    if (!isReady) return;
    await saving.run(async () => onMade(await care.invite(patient, { id, name: name.trim(), scopes, ends_on: endsOn, consent: { given_how: given } })));
  };
  const again = () => {
    setId(newId());
    setName("");
    setHasConsent(false);
    saving.clear();
  };
  if (saving.isDone) {
    return (
      <button class="button small" data-action="helper-again" onClick={again}>
        {t("helper.again")}
      </button>
    );
  }
  return (
    <Form onSubmit={() => void invite()} label={t("helper.invite")}>
      <h3>{t("helper.invite")}</h3>
      <div class="row">
        <Field label={t("helper.name")} value={name} onChange={setName} name="helper-name" maxLength={80} />
        <Field type="date" label={t("helper.ends_on")} min={isoDay(new Date())} value={endsOn} onChange={setEndsOn} />
        <Choice label={t("consent.given")} value={given} options={GIVEN.map((each) => [each, givenText(each)] as const)} onChange={setGiven} />
      </div>
      <fieldset class="radios">
        <legend>{t("helper.scopes")}</legend>
        {SCOPES.map((scope) => (
          <Check key={scope} label={scopeText(scope)} isOn={scopes.includes(scope)} onChange={(isOn) => setScopes(SCOPES.filter((each) => (each === scope ? isOn : scopes.includes(each))))} />
        ))}
      </fieldset>
      <Check label={t("helper.consent")} isOn={hasConsent} onChange={setHasConsent} name="helper-consent" />
      {!isReady && <p class="soft">{t("helper.missing")}</p>}
      <SaveState saving={saving} />
      <button class="button primary" data-action="helper-invite" aria-disabled={!isReady || saving.isWorking}>
        {t("helper.invite")}
      </button>
    </Form>
  );
}

function Consents({ patient }: RecordProps) {
  const loaded = useLoad(() => care.consents(patient), [patient]);
  const [kind, setKind] = useState<(typeof CONSENTS)[number]>("auto_answer");
  const [given, setGiven] = useState<(typeof GIVEN)[number]>("spoken");
  const [id, setId] = useState(newId);
  const saving = useSaving();
  const add = async () => {
    if (!(await saving.run(() => care.addConsent(patient, { id, kind, given_how: given })))) return;
    setId(newId());
    await loaded.reload();
  };
  const revoke = async (consent: string) => {
    if (await saving.run(() => care.revokeConsent(consent))) await loaded.reload();
  };
  return (
    <Panel title={t("consent.title")} loaded={loaded} isEmpty={(consents) => consents.length === 0} empty={t("consent.none")}>
      {(consents) => (
        <>
          <ul class="plain-list">
            {consents.map((consent) => (
              <li key={consent.id} class="row">
                <span>
                  {consentText(consent.kind)} · {givenText(consent.given_how)} · {momentText(consent.given_at)}
                  {consent.revoked_at !== null && ` · ${t("consent.revoked", { time: momentText(consent.revoked_at) })}`}
                </span>
                {consent.revoked_at === null && (
                  <button class="button small danger" data-action="consent-revoke" aria-label={t("consent.revoke.label", { what: consentText(consent.kind) })} onClick={() => void revoke(consent.id)}>
                    {t("consent.revoke")}
                  </button>
                )}
              </li>
            ))}
          </ul>
          <Form onSubmit={() => void add()} class="line" label={t("consent.add")}>
            <Choice label={t("consent.kind")} value={kind} options={CONSENTS.map((each) => [each, consentText(each)] as const)} onChange={setKind} />
            <Choice label={t("consent.given")} value={given} options={GIVEN.map((each) => [each, givenText(each)] as const)} onChange={setGiven} />
            <button class="button" data-action="consent-add" aria-disabled={saving.isWorking}>
              {t("consent.add")}
            </button>
            <SaveState saving={saving} />
          </Form>
        </>
      )}
    </Panel>
  );
}

function AccessLog({ patient }: RecordProps) {
  const loaded = useLoad(() => care.accessLog(patient), [patient]);
  return (
    <Panel title={t("access_log.title")} loaded={loaded} isEmpty={(entries) => entries.length === 0} empty={t("access_log.none")}>
      {(entries) =>
        entries.length > 0 && (
          <div class="table-box tall" tabIndex={0} role="group" aria-label={t("access_log.title")}>
            <table>
              <thead>
                <tr>
                  <th scope="col">{t("access_log.when")}</th>
                  <th scope="col">{t("access_log.who")}</th>
                  <th scope="col">{t("access_log.what")}</th>
                </tr>
              </thead>
              <tbody>
                {entries.map((entry) => (
                  <tr key={entry.sequence}>
                    <th scope="row">{momentText(entry.at)}</th>
                    <td>{entry.who ?? "–"}</td>
                    <td>
                      {accessText(entry.action)}
                      {!entry.allowed && ` (${t("access_log.refused")})`}
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )
      }
    </Panel>
  );
}

