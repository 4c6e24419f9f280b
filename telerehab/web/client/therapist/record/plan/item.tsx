import { t } from "../../../shared/i18n";
import { weekdayName } from "../../format";
import { Check, Choice, Field } from "../../parts/fields";
import type { PlanItem } from "../../types";
import { BAND_COLOURS, bandText, sideText } from "../../words";
import { EVERY_DAY, toggleWeekday } from "./draft";
import { itemName } from "./sentences";

const FIRST_TEMPO = { up_s: 2, hold_s: 2, down_s: 2 };

/** One exercise of a draft. Empty is "not prescribed", never 0. */
export function ItemEditor(props: {
  item: PlanItem;
  index: number;
  count: number;
  onChange: (part: Partial<PlanItem>) => void;
  onRemove: () => void;
  onMove: (by: -1 | 1) => void;
}) {
  const { item, onChange } = props;
  const name = itemName(item);
  const numberOrNull = (text: string) => (text === "" ? null : Number(text));
  const tempoOf = (part: Partial<NonNullable<PlanItem["tempo"]>>) => onChange({ tempo: { ...(item.tempo ?? FIRST_TEMPO), ...part } });
  return (
    <li class="item">
      <fieldset>
        <legend>{t("plan.item", { number: props.index + 1, item: name })}</legend>
        <div class="row">
          <Choice label={t("plan.field.side")} value={item.side} options={(["right", "left", "both"] as const).map((side) => [side, sideText(side)] as const)} onChange={(side) => onChange({ side })} />
          <Field class="narrow" type="number" min={1} max={10} label={t("plan.field.sets")} name={`sets-${props.index}`} value={String(item.sets || "")} onChange={(text) => onChange({ sets: Number(text) })} />
          <Field class="narrow" type="number" min={1} max={100} label={t("plan.field.repetitions")} name={`repetitions-${props.index}`} value={String(item.repetitions || "")} onChange={(text) => onChange({ repetitions: Number(text) })} />
          <Field class="narrow" type="number" min={-180} max={180} required={false} label={t("plan.field.target_low")} value={item.target_low_deg?.toString() ?? ""} onChange={(text) => onChange({ target_low_deg: numberOrNull(text) })} />
          <Field class="narrow" type="number" min={-180} max={180} required={false} label={t("plan.field.target_high")} value={item.target_high_deg?.toString() ?? ""} onChange={(text) => onChange({ target_high_deg: numberOrNull(text) })} />
          <Field class="narrow" type="number" min={0.5} max={200} step={0.5} required={false} label={t("plan.field.load")} value={item.load_kg?.toString() ?? ""} onChange={(text) => onChange({ load_kg: numberOrNull(text) })} />
          <Choice
            label={t("plan.field.band")}
            value={item.band ?? ""}
            options={[["", t("plan.no_band")] as const, ...BAND_COLOURS.map((band) => [band, bandText(band)] as const)]}
            onChange={(band) => onChange({ band: band === "" ? null : band })}
          />
        </div>
        <div class="row">
          <Check label={t("plan.has_tempo")} isOn={item.tempo !== null} onChange={(isOn) => onChange({ tempo: isOn ? { ...FIRST_TEMPO } : null })} />
          {item.tempo !== null &&
            (["up_s", "hold_s", "down_s"] as const).map((phase) => (
              <Field key={phase} class="narrow" type="number" min={0} max={60} step={0.5} label={t(PHASES[phase] as "plan.tempo.up")} value={item.tempo?.[phase].toString() ?? ""} onChange={(text) => tempoOf({ [phase]: Number(text) })} />
            ))}
        </div>
        <fieldset class="weekdays">
          <legend>{t("plan.field.weekdays")}</legend>
          {EVERY_DAY.map((weekday) => (
            <Check key={weekday} label={weekdayName(weekday, "short")} isOn={item.weekdays.includes(weekday)} onChange={() => onChange({ weekdays: toggleWeekday(item.weekdays, weekday) })} />
          ))}
        </fieldset>
        <div class="row">
          <button type="button" class="button small" aria-disabled={props.index === 0} aria-label={t("plan.up.label", { item: name })} onClick={() => props.index > 0 && props.onMove(-1)}>
            {t("plan.up")}
          </button>
          <button type="button" class="button small" aria-disabled={props.index === props.count - 1} aria-label={t("plan.down.label", { item: name })} onClick={() => props.index < props.count - 1 && props.onMove(1)}>
            {t("plan.down")}
          </button>
          <button type="button" class="button small danger" aria-label={t("plan.remove.label", { item: name })} onClick={props.onRemove}>
            {t("plan.remove")}
          </button>
        </div>
      </fieldset>
    </li>
  );
}

const PHASES = { up_s: "plan.tempo.up", hold_s: "plan.tempo.hold", down_s: "plan.tempo.down" } as const;
