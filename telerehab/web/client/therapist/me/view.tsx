import { useState } from "preact/hooks";
import { t } from "../../shared/i18n";
import { canUsePasskeys, makePasskey } from "../../shared/passkey";
import { care } from "../api";
import type { TherapistFace } from "../face";
import { momentText } from "../format";
import { useLoad, useSaving } from "../load";
import { Field, Form } from "../parts/fields";
import { Panel, SaveState } from "../parts/panel";
import { QrCode } from "../../shared/qr";
import type { TotpSecret } from "../types";

/** My own ways in: where I am logged in, and what proves that it is me. */
export function MeView({ face }: { face: Pick<TherapistFace, "me" | "logOut"> }) {
  return (
    <main class="page">
      <h1>{t("me.title", { name: face.me.value?.display_name ?? "" })}</h1>
      <div class="panels">
        <Logins />
        <Factors />
        <Password />
        <section class="panel" aria-labelledby="log-out">
          <h2 id="log-out">{t("therapist.log_out")}</h2>
          <p>{t("me.log_out.text")}</p>
          <button class="button" data-action="me-log-out" onClick={() => void face.logOut()}>
            {t("therapist.log_out")}
          </button>
        </section>
      </div>
    </main>
  );
}

function Logins() {
  const loaded = useLoad(care.logins, []);
  const saving = useSaving();
  const end = async (act: () => Promise<unknown>) => {
    if (await saving.run(act)) await loaded.reload();
  };
  return (
    <Panel title={t("login.title")} loaded={loaded}>
      {(logins) => (
        <>
          <ul class="plain-list">
            {logins.map((login) => (
              <li key={login.id} class="row">
                <span>
                  <strong>{browserText(login.browser)}</strong>
                  {login.is_this && ` · ${t("login.this")}`} · {t("login.since", { time: momentText(login.created_at) })} · {t("login.last_seen", { time: momentText(login.last_seen_at) })}
                </span>
                {!login.is_this && (
                  <button class="button small danger" data-action="login-end" aria-label={t("login.end.label", { browser: browserText(login.browser) })} onClick={() => void end(() => care.endLogin(login.id))}>
                    {t("login.end")}
                  </button>
                )}
              </li>
            ))}
          </ul>
          {logins.length > 1 && (
            <button class="button" data-action="login-end-others" onClick={() => void end(care.endOtherLogins)}>
              {t("login.end_others")}
            </button>
          )}
          <SaveState saving={saving} />
        </>
      )}
    </Panel>
  );
}

/** A new password; all other logins end. There may have been none before. */
function Password() {
  const [old, setOld] = useState("");
  const [fresh, setFresh] = useState("");
  const saving = useSaving();
  const save = async () => {
    if (!(await saving.run(() => care.changePassword(old === "" ? null : old, fresh)))) return;
    setOld("");
    setFresh("");
  };
  return (
    <section class="panel" aria-labelledby="password">
      <h2 id="password">{t("password.title")}</h2>
      <p>{t("password.text")}</p>
      <Form onSubmit={() => void save()}>
        <Field label={t("password.old")} type="password" required={false} value={old} onChange={setOld} name="old-password" autocomplete="current-password" />
        <Field label={t("password.new")} type="password" value={fresh} onChange={setFresh} name="new-password" autocomplete="new-password" />
        <SaveState saving={saving} done={t("password.changed")} />
        <button class="button" data-action="password-save" aria-disabled={saving.isWorking}>
          {t("password.save")}
        </button>
      </Form>
    </section>
  );
}

function Factors() {
  const loaded = useLoad(care.secondFactors, []);
  const [secret, setSecret] = useState<TotpSecret | null>(null);
  const [code, setCode] = useState("");
  const saving = useSaving();
  const change = async (act: () => Promise<unknown>) => {
    const isDone = await saving.run(act);
    if (isDone) await loaded.reload();
    return isDone;
  };
  const confirm = async () => {
    if (!(await change(() => care.confirmTotp(code.replace(/\s/g, ""))))) return;
    setSecret(null);
    setCode("");
  };
  const addPasskey = () =>
    change(async () => {
      const { challenge_id, options } = await care.beginPasskey();
      await care.addPasskey(challenge_id, await makePasskey(options));
    });
  return (
    <Panel title={t("factor.title")} loaded={loaded}>
      {(factors) => (
        <>
          <div class="row">
            <span>{t(factors.totp ? "factor.totp.on" : "factor.totp.off")}</span>
            {factors.totp ? (
              <button class="button small danger" data-action="totp-remove" onClick={() => void change(care.removeTotp)}>
                {t("factor.totp.remove")}
              </button>
            ) : (
              secret === null && (
                <button class="button small" data-action="totp-add" onClick={() => void saving.run(async () => setSecret(await care.beginTotp()))}>
                  {t("factor.totp.add")}
                </button>
              )
            )}
          </div>
          {secret && (
            <Form onSubmit={() => void confirm()} class="hand-over">
              <p>{t("factor.totp.scan")}</p>
              <QrCode svg={secret.qr_svg} label={t("factor.totp.qr")} />
              <p>
                {t("factor.totp.secret")} <code>{secret.secret}</code>
              </p>
              <Field class="narrow" label={t("factor.totp.code")} value={code} onChange={setCode} name="totp" maxLength={7} autocomplete="one-time-code" />
              <button class="button primary" data-action="totp-confirm" aria-disabled={saving.isWorking}>
                {t("factor.totp.confirm")}
              </button>
            </Form>
          )}
          <h3>{t("factor.passkeys")}</h3>
          {factors.passkeys.length === 0 && <p class="empty">{t("factor.passkeys.none")}</p>}
          <ul class="plain-list">
            {factors.passkeys.map((passkey) => (
              <li key={passkey.id} class="row">
                <span>
                  {t("factor.passkey.since", { time: momentText(passkey.created_at) })}
                  {passkey.last_used_at && ` · ${t("factor.passkey.used", { time: momentText(passkey.last_used_at) })}`}
                </span>
                <button class="button small danger" data-action="passkey-remove" aria-label={t("factor.passkey.remove.label", { time: momentText(passkey.created_at) })} onClick={() => void change(() => care.removePasskey(passkey.id))}>
                  {t("factor.passkey.remove")}
                </button>
              </li>
            ))}
          </ul>
          {canUsePasskeys() ? (
            <button class="button" data-action="passkey-add" aria-disabled={saving.isWorking} onClick={() => void addPasskey()}>
              {t("factor.passkey.add")}
            </button>
          ) : (
            <p class="soft">{t("factor.passkey.impossible")}</p>
          )}
          <SaveState saving={saving} />
        </>
      )}
    </Panel>
  );
}

/** What the server made of the browser: `Chrome, Linux`; a question mark where it knows no name. */
function browserText(browser: string): string {
  const known = browser.split(", ").filter((part) => part !== "" && part !== "?");
  return known.join(", ") || t("login.unknown_browser");
}
