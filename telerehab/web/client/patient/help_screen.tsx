import type { ComponentChildren } from "preact";
import { t } from "../shared/i18n";
import type { PatientFace } from "./face";
import { Heading } from "./message";
import { Telephone } from "./telephone";

/** A call for help outside live sessions: who is rung, who has answered, and the telephone when nobody does. */
export function HelpScreen({ face, children }: { face: PatientFace; children?: ComponentChildren }) {
  const view = face.helpCaller.view.value;
  if (view === null) return null;
  const name = "name" in view && view.name ? view.name : t("help.clinic");
  const title =
    view.kind === "answered" ? t("help.answered", { name }) : view.kind === "calling" ? t("help.calling", { name }) : t("help.telephone");
  const text =
    view.kind === "answered"
      ? t("help.answered.text")
      : view.kind === "calling"
        ? t("help.calling.text")
        : t(`help.telephone.${view.why}`);
  return (
    <main class="message" data-help={view.kind}>
      {children}
      <Heading title={title} />
      <p class="lead" role="alert">
        {text}
      </p>
      {view.kind === "telephone" && <Telephone face={face} />}
      <div class="choices">
        <button class="button calm" data-action="help-close" onClick={() => face.wantHelp(false)}>
          {t("help.withdraw")}
        </button>
      </div>
      <p class="note foot">{t("app.not_an_alarm")}</p>
    </main>
  );
}
