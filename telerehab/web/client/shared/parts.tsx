import { useEffect, useRef } from "preact/hooks";
import type { TrustLevel } from "./codes";
import { t } from "./i18n";
import type { LinkQuality } from "./messages";
import { repaint } from "./repaint";

/** Shape and colour and word: never colour alone. */
export function TrustShape({ level }: { level: TrustLevel }) {
  return (
    <svg class={`shape trust-${level}`} viewBox="0 0 20 20" aria-hidden="true" focusable="false">
      {level === "good" && <circle cx="10" cy="10" r="8" />}
      {level === "fair" && <path d="M10 1 19 10 10 19 1 10Z" />}
      {level === "poor" && <path d="M10 1.5 19 18H1Z" />}
      {level === "unknown" && <circle cx="10" cy="10" r="7" class="hollow" />}
    </svg>
  );
}

export function LinkShape({ link }: { link: LinkQuality }) {
  const bars = link === "good" ? 3 : link === "weak" ? 1 : 0;
  return (
    <svg class={`shape link-${link}`} viewBox="0 0 20 20" aria-hidden="true" focusable="false">
      {link === "lost" ? (
        <path d="M3 3 17 17M17 3 3 17" class="cross" />
      ) : (
        [0, 1, 2].map((bar) => (
          <rect x={1 + bar * 7} y={13 - bar * 6} width="5" height={6 + bar * 6} class={bar < bars ? "" : "hollow"} />
        ))
      )}
    </svg>
  );
}

export function LinkMark({ link }: { link: LinkQuality }) {
  return (
    <span class="mark">
      <LinkShape link={link} />
      {t(`link.${link}`)}
    </span>
  );
}

/** A picture without sound; the sound has an element of its own, so that the picture may stop while it goes on. */
export function Picture({ stream, label, slot }: { stream: MediaStream | null; label: string; slot?: string }) {
  const element = useRef<HTMLVideoElement>(null);
  useEffect(() => {
    const video = element.current;
    if (!video) return;
    if (video.srcObject !== stream) video.srcObject = stream;
    if (stream) video.play().catch(() => undefined); // muted pictures may always start; a replaced stream aborts it
  }, [stream]);
  return <video ref={element} class="picture" autoplay muted playsInline aria-label={label} data-slot={slot} />;
}

/** One voice. `onBlocked` is called when the browser wants a tap first. */
export function Voice({ stream, muted, onBlocked }: { stream: MediaStream | null; muted?: boolean; onBlocked: (start: () => void) => void }) {
  const element = useRef<HTMLAudioElement>(null);
  useEffect(() => {
    const audio = element.current;
    if (!audio) return;
    if (audio.srcObject !== stream) audio.srcObject = stream;
    if (!stream) return;
    audio.play().catch((error: unknown) => {
      if (error instanceof DOMException && error.name === "NotAllowedError") onBlocked(() => void audio.play().catch(() => undefined));
    });
  }, [stream]);
  return <audio ref={element} autoplay muted={muted ?? false} />;
}

/** Draw at most 25 times a second for as long as the component is shown. */
export function useRepaint(paint: (nowMs: number) => void): void {
  const latest = useRef(paint);
  latest.current = paint;
  useEffect(() => repaint((nowMs) => latest.current(nowMs)), []);
}
