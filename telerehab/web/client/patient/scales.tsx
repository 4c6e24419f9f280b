import type { ComponentChildren } from "preact";
import { t } from "../shared/i18n";
import { Message } from "./message";

const PAIN_VALUES = Array.from({ length: 11 }, (_, value) => value);

/** Numbers to press instead of a slider: a slider needs a steady hand. */
export function Numbers(props: { values: readonly number[]; action: string; onPress(value: number): void }) {
  return (
    <div class="numbers">
      {props.values.map((value) => (
        <button class="button calm number" data-action={`${props.action}-${value}`} onClick={() => props.onPress(value)}>
          {value}
        </button>
      ))}
    </div>
  );
}

/** "How much does it hurt?", 0 to 10. */
export function PainScreen(props: {
  title: string;
  onPress(value: number): void;
  onBack?: () => void;
  children?: ComponentChildren;
}) {
  return (
    <Message title={props.title}>
      {props.children}
      <div class="scale">
        <Numbers values={PAIN_VALUES} action="pain" onPress={props.onPress} />
        <p class="scale-words">
          <span>{t("patient.pain.none")}</span>
          <span>{t("patient.pain.some")}</span>
          <span>{t("patient.pain.worst")}</span>
        </p>
      </div>
      {props.onBack && (
        <button class="button calm" data-action="pain-back" onClick={props.onBack}>
          {t("patient.pain.back")}
        </button>
      )}
    </Message>
  );
}

/** Words to press, with their place on the scale from 0 to 10 of perceived exertion (Borg CR10). */
const EFFORTS = [
  ["patient.effort.easy", 2],
  ["patient.effort.somewhat_hard", 4],
  ["patient.effort.hard", 5],
  ["patient.effort.very_hard", 7],
] as const;

export function EffortScreen(props: { onPress(value: number): void }) {
  return (
    <Message title={t("patient.effort.question")}>
      {EFFORTS.map(([key, value]) => (
        <button class="button calm" data-action={`effort-${value}`} onClick={() => props.onPress(value)}>
          {t(key)}
        </button>
      ))}
    </Message>
  );
}
