import type { ComponentChildren } from "preact";
import { t, type TextKey } from "../shared/i18n";
import { SafetyBar } from "./alerts/bar";
import type { TherapistFace } from "./face";
import { LanguageButton } from "./lobby";
import type { Route } from "./route";

const PAGES: readonly (readonly [Route["page"], string, TextKey])[] = [
  ["caseload", "#/", "nav.caseload"],
  ["sessions", "#/sessions", "nav.sessions"],
  ["calendar", "#/calendar", "nav.calendar"],
  ["find", "#/find", "nav.find"],
  ["me", "#/me", "nav.me"],
];

/** The head of every page but the live room, with what nobody may overlook below it. */
export function Shell({ face, children }: { face: TherapistFace; children: ComponentChildren }) {
  const { page } = face.route.value;
  return (
    <div class="shell">
      <header class="bar">
        <p class="brand">{t("app.name")}</p>
        <nav aria-label={t("nav.label")}>
          <ul class="nav">
            {PAGES.map(([name, address, key]) => (
              <li key={name}>
                <a href={address} data-action={`nav-${name}`} aria-current={page === name || (page === "record" && name === "caseload") ? "page" : undefined}>
                  {t(key as "nav.caseload")}
                </a>
              </li>
            ))}
          </ul>
        </nav>
        <p class="who">{face.me.value?.display_name ?? ""}</p>
        <LanguageButton />
        <button class="button" data-action="log-out" onClick={() => void face.logOut()}>
          {t("therapist.log_out")}
        </button>
      </header>
      <SafetyBar watch={face.safety} />
      {face.problem.value && (
        <p class="problem strip" role="alert">
          {t(face.problem.value as "error.unknown")}
        </p>
      )}
      {children}
      <footer class="foot">{t("app.not_an_alarm")}</footer>
    </div>
  );
}
