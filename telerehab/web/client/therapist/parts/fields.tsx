import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";
import { t } from "../../shared/i18n";

/** One labelled line of text, a date, a time or a number. */
export function Field(props: {
  label: string;
  value: string;
  onChange: (value: string) => void;
  type?: "text" | "date" | "time" | "number" | "search" | "tel" | "password";
  required?: boolean;
  hint?: string;
  min?: string | number;
  max?: string | number;
  step?: number;
  maxLength?: number;
  name?: string;
  class?: string;
  autocomplete?: string;
}) {
  const hint = useId();
  return (
    <label class={`field ${props.class ?? ""}`}>
      <span>
        {props.label}
        {props.required === false && props.type !== "search" && <small> {t("form.optional")}</small>}
      </span>
      <input
        type={(props.type ?? "text") as "text"}
        value={props.value}
        name={props.name}
        required={props.required ?? true}
        min={props.min}
        max={props.max}
        step={props.step}
        maxLength={props.maxLength}
        autocomplete={props.autocomplete ?? "off"}
        aria-describedby={props.hint ? hint : undefined}
        onInput={(event) => props.onChange(event.currentTarget.value)}
      />
      {props.hint && <small id={hint}>{props.hint}</small>}
    </label>
  );
}

export function TextArea(props: {
  label: string;
  value: string;
  onChange: (value: string) => void;
  required?: boolean;
  name?: string;
  minLength?: number;
  maxLength?: number;
  rows?: number;
}) {
  return (
    <label class="field wide">
      <span>
        {props.label}
        {props.required === false && <small> {t("form.optional")}</small>}
      </span>
      <textarea
        value={props.value}
        name={props.name}
        rows={props.rows ?? 2}
        required={props.required ?? true}
        minLength={props.minLength}
        maxLength={props.maxLength ?? 2000}
        onInput={(event) => props.onChange(event.currentTarget.value)}
      />
    </label>
  );
}

export function Choice<C extends string>(props: {
  label: string;
  value: C;
  options: readonly (readonly [C, string])[];
  onChange: (value: C) => void;
  name?: string;
}) {
  return (
    <label class="field">
      <span>{props.label}</span>
      <select value={props.value} name={props.name} onChange={(event) => props.onChange(event.currentTarget.value as C)}>
        {props.options.map(([code, text]) => (
          <option key={code} value={code}>
            {text}
          </option>
        ))}
      </select>
    </label>
  );
}

/** One of a few, all to be seen. */
export function Radios<C extends string>(props: {
  label: string;
  name: string;
  value: C | null;
  options: readonly (readonly [C, string])[];
  onChange: (value: C) => void;
}) {
  return (
    <fieldset class="radios">
      <legend>{props.label}</legend>
      {props.options.map(([code, text]) => (
        <label key={code}>
          <input type="radio" name={props.name} value={code} required checked={props.value === code} onChange={() => props.onChange(code)} />
          <span>{text}</span>
        </label>
      ))}
    </fieldset>
  );
}

export function Check(props: { label: string; isOn: boolean; onChange: (isOn: boolean) => void; name?: string }) {
  return (
    <label class="check">
      <input type="checkbox" name={props.name} checked={props.isOn} onChange={(event) => props.onChange(event.currentTarget.checked)} />
      <span>{props.label}</span>
    </label>
  );
}

/** A form whose save never runs twice and never empties it. */
export function Form(props: { onSubmit: () => void; children: ComponentChildren; class?: string; label?: string }) {
  return (
    <form
      class={`form ${props.class ?? ""}`}
      aria-label={props.label}
      onSubmit={(event) => {
        event.preventDefault();
        props.onSubmit();
      }}
    >
      {props.children}
    </form>
  );
}
