import { useState } from "preact/hooks";
import { language, t } from "../shared/i18n";
import { canSpeak, speak } from "../shared/speech";
import { minutesOf } from "./alone";
import type { TodaysItem, Words } from "./api";
import type { HomePage, PatientFace } from "./face";
import { Heading } from "./message";
import { ToneButton } from "./tone_button";

const LINES_MAX = 4;

/** Return words in the language of the page; what nobody has translated is shown in Danish. */
export function inWords(words: Words): string {
  return (language.value === "en" ? words.en : null) ?? words.da;
}

/** "Seated knee extension, right". */
export function itemName(item: Pick<TodaysItem, "name" | "side">): string {
  const exercise = inWords(item.name);
  return item.side === "both" ? exercise : t("exercise.with_side", { exercise, side: t(`side.${item.side}`) });
}

/** "2 × 8". */
export function dose(item: TodaysItem): string {
  return t("patient.plan.dose", { sets: item.sets, repetitions: item.repetitions });
}

/** The therapist has opened a live session: one decision, to go in. */
export function OfferScreen({ face }: { face: PatientFace }) {
  const startsWithCamera = (face.media.value ?? "both") === "both";
  return (
    <main class="message">
      <h1>{t("patient.greeting", { name: face.patientName.value })}</h1>
      <p class="lead" role="status">
        {face.unreachable.value ? t("error.unreachable") : t("patient.home.ready")}
      </p>
      <div class="choices">
        <button class="button primary big" data-action="start" onClick={() => void face.join(face.media.value ?? "both")}>
          {t("patient.start")}
        </button>
      </div>
      {face.media.value === null && <p class="note">{t("patient.home.media")}</p>}
      <div class="choices">
        {startsWithCamera ? (
          <button class="button calm" data-action="start-without" onClick={() => void face.join("audio")}>
            {t("patient.start.without_camera")}
          </button>
        ) : (
          <button class="button calm" data-action="start-with" onClick={() => void face.join("both")}>
            {t("patient.start.with_camera")}
          </button>
        )}
        <ToneButton />
        <button class="button calm" data-action="show-plan" onClick={() => (face.showsPlan.value = true)}>
          {t("patient.home.plan")}
        </button>
      </div>
      <p class="note foot">{t("app.not_an_alarm")}</p>
    </main>
  );
}

/** The first screen: what to do today, and the one big button that begins it. */
export function HomeScreen({ face }: { face: PatientFace }) {
  const today = face.home.today.value;
  const plan = today?.plan ?? null;
  const appointment = face.home.nextAppointment.value;
  return (
    <main class="home">
      <section class="home-plan" aria-labelledby="greeting">
        <h1 id="greeting">{t("patient.greeting", { name: face.patientName.value })}</h1>
        {plan === null ? <NoPlan face={face} /> : <PlanLines face={face} />}
        {appointment && <p class="note next-time">{t("patient.home.next", { when: when(appointment.starts_at), what: appointment.title })}</p>}
        {plan !== null && (
          <p class="note plan-version">{t("patient.plan.version", { number: plan.number, hash: plan.short_hash })}</p>
        )}
      </section>
      <section class="home-actions" aria-label={t("patient.title")}>
        {face.canJoin() && (
          <button class="button primary" data-action="to-offer" onClick={() => (face.showsPlan.value = false)}>
            {t("patient.home.to_live")}
          </button>
        )}
        {plan !== null && plan.items.length > 0 && face.may("train_for") && (
          <button
            class={`button big ${face.canJoin() ? "calm" : "primary"}`}
            data-action="start-alone"
            onClick={() => face.startAlone()}
          >
            {t(face.isHelper.value ? "patient.start.together" : "patient.start")}
          </button>
        )}
        <div class="choices">
          <ReadAloud face={face} />
          {plan !== null && !face.isHelper.value && today?.is_training_day && (
            <PageButton face={face} page="not_today" text={t("patient.not_today")} />
          )}
        </div>
      </section>
      <nav class="home-nav" aria-label={t("patient.home.more")}>
        {face.home.due.value.length > 0 && !face.isHelper.value && (
          <PageButton face={face} page="questionnaire" text={t("patient.questions", { count: face.home.due.value.length })} />
        )}
        {!face.isHelper.value && <PageButton face={face} page="messages" text={messagesText(face.home.unread.value)} />}
        {face.may("see_results") && <PageButton face={face} page="goals" text={t("patient.goals")} />}
        {face.may("see_results") && <PageButton face={face} page="progress" text={t("patient.progress")} />}
        {!face.isHelper.value && <PageButton face={face} page="pin_setup" text={t("patient.pin")} />}
        {face.isHelper.value && (
          <button class="button calm" data-action="other-patient" onClick={() => face.help(null)}>
            {t("patient.helper.other")}
          </button>
        )}
      </nav>
      <p class="note foot">{t("app.not_an_alarm")}</p>
    </main>
  );
}

