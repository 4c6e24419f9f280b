import { useEffect, useState } from "preact/hooks";
import { api, ApiError } from "../shared/api";
import { language, setLanguage, t, type TextKey } from "../shared/i18n";

/** The ways in: a one-time link, a password for staff, six digits for a tablet. */
export function Enter() {
  const [isWorking, setIsWorking] = useState(() => location.hash.length > 1);
  const [linkFailed, setLinkFailed] = useState<TextKey | null>(null);
  useEffect(() => {
    const token = location.hash.slice(1);
    if (token === "") return;
    history.replaceState(null, "", location.pathname); // the token is used once and stands nowhere afterwards
    api.enter(token).then(
      ({ face }) => location.replace(face === "therapist" ? "/therapist" : "/patient"),
      (error: unknown) => {
        setLinkFailed(failure(error, "enter.token.failed"));
        setIsWorking(false);
      },
    );
  }, []);
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
        {isWorking ? (
          <p class="lead" role="status">
            {t("enter.token.working")}
          </p>
        ) : (
          <>
            {linkFailed && (
              <p class="problem" role="alert">
                {t(linkFailed as "enter.token.failed")}
              </p>
            )}
            <div class="ways">
              <TabletForm />
              <StaffForm />
            </div>
          </>
        )}
      </main>
      <footer>
        <p>{t("app.not_an_alarm")}</p>
      </footer>
    </div>
  );
}

function TabletForm() {
  const [code, setCode] = useState("");
  const [problem, setProblem] = useState<TextKey | null>(null);
  const pair = async (event: Event) => {
    event.preventDefault();
    try {
      await api.pairTablet(code.replace(/\D/g, ""));
      location.assign("/patient");
    } catch (error) {
      setProblem(failure(error, "enter.code.failed"));
    }
  };
  return (
    <form class="card tablet" onSubmit={(event) => void pair(event)}>
      <h2>{t("enter.tablet")}</h2>
      <label>
        <span>{t("enter.code")}</span>
        <input
          class="code"
          inputMode="numeric"
          autocomplete="one-time-code"
          maxLength={7}
          value={code}
          required
          aria-describedby="code-help"
          onInput={(event) => setCode(event.currentTarget.value)}
        />
      </label>
      <p id="code-help">{t("enter.code.help")}</p>
      <Problem problem={problem} />
      <button class="button primary large" data-action="pair">
        {t("enter.pair")}
      </button>
    </form>
  );
}

function StaffForm() {
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const [problem, setProblem] = useState<TextKey | null>(null);
  const logIn = async (event: Event) => {
    event.preventDefault();
    try {
      await api.logIn(email, password);
      location.assign("/");
    } catch (error) {
      setPassword("");
      setProblem(failure(error, "enter.login.failed"));
    }
  };
  return (
    <form class="card" onSubmit={(event) => void logIn(event)}>
      <h2>{t("enter.staff")}</h2>
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

function Problem({ problem }: { problem: TextKey | null }) {
  return problem && (
    <p class="problem" role="alert">
      {t(problem as "error.unknown")}
    </p>
  );
}

function failure(error: unknown, refused: TextKey): TextKey {
  if (!(error instanceof ApiError)) return "error.unknown";
  if (error.status === 0 || error.status >= 500) return "error.unreachable";
  return error.status === 429 ? "enter.too_many" : refused;
}
