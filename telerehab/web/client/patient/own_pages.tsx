import { useEffect, useState } from "preact/hooks";
import { newId } from "../shared/api";
import { keyOr, t } from "../shared/i18n";
import { patientApi, type MessageRead } from "./api";
import type { PatientFace } from "./face";
import { dayText, when } from "./home";
import { dayOf, isFromOthers } from "./home_data";
import { DoneMark, Heading, Message } from "./message";

const MESSAGE_CHARACTERS_MAX = 2000;
const TABLE_DAYS = 7;

function BackButton({ face }: { face: PatientFace }) {
  return (
    <button class="button calm" data-action="home" onClick={() => (face.page.value = "home")}>
      {t("patient.back")}
    </button>
  );
}

/** One message at a time, the newest first on the screen; older ones by a button, not by a swipe. */
export function MessagesScreen({ face }: { face: PatientFace }) {
  const messages = face.home.messages.value;
  const [older, setOlder] = useState(0);
  const [isWriting, setIsWriting] = useState(false);
  const [sent, setSent] = useState<"no" | "waiting">("no");
  const patientId = face.patientId.value;
  useEffect(() => {
    if (patientId !== null && face.home.unread.peek() > 0) void patientApi.markRead(patientId).catch(() => undefined);
  }, [messages?.length]);
  if (isWriting) {
    const send = (text: string) => {
      setIsWriting(false);
      if (text === "" || patientId === null) return;
      face.send("PUT", `/api/patients/${patientId}/messages/${newId()}`, { text });
      setSent("waiting");
    };
    return <WriteMessage onDone={send} />;
  }
  if (sent !== "no") {
    const isWaiting = face.outbox.waiting.value > 0;
    return (
      <main class="message">
        <DoneMark />
        <Heading title={t(isWaiting ? "patient.messages.kept" : "patient.messages.sent")} />
        <p class="lead" role="status">
          {t(isWaiting ? "patient.messages.kept.text" : "patient.messages.sent.text")}
        </p>
        <div class="choices">
          <button
            class="button primary"
            data-action="sent-done"
            onClick={() => {
              setSent("no");
              face.page.value = "home";
              void face.home.read(face.isHelper.peek(), true);
            }}
          >
            {t("patient.receipt.done")}
          </button>
        </div>
      </main>
    );
  }
  const shown = messages?.at(-1 - older);
  return (
    <main class="message page-screen">
      <Heading title={t("patient.messages")} />
      {shown ? <OneMessage message={shown} /> : <p class="lead">{t(messages === null ? "patient.not_read" : "patient.messages.none")}</p>}
      <div class="choices">
        {messages !== null && older + 1 < messages.length && (
          <button class="button calm" data-action="older" onClick={() => setOlder(older + 1)}>
            {t("patient.messages.older")}
          </button>
        )}
        {older > 0 && (
          <button class="button calm" data-action="newer" onClick={() => setOlder(older - 1)}>
            {t("patient.messages.newer")}
          </button>
        )}
        <button class="button primary" data-action="write-message" onClick={() => setIsWriting(true)}>
          {t("patient.messages.write")}
        </button>
        <BackButton face={face} />
      </div>
    </main>
  );
}

function OneMessage({ message }: { message: MessageRead }) {
  const from = isFromOthers(message) ? (message.author ?? t("patient.therapist")) : t("patient.write.you");
  return (
    <section class={`letter ${isFromOthers(message) ? "other" : "own"}`} tabIndex={0} aria-label={t("patient.messages.one", { name: from })}>
      <p class="note">{t("patient.messages.head", { name: from, when: when(message.sent_at) })}</p>
      <p class="letter-text">{message.text ?? t("patient.messages.gone")}</p>
    </section>
  );
}

function WriteMessage({ onDone }: { onDone(text: string): void }) {
  const [text, setText] = useState("");
  return (
    <main class="writing">
      <Heading title={t("patient.messages.write.title")} />
      <label class="field">
        <span>{t("patient.messages.field")}</span>
        <textarea rows={3} maxLength={MESSAGE_CHARACTERS_MAX} value={text} onInput={(event) => setText(event.currentTarget.value)} />
      </label>
      <div class="choices">
        <button class="button primary" data-action="send-message" onClick={() => onDone(text.trim())}>
          {t(text.trim() === "" ? "patient.back" : "patient.messages.send")}
        </button>
      </div>
      <p class="note">{t("patient.messages.not_urgent")}</p>
    </main>
  );
}

const GOALS_MAX = 4;