function PageButton(props: { face: PatientFace; page: HomePage; text: string }) {
  return (
    <button class="button calm" data-action={`page-${props.page}`} onClick={() => (props.face.page.value = props.page)}>
      {props.text}
    </button>
  );
}

function messagesText(unread: number): string {
  return unread === 0 ? t("patient.messages") : t("patient.messages.unread", { count: unread });
}

function NoPlan({ face }: { face: PatientFace }) {
  const isUnknown = face.home.today.value === null;
  const text = face.unreachable.value
    ? t("error.unreachable")
    : isUnknown
      ? t(face.may("see_plan") ? "app.loading" : "patient.helper.no_plan")
      : t("patient.plan.none");
  return (
    <p class="lead" role="status">
      {text}
    </p>
  );
}

function PlanLines({ face }: { face: PatientFace }) {
  const today = face.home.today.value;
  const items = today?.plan?.items ?? [];
  const pause = today?.pause ?? null;
  return (
    <>
      <p class="lead" role="status">
        {pause
          ? pause.ends_on === null
            ? t("patient.pause_day")
            : t("patient.pause_day.until", { day: dayText(pause.ends_on) })
          : items.length === 0
            ? t("patient.plan.rest")
            : summary(items)}
      </p>
      <ol class="plan-lines">
        {items.slice(0, LINES_MAX).map((item) => (
          <li class={item.done_set_count >= item.sets ? "done" : ""}>
            <span class="plan-name">{itemName(item)}</span>
            <span class="plan-dose">{item.done_set_count >= item.sets ? t("patient.plan.done") : dose(item)}</span>
          </li>
        ))}
      </ol>
      {items.length > LINES_MAX && <p class="note">{t("patient.plan.more", { count: items.length - LINES_MAX })}</p>}
      {face.home.isOld.value && face.unreachable.value && <p class="note">{t("patient.plan.old")}</p>}
    </>
  );
}

function summary(items: readonly TodaysItem[]): string {
  const minutes = minutesOf(items);
  return items.length === 1 ? t("patient.plan.summary.one", { minutes }) : t("patient.plan.summary", { count: items.length, minutes });
}

/** Only where a voice speaks on this very machine. */
function ReadAloud({ face }: { face: PatientFace }) {
  const [isPossible] = useState(canSpeak);
  const items = face.home.today.value?.plan?.items ?? [];
  if (!isPossible || items.length === 0) return null;
  return (
    <button
      class="button calm"
      data-action="read-aloud"
      onClick={() =>
        speak([summary(items), ...items.map((item) => `${itemName(item)}, ${dose(item)}`)])
      }
    >
      {t("patient.read_aloud")}
    </button>
  );
}

function locale(): string {
  return language.value === "da" ? "da-DK" : "en-GB";
}

/** "onsdag den 25. november kl. 10.00", in the time of this place. */
export function when(moment: string): string {
  return new Date(moment).toLocaleString(locale(), { weekday: "long", day: "numeric", month: "long", hour: "2-digit", minute: "2-digit" });
}

/** "mandag den 23. november" of an ISO date. */
export function dayText(day: string): string {
  return new Date(`${day}T12:00:00`).toLocaleDateString(locale(), { weekday: "long", day: "numeric", month: "long" });
}

/** A helper chooses whom to help: name and birth date, so that nobody is taken for another. */
export function WhomScreen({ face }: { face: PatientFace }) {
  const patients = face.helpedPatients.value ?? [];
  return (
    <main class="message">
      <Heading title={t("patient.helper.whom", { name: face.me.value?.display_name ?? "" })} />
      {patients.length === 0 && <p class="lead">{t("patient.helper.nobody")}</p>}
      <div class="choices column">
        {patients.map((patient) => (
          <button class="button calm" data-action="help-patient" onClick={() => face.help(patient)}>
            {patient.display_name ?? t("patient.helper.unnamed")}
            {patient.birth_date && `, ${t("patient.helper.born", { day: birthDay(patient.birth_date) })}`}
          </button>
        ))}
      </div>
    </main>
  );
}

function birthDay(day: string): string {
  return new Date(`${day}T12:00:00`).toLocaleDateString(locale(), { day: "numeric", month: "long", year: "numeric" });
}
