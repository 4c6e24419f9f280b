import { MeView } from "../therapist/me/view";
import { problemSentence } from "../therapist/problem";
import { language, setLanguage, t, type TextKey } from "../shared/i18n";
import { viewsOf, type OfficeFace, type View } from "./face";
import { VIEW_PARTS } from "./views";

/** The page of those who run the service: one list of views by role, one view at a time. */
export function OfficeApp({ face }: { face: OfficeFace }) {
  const me = face.me.value;
  if (!face.loggedIn.value) {
    return (
      <main class="plain">
        <h1>{t("therapist.not_logged_in")}</h1>
        <a class="button primary" href="/enter">
          {t("therapist.to_enter")}
        </a>
      </main>
    );
  }
  if (!me) {
    return (
      <main class="plain">
        <p role="status">{face.error.value ? problemSentence(face.error.value) : t("app.loading")}</p>
      </main>
    );
  }
  const view = face.view.value;
  return (
    <div class="office">
      <header class="office-top">
        <p class="brand">{me.organisation?.name ?? t("app.name")}</p>
        <p class="who">
          {me.display_name} · {t(`office.role.${me.role}` as TextKey as "app.name")}
        </p>
        <button
          type="button"
          class="button small"
          data-action="language"
          lang={language.value === "da" ? "en" : "da"}
          onClick={() => setLanguage(language.value === "da" ? "en" : "da", true)}
        >
          {t("language.other")}
        </button>
        <button type="button" class="button small" data-action="log-out" onClick={() => void face.logOut()}>
          {t("therapist.log_out")}
        </button>
      </header>
      <nav aria-label={t("office.views")}>
        <ul>
          {viewsOf(me.role).map((each) => (
            <li key={each}>
              <a href={`#/${each}`} aria-current={each === view ? "page" : undefined}>
                {viewName(each)}
              </a>
            </li>
          ))}
        </ul>
      </nav>
      {view === "me" && <MeView face={face} />}
      {view && view !== "me" && (
        <main key={view}>
          <h1>{viewName(view)}</h1>
          {VIEW_PARTS[view]()}
        </main>
      )}
      <footer>
        <p>{t("app.not_an_alarm")}</p>
      </footer>
    </div>
  );
}

function viewName(view: View): string {
  return t(`office.view.${view}` as TextKey as "app.name");
}
