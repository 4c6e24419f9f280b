import { t } from "../../../shared/i18n";
import { plainNumber } from "../../format";
import { Check, Field } from "../../parts/fields";
import type { Limits } from "../../types";
import { limitText } from "../../words";

type NumberName = Exclude<keyof Limits, "is_fall_hint_on">;

/** Lowest and highest value, as the server takes them; an optional limit that is empty is off. */
export const LIMIT_FIELDS: readonly ({ name: NumberName; low: number; high: number; isOptional: boolean } | { name: "is_fall_hint_on" })[] = [
  { name: "pain_max", low: 1, high: 10, isOptional: false },
  { name: "pain_rise", low: 1, high: 10, isOptional: false },
  { name: "heart_rate_max_per_min", low: 60, high: 220, isOptional: true },
  { name: "heart_rate_min_per_min", low: 30, high: 100, isOptional: true },
  { name: "heart_rate_hold_s", low: 10, high: 60, isOptional: false },
  { name: "heart_rate_margin_per_min", low: 2, high: 20, isOptional: false },
  { name: "spo2_min_percent", low: 70, high: 99, isOptional: true },
  { name: "spo2_hold_s", low: 10, high: 60, isOptional: false },
  { name: "spo2_margin_percent", low: 1, high: 5, isOptional: false },
  { name: "is_fall_hint_on" },
  { name: "stream_lost_s", low: 10, high: 600, isOptional: true },
];

/** The limits of a plan version that says nothing else. */
export const DEFAULT_LIMITS: Limits = {
  pain_max: 7,
  pain_rise: 3,
  heart_rate_max_per_min: null,
  heart_rate_min_per_min: null,
  heart_rate_hold_s: 10,
  heart_rate_margin_per_min: 5,
  spo2_min_percent: null,
  spo2_hold_s: 10,
  spo2_margin_percent: 2,
  is_fall_hint_on: true,
  stream_lost_s: 30,
};

export function limitValueText(value: number | boolean | null): string {
  if (value === null) return t("value.off");
  return typeof value === "boolean" ? t(value ? "value.on" : "value.off") : plainNumber(value);
}

export function LimitFields({ limits, onChange }: { limits: Limits; onChange: (limits: Limits) => void }) {
  return (
    <fieldset class="limits">
      <legend>{t("plan.limits")}</legend>
      <p class="soft">{t("plan.limits.hint")}</p>
      <div class="row">
        {LIMIT_FIELDS.map((field) =>
          field.name === "is_fall_hint_on" ? (
            <Check key={field.name} name={field.name} label={limitText(field.name)} isOn={limits.is_fall_hint_on} onChange={(isOn) => onChange({ ...limits, is_fall_hint_on: isOn })} />
          ) : (
            <Field
              key={field.name}
              class="narrow"
              type="number"
              name={field.name}
              label={limitText(field.name)}
              required={!field.isOptional}
              min={field.low}
              max={field.high}
              value={limits[field.name]?.toString() ?? ""}
              onChange={(text) => onChange({ ...limits, [field.name]: text === "" ? null : Number(text) } as Limits)}
            />
          ),
        )}
      </div>
    </fieldset>
  );
}
