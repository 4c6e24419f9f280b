import { useState } from "preact/hooks";
import { t } from "../../shared/i18n";
import { birthText, matches, nameOf } from "../format";
import type { Person } from "../types";
import { Field } from "./fields";

const SHOWN_MAX = 8;

/** Name and birth date: wherever a patient is named so that another one could be meant. */
export function PersonName({ person }: { person: Person }) {
  return (
    <span class="person">
      <strong>{nameOf(person)}</strong> <span class="birth">{birthText(person)}</span>
    </span>
  );
}

/** Choose one patient by parts of the name or the birth date. */
export function PersonChoice(props: { label: string; name: string; people: readonly Person[]; chosen: string | null; onChoose: (id: string | null) => void }) {
  const [typed, setTyped] = useState("");
  const found = props.people.filter((person) => person.id === props.chosen || (typed.trim() !== "" && matches(person, typed)));
  return (
    <div class="person-choice">
      <Field label={props.label} type="search" required={false} value={typed} name={props.name} onChange={setTyped} hint={t("person.search.hint")} />
      <fieldset class="radios">
        <legend class="hidden-text">{props.label}</legend>
        {found.slice(0, SHOWN_MAX).map((person) => (
          <label key={person.id}>
            <input type="radio" name={`${props.name}-choice`} checked={props.chosen === person.id} onChange={() => props.onChoose(person.id)} />
            <PersonName person={person} />
          </label>
        ))}
      </fieldset>
      <p class="soft" role="status">
        {typed.trim() === "" ? "" : found.length === 0 ? t("person.search.none") : found.length > SHOWN_MAX ? t("person.search.more", { count: found.length - SHOWN_MAX }) : ""}
      </p>
    </div>
  );
}
