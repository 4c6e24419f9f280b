import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";

/** A heading that is read out when its screen comes. */
export function Heading({ title }: { title: string }) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus({ preventScroll: true }), [title]);
  return (
    <h1 ref={heading} tabIndex={-1}>
      {title}
    </h1>
  );
}

/** A title, some text and one decision. */
export function Message(props: { title: string; text?: string | undefined; children?: ComponentChildren }) {
  return (
    <main class="message">
      <Heading title={props.title} />
      {props.text && <p class="lead">{props.text}</p>}
      {props.children && <div class="choices">{props.children}</div>}
    </main>
  );
}

/** The sign that something is done; the words beside it say what. */
export function DoneMark() {
  return (
    <svg class="done-mark" viewBox="0 0 64 64" aria-hidden="true" focusable="false">
      <circle cx="32" cy="32" r="30" />
      <path d="M18 33 28 43 47 22" />
    </svg>
  );
}
