import { useState } from "preact/hooks";
import { ApiError } from "../shared/api";
import { t, type TextKey } from "../shared/i18n";
import { canUsePasskeys, makePasskey, usePasskey } from "../shared/passkey";
import { QrCode } from "../shared/qr";
import { enterApi, type Entered, type Method, type TotpSecret } from "./api";

type OnEntered = (entered: Entered) => void;

/** Something went wrong: what, and never for which part of what was typed. */
export function Problem({ problem }: { problem: TextKey | null }) {
  return (
    problem && (
      <p class="problem" role="alert">
        {t(problem as "error.unknown")}
      </p>
    )
  );
}

export function failure(error: unknown, refused: TextKey): TextKey {
  if (error instanceof DOMException) return "enter.passkey.refused";
  if (!(error instanceof ApiError)) return "error.unknown";
  if (error.status === 0 || error.status >= 500) return "error.unreachable";
  return error.status === 429 ? "enter.too_many" : refused;
}

/** One thing at a time may run; what it throws becomes a sentence. */
function useAttempt(refused: TextKey): [boolean, TextKey | null, (act: (blame: (key: TextKey) => void) => Promise<void>) => void] {
  const [isBusy, setIsBusy] = useState(false);
  const [problem, setProblem] = useState<TextKey | null>(null);
  const attempt = (act: (blame: (key: TextKey) => void) => Promise<void>) => {
    if (isBusy) return;
    setIsBusy(true);
    setProblem(null);
    let blamed = refused;
    act((key) => (blamed = key))
      .catch((error: unknown) => setProblem(failure(error, blamed)))
      .finally(() => setIsBusy(false));
  };
  return [isBusy, problem, attempt];
}

/** Log in with a passkey alone: staff and helpers who have one type nothing. */
export function PasskeyButton({ onEntered, quiet }: { onEntered: OnEntered; quiet?: boolean }) {
  const [isBusy, problem, attempt] = useAttempt("enter.passkey.failed");
  if (!canUsePasskeys()) return null;
  const enter = () =>
    attempt(async () => {
      const { challenge_id, options } = await enterApi.passkeyOptions();
      onEntered(await enterApi.givePasskey(challenge_id, await usePasskey(options)));
    });
  return (
    <>
      <button type="button" class={quiet ? "button" : "button primary"} data-action="passkey" aria-disabled={isBusy} onClick={enter}>
        {t("enter.passkey")}
      </button>
      <Problem problem={problem} />
    </>
  );
}

/** The password was right; now the second factor. */
export function SecondFactor({ methods, onEntered, onBack }: { methods: Method[]; onEntered: OnEntered; onBack: () => void }) {
  const [code, setCode] = useState("");
  const [isBusy, problem, attempt] = useAttempt("enter.totp.failed");
  const give = (event: Event) => {
    event.preventDefault();
    attempt(async () => {
      setCode("");
      onEntered(await enterApi.giveCode(code.replace(/\D/g, "")));
    });
  };
  return (
    <section class="card step">
      <h2>{t("enter.second.title")}</h2>
      <p>{t("enter.second.text")}</p>
      {methods.includes("totp") && (
        <form onSubmit={give}>
          <CodeField code={code} onCode={setCode} label={t("enter.totp.code")} />
          <Problem problem={problem} />
          <button class="button primary" data-action="give-code" aria-disabled={isBusy}>
            {t("enter.second.continue")}
          </button>
        </form>
      )}
      {methods.includes("passkey") && <PasskeyButton onEntered={onEntered} quiet={methods.includes("totp")} />}
      <button type="button" class="button" data-action="back" onClick={onBack}>
        {t("enter.back")}
      </button>
    </section>
  );
}

/** The first entry: a passkey on this device, or an app that shows codes (and then a password too). */
export function SetUp({ needsPassword, onEntered }: { needsPassword: boolean; onEntered: OnEntered }) {
  const [totp, setTotp] = useState<TotpSecret | null>(null);
  const [isBusy, problem, attempt] = useAttempt("enter.setup.failed");
  const addPasskey = () =>
    attempt(async () => {
      const { challenge_id, options } = await enterApi.newPasskeyOptions();
      await enterApi.addPasskey(challenge_id, await makePasskey(options));
      onEntered({ next: "done" });
    });
  if (totp) return <SetUpTotp totp={totp} needsPassword={needsPassword} onEntered={onEntered} onBack={() => setTotp(null)} />;
  return (
    <section class="card step">
      <h2>{t("enter.setup.title")}</h2>
      <p>{t("enter.setup.text")}</p>
      {canUsePasskeys() && (
        <button type="button" class="button primary" data-action="setup-passkey" aria-disabled={isBusy} onClick={addPasskey}>
          {t("enter.setup.passkey")}
        </button>
      )}
      <button type="button" class="button" data-action="setup-totp" aria-disabled={isBusy} onClick={() => attempt(async () => setTotp(await enterApi.newTotp()))}>
        {t("enter.setup.totp")}
      </button>
      <Problem problem={problem} />
    </section>
  );
}

function SetUpTotp(props: { totp: TotpSecret; needsPassword: boolean; onEntered: OnEntered; onBack: () => void }) {
  const { totp, needsPassword, onEntered, onBack } = props;
  const [code, setCode] = useState("");
  const [password, setPassword] = useState("");
  const [hasPassword, setHasPassword] = useState(!needsPassword);
  const [isBusy, problem, attempt] = useAttempt("enter.setup.failed");
  const confirm = (event: Event) => {
    event.preventDefault();
    attempt(async (blame) => {
      if (!hasPassword) {
        await enterApi.setPassword(password);
        setHasPassword(true); // a wrong code asks for the code again, not for the password
      }
      blame("enter.totp.failed");
      await enterApi.confirmTotp(code.replace(/\D/g, ""));
      onEntered({ next: "done" });
    });
  };
  return (
    <section class="card step">
      <h2>{t("enter.setup.totp")}</h2>
      <ol>
        <li>{t("enter.setup.totp.scan")}</li>
        <li>{t("enter.setup.totp.type")}</li>
      </ol>
      <QrCode svg={totp.qr_svg} label={t("enter.setup.totp.picture")} />
      <p>
        {t("enter.setup.totp.secret")} <code>{totp.secret.replace(/(.{4})/g, "$1 ").trim()}</code>
      </p>
      <form onSubmit={confirm}>
        {!hasPassword && (
          <label>
            <span>{t("enter.setup.password")}</span>
            <input
              type="password"
              autocomplete="new-password"
              minLength={12}
              required
              value={password}
              aria-describedby="password-help"
              onInput={(event) => setPassword(event.currentTarget.value)}
            />
            <small id="password-help">{t("enter.setup.password.help")}</small>
          </label>
        )}
        <CodeField code={code} onCode={setCode} label={t("enter.totp.code")} />
        <Problem problem={problem} />
        <button class="button primary" data-action="confirm-totp" aria-disabled={isBusy}>
          {t("enter.second.continue")}
        </button>
      </form>
      <button type="button" class="button" data-action="back" onClick={onBack}>
        {t("enter.back")}
      </button>
    </section>
  );
}

export function CodeField({ code, onCode, label }: { code: string; onCode: (code: string) => void; label: string }) {
  return (
    <label>
      <span>{label}</span>
      <input
        class="code"
        inputMode="numeric"
        autocomplete="one-time-code"
        maxLength={7}
        value={code}
        required
        onInput={(event) => onCode(event.currentTarget.value)}
      />
    </label>
  );
}
