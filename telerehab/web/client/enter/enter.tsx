import { useEffect, useState } from "preact/hooks";
import { ApiError } from "../shared/api";
import { language, setLanguage, t, type TextKey } from "../shared/i18n";
import { enterApi, type Entered, type Method } from "./api";
import { InvitationCard } from "./invitation";
import { CodeField, failure, PasskeyButton, Problem, SecondFactor, SetUp } from "./steps";

export const INVITATION_PREFIX = "helper-";

type Step =
  | { kind: "working" }
  | { kind: "ways"; problem: TextKey | null }
  | { kind: "second_factor"; methods: Method[] }
  | { kind: "set_up"; needsPassword: boolean }
  | { kind: "invitation"; token: string };

/** The step that an answer of the server leads to; null = in. */
export function stepAfter(entered: Entered): Step | null {
  if (entered.next === "second_factor") return { kind: "second_factor", methods: entered.methods ?? ["totp"] };
  if (entered.next === "set_up_second_factor") return { kind: "set_up", needsPassword: entered.needs_password ?? false };
  return null;
}

/** What the address asks for; a token is used once and stands in no address afterwards. */
export function stepOfAddress(fragment: string): { step: Step; token: string | null } {
  if (fragment.startsWith(INVITATION_PREFIX)) {
    return { step: { kind: "invitation", token: fragment.slice(INVITATION_PREFIX.length) }, token: null };
  }
  return fragment === "" ? { step: { kind: "ways", problem: null }, token: null } : { step: { kind: "working" }, token: fragment };
}

/** The ways in: a one-time link, a password or passkey for staff, six digits for a tablet, a helper's invitation. */
export function Enter() {
  const [first] = useState(() => stepOfAddress(location.hash.slice(1)));
  const [step, setStep] = useState<Step>(first.step);
  const proceed = (entered: Entered) => {
    const next = stepAfter(entered);
    if (next) setStep(next);
    else location.replace("/"); // the server knows which face is whose
  };
  useEffect(() => {
    if (location.hash.length > 1) history.replaceState(null, "", location.pathname);
    if (first.token === null) {
      void goOn();
      return;
    }
    enterApi.enter(first.token).then(proceed, (error: unknown) => {
      setStep({ kind: "ways", problem: failure(error, "enter.token.failed") });
    });
  }, []);

  /** After a reload in the middle: the password was given already. */
  async function goOn(): Promise<void> {
    if (first.step.kind !== "ways") return;
    const entered = await enterApi.me().catch((error: unknown) => {
      if (error instanceof ApiError) return null;
      throw error;
    });
    if (entered && entered.next !== "done") proceed(entered);
  }

  return (
    <div class="page">
      <header class="top">
        <p class="brand">{t("app.name")}</p>
        <button
          class="button quiet"
          data-action="language"
          lang={language.value === "da" ? "en" : "da"}
          onClick={() => setLanguage(language.value === "da" ? "en" : "da", true)}
        >
          {t("language.other")}
        </button>
      </header>
      <main>
        <h1>{t("enter.title")}</h1>
        <CurrentStep step={step} onEntered={proceed} onBack={() => setStep({ kind: "ways", problem: null })} />
      </main>
      <footer>
        <p>{t("app.not_an_alarm")}</p>
      </footer>
    </div>
  );
}

function CurrentStep({ step, onEntered, onBack }: { step: Step; onEntered: (entered: Entered) => void; onBack: () => void }) {
  switch (step.kind) {
    case "working":
      return (
        <p class="lead" role="status">
          {t("enter.token.working")}
        </p>
      );
    case "second_factor":
      return <SecondFactor methods={step.methods} onEntered={onEntered} onBack={onBack} />;
    case "set_up":
      return <SetUp needsPassword={step.needsPassword} onEntered={onEntered} />;
    case "invitation":
      return <InvitationCard token={step.token} onAccepted={() => onEntered({ next: "done" })} />;
    case "ways":
      return (
        <>
          <Problem problem={step.problem} />
          <div class="ways">
            <TabletForm onEntered={onEntered} />
            <StaffForm onEntered={onEntered} />
          </div>
        </>
      );
  }
}

function TabletForm({ onEntered }: { onEntered: (entered: Entered) => void }) {
  const [code, setCode] = useState("");
  const [problem, setProblem] = useState<TextKey | null>(null);
  const pair = async (event: Event) => {
    event.preventDefault();
    try {
      await enterApi.pairTablet(code.replace(/\D/g, ""));
      onEntered({ next: "done" });
    } catch (error) {
      setProblem(failure(error, "enter.code.failed"));
    }
  };
  return (
    <form class="card tablet" onSubmit={(event) => void pair(event)}>
      <h2>{t("enter.tablet")}</h2>
      <CodeField code={code} onCode={setCode} label={t("enter.code")} />
      <p>{t("enter.code.help")}</p>
      <Problem problem={problem} />
      <button class="button primary large" data-action="pair">
        {t("enter.pair")}
      </button>
    </form>
  );
}

function StaffForm({ onEntered }: { onEntered: (entered: Entered) => void }) {
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const [problem, setProblem] = useState<TextKey | null>(null);
  const logIn = async (event: Event) => {
    event.preventDefault();
    try {
      onEntered(await enterApi.logIn(email, password));
    } catch (error) {
      setPassword("");
      setProblem(failure(error, "enter.login.failed"));
    }
  };
  return (
    <form class="card" onSubmit={(event) => void logIn(event)}>
      <h2>{t("enter.staff")}</h2>
      <PasskeyButton onEntered={onEntered} quiet />
      <label>
        <span>{t("enter.email")}</span>
        <input type="email" autocomplete="username" value={email} required onInput={(event) => setEmail(event.currentTarget.value)} />
      </label>
      <label>
        <span>{t("enter.password")}</span>
        <input
          type="password"
          autocomplete="current-password"
          value={password}
          required
          onInput={(event) => setPassword(event.currentTarget.value)}
        />
      </label>
      <Problem problem={problem} />
      <button class="button primary" data-action="log-in">
        {t("enter.log_in")}
      </button>
    </form>
  );
}
