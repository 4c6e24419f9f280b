import { signal } from "@preact/signals";
import type { Language, TextKey, Texts, TextValues } from "./texts";
import { patientTexts } from "./texts_patient";

export type { Language, TextKey };

const TEXTS: Texts = { da: { ...patientTexts.da }, en: { ...patientTexts.en } };
const KEY = "telerehab.language";

export const language = signal<Language>("da");

/** Take in further sentences; each page but the patient's does so with `staffTexts` before it shows anything. */
export function addTexts(more: Texts): void {
  Object.assign(TEXTS.da, more.da);
  Object.assign(TEXTS.en, more.en);
}

type Values<K extends TextKey> = TextValues[K] extends undefined ? [] : [TextValues[K]];

/** Return the text of a key in the chosen language, with its values filled in. */
export function t<K extends TextKey>(key: K, ...values: Values<K>): string {
  const sentence = TEXTS[language.value][key] ?? key;
  const given = values[0] as Record<string, string | number> | undefined;
  return given ? sentence.replace(/\{(\w+)\}/g, (whole, name: string) => String(given[name] ?? whole)) : sentence;
}

/** Return the key if there is a text for it, else the other one. For codes that come from the server. */
export function keyOr<K extends TextKey>(key: string, otherwise: K): K {
  return key in TEXTS.da ? (key as K) : otherwise;
}

/** Choose a language; `remember` keeps a person's own choice on this browser. */
export function setLanguage(chosen: string, remember = false): void {
  language.value = chosen === "en" ? "en" : "da";
  document.documentElement.lang = language.value;
  if (remember) localStorage.setItem(KEY, language.value);
}

/** The person's choice on this browser, else the login's language, else Danish. */
export function startLanguage(ofLogin: string | null): void {
  setLanguage(localStorage.getItem(KEY) ?? ofLogin ?? "da");
}

/** Return a number as people of this language write it. */
export function number(value: number, decimals = 0): string {
  return value.toLocaleString(language.value === "da" ? "da-DK" : "en-GB", {
    minimumFractionDigits: decimals,
    maximumFractionDigits: decimals,
  });
}
