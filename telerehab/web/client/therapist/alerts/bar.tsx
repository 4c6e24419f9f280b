import { useState } from "preact/hooks";
import { t } from "../../shared/i18n";
import { agoText, momentText, nameOf, timeOf } from "../format";
import { PersonName } from "../parts/person";
import type { Alert, HelpCall } from "../types";
import { alertActionText, causeNumber, causeText } from "../words";
import { AcknowledgeDialog } from "./acknowledge";
import { AnswerDialog, CloseDialog } from "./help";
import { isRinging, type SafetyWatch } from "./watch";

type Open = { kind: "acknowledge"; alert: Alert } | { kind: "answer" | "close"; call: HelpCall } | null;

/** What nobody may overlook, on every page: help calls, then alerts, and when they cannot be read, since when. */
export function SafetyBar({ watch, isInRoom = false }: { watch: SafetyWatch; isInRoom?: boolean }) {
  const [open, setOpen] = useState<Open>(null);
  const alerts = watch.alerts.value;
  const calls = watch.helpCalls.value;
  const close = () => {
    setOpen(null);
    void watch.read();
  };
  return (
    <section class={`safety-bar ${watch.isAnything.value || watch.isStale.value ? "" : "quiet"}`} aria-label={t("safety_bar.label")}>
      {watch.isStale.value && (
        <p class="problem strip stale" role="alert">
          {watch.readAt.value ? t("safety_bar.stale", { time: timeOf(watch.readAt.value) }) : t("safety_bar.never")}
        </p>
      )}
      {watch.isAnything.value && (
        <ul class="safety-list">
          {calls.map((call) => (
            <HelpCallRow key={call.id} call={call} onAnswer={() => setOpen({ kind: "answer", call })} onClose={() => setOpen({ kind: "close", call })} />
          ))}
          {alerts.map((alert) => (
            <AlertRow key={alert.id} alert={alert} isInRoom={isInRoom} onAcknowledge={() => setOpen({ kind: "acknowledge", alert })} />
          ))}
        </ul>
      )}
      {watch.isSilenced.value && watch.isAnything.value && (
        <p class="silenced">
          {t("safety_bar.silenced")}{" "}
          <button class="button small" data-action="allow-sound" onClick={() => watch.allowSound()}>
            {t("room.sound.on")}
          </button>
        </p>
      )}
      <p class="hidden-text" aria-live="assertive">
        {announcement(watch.announced.value)}
      </p>
      {open?.kind === "acknowledge" && <AcknowledgeDialog alert={open.alert} onClose={close} />}
      {open?.kind === "answer" && <AnswerDialog call={open.call} isInRoom={isInRoom} onClose={close} onCloseCall={() => setOpen({ kind: "close", call: open.call })} />}
      {open?.kind === "close" && <CloseDialog call={open.call} onClose={close} />}
    </section>
  );
}

function announcement(one: Alert | HelpCall | null): string {
  if (one === null) return "";
  return t("safety_bar.announce", { name: nameOf(one), what: "cause" in one ? causeText(one.cause) : t("help_call.title") });
}

function AlertRow({ alert, isInRoom, onAcknowledge }: { alert: Alert; isInRoom: boolean; onAcknowledge: () => void }) {
  const number = causeNumber(alert.cause, alert.value, alert.limit);
  return (
    <li class={alert.is_stop && alert.acknowledged === null ? "stop" : "told"} data-alert={alert.id}>
      <Mark isStop={alert.is_stop} />
      <p class="safety-what">
        <PersonName person={{ ...alert, id: alert.patient_id }} />
        <span>
          {causeText(alert.cause)}
          {number && ` · ${number}`}
          {" · "}
          {t("safety_bar.since", { time: momentText(alert.began_at), ago: agoText(alert.began_at) })}
        </span>
        {alert.acknowledged !== null && (
          <span>{t("alert.acknowledged", { action: alertActionText(alert.acknowledged.action), name: alert.acknowledged.account_name ?? "–" })}</span>
        )}
        {alert.is_standing && <span>{t(alert.needs_confirmation_by === "therapist" ? "alert.stopped.therapist" : "alert.stopped")}</span>}
      </p>
      <p class="safety-actions">
        <a class="button small" data-action="alert-record" href={`#/patients/${alert.patient_id}`} target={isInRoom ? "_blank" : undefined} rel="noopener" aria-label={t("caseload.open.label", { name: nameOf(alert) })}>
          {t("caseload.open")}
        </a>
        <button class="button small primary" data-action="acknowledge" aria-label={t("alert.acknowledge.label", { name: nameOf(alert) })} onClick={onAcknowledge}>
          {t(alert.acknowledged === null ? "alert.acknowledge" : "alert.again")}
        </button>
      </p>
    </li>
  );
}

function HelpCallRow({ call, onAnswer, onClose }: { call: HelpCall; onAnswer: () => void; onClose: () => void }) {
  return (
    <li class="help" data-help-call={call.id}>
      <Mark isStop />
      <p class="safety-what">
        <PersonName person={{ ...call, id: call.patient_id }} />
        <span>
          {t("help_call.title")} · {stateText(call)} · {t("safety_bar.since", { time: momentText(call.called_at), ago: agoText(call.called_at) })}
        </span>
      </p>
      <p class="safety-actions">
        {isRinging(call) && (
          <button class="button small primary" data-action="answer-help" aria-label={t("help_call.answer.label", { name: nameOf(call) })} onClick={onAnswer}>
            {t("help_call.answer")}
          </button>
        )}
        <button class="button small" data-action="close-help" aria-label={t("help_call.close.label", { name: nameOf(call) })} onClick={onClose}>
          {t("help_call.close")}
        </button>
      </p>
    </li>
  );
}

function stateText(call: HelpCall): string {
  if (call.state === "withdrawn") return t("help_call.withdrawn");
  if (call.state === "answered") return call.answered_name ? t("help_call.answered_by", { name: call.answered_name }) : t("help_call.answered");
  return call.told_name ? t("help_call.rings", { name: call.told_name }) : t("help_call.nobody_told");
}

/** Octagon: training stands still or somebody calls. Triangle: told only. */
function Mark({ isStop }: { isStop: boolean }) {
  return (
    <svg class="safety-mark" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      {isStop ? <path d="M8 2h8l6 6v8l-6 6H8l-6-6V8Z" /> : <path d="M12 2.5 22.5 21h-21Z" />}
      <path class="mark-sign" d="M12 8v6M12 16.6v1.6" />
    </svg>
  );
}