export function GoalsScreen({ face }: { face: PatientFace }) {
  const goals = face.home.goals.value?.filter((goal) => goal.state !== "dropped") ?? null;
  return (
    <main class="message page-screen">
      <Heading title={t("patient.goals")} />
      {goals === null || goals.length === 0 ? (
        <p class="lead">{t(goals === null ? "patient.not_read" : "patient.goals.none")}</p>
      ) : (
        <ul class="goal-lines">
          {goals.slice(0, GOALS_MAX).map((goal) => (
            <li>
              <strong>{goal.text}</strong>{" "}
              <span>
                {goal.state === "met"
                  ? t("patient.goals.met")
                  : goal.target_on
                    ? t("patient.goals.until", { day: dayText(goal.target_on) })
                    : t("patient.goals.open")}
              </span>
            </li>
          ))}
        </ul>
      )}
      <div class="choices">
        <BackButton face={face} />
      </div>
    </main>
  );
}

const TRAINED = ["done", "partly", "extra", "unmeasured"];

/** Days trained: one sentence, and a table of the last week. Nothing here is told by a picture alone. */
export function ProgressScreen({ face }: { face: PatientFace }) {
  const days = face.home.days.value;
  const today = dayOf(new Date(), 0);
  const past = (days ?? []).filter((day) => day.day <= today);
  const trained = past.filter((day) => TRAINED.includes(day.status)).length;
  const planned = past.filter((day) => day.prescribed_set_count > 0 && day.status !== "excused").length;
  return (
    <main class="message page-screen">
      <Heading title={t("patient.progress")} />
      {days === null ? (
        <p class="lead">{t("patient.not_read")}</p>
      ) : (
        <>
          <p class="lead">
            {planned === 0
              ? t("patient.progress.none", { days: past.length })
              : t("patient.progress.summary", { trained, planned, days: past.length })}
          </p>
          <table class="days">
            <caption class="hidden-text">{t("patient.progress.table")}</caption>
            <thead>
              <tr>
                <th scope="col">{t("patient.progress.day")}</th>
                <th scope="col">{t("patient.progress.what")}</th>
                <th scope="col">{t("patient.progress.sets")}</th>
              </tr>
            </thead>
            <tbody>
              {past.slice(-TABLE_DAYS).map((day) => (
                <tr>
                  <th scope="row">{dayText(day.day)}</th>
                  <td>{t(keyOr(`adherence.${day.status}`, "patient.progress.unknown"))}</td>
                  <td>
                    {day.prescribed_set_count === 0 && !day.done_set_count
                      ? "–"
                      : day.done_set_count === null
                        ? t("patient.progress.not_counted")
                        : t("patient.progress.of", { done: day.done_set_count, planned: day.prescribed_set_count })}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </>
      )}
      <div class="choices">
        <BackButton face={face} />
      </div>
    </main>
  );
}

/** "Not today": why, and for how long; one question per screen, and a receipt. */
export function NotTodayScreen({ face }: { face: PatientFace }) {
  const [kind, setKind] = useState<"planned_rest" | "illness" | null>(null);
  const [isDone, setIsDone] = useState(false);
  const patientId = face.patientId.value;
  const keepPause = (why: "planned_rest" | "illness", days: number) => {
    if (patientId === null) return;
    const now = new Date();
    face.send("POST", `/api/patients/${patientId}/pauses`, {
      id: newId(),
      kind: why,
      starts_on: dayOf(now, 0),
      ends_on: dayOf(now, days - 1),
    });
    setIsDone(true);
  };
  const done = () => {
    face.page.value = "home";
    void face.home.read(face.isHelper.peek(), true);
  };
  if (isDone) {
    return (
      <main class="message">
        <DoneMark />
        <Heading title={t("patient.not_today.done")} />
        <p class="lead" role="status">
          {t(face.outbox.waiting.value > 0 ? "patient.not_today.kept" : kind === "illness" ? "patient.not_today.ill.text" : "patient.not_today.rest.text")}
        </p>
        <div class="choices">
          <button class="button primary" data-action="not-today-done" onClick={done}>
            {t("patient.receipt.done")}
          </button>
        </div>
      </main>
    );
  }
  if (kind === "illness") {
    return (
      <Message title={t("patient.not_today.how_long")}>
        {([1, 3, 7] as const).map((days) => (
          <button class="button calm" data-action={`ill-${days}`} onClick={() => keepPause("illness", days)}>
            {t(`patient.not_today.days.${days}`)}
          </button>
        ))}
        <button class="button calm" data-action="not-today-back" onClick={() => setKind(null)}>
          {t("patient.back")}
        </button>
      </Message>
    );
  }
  return (
    <Message title={t("patient.not_today.why")} text={t("patient.not_today.text")}>
      <button
        class="button calm"
        data-action="rest"
        onClick={() => {
          setKind("planned_rest");
          keepPause("planned_rest", 1);
        }}
      >
        {t("patient.not_today.rest")}
      </button>
      <button class="button calm" data-action="ill" onClick={() => setKind("illness")}>
        {t("patient.not_today.ill")}
      </button>
      <BackButton face={face} />
    </Message>
  );
}
