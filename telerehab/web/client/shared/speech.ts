import { language } from "./i18n";

/** Return a voice that speaks on this machine; null where there is none. Another one would send the text to strangers. */
export function localVoice(voices: readonly SpeechSynthesisVoice[], wanted: string): SpeechSynthesisVoice | null {
  return voices.find((voice) => voice.localService && voice.lang.toLowerCase().startsWith(wanted)) ?? null;
}

function voiceNow(): SpeechSynthesisVoice | null {
  return "speechSynthesis" in window ? localVoice(speechSynthesis.getVoices(), language.value) : null;
}

export function canSpeak(): boolean {
  return voiceNow() !== null;
}

/** Read sentences aloud; says nothing where no local voice is. */
export function speak(sentences: readonly string[]): void {
  const voice = voiceNow();
  if (voice === null) return;
  speechSynthesis.cancel();
  for (const sentence of sentences) {
    const utterance = new SpeechSynthesisUtterance(sentence);
    utterance.voice = voice;
    utterance.lang = voice.lang;
    speechSynthesis.speak(utterance);
  }
}

export function stopSpeaking(): void {
  if ("speechSynthesis" in window) speechSynthesis.cancel();
}
