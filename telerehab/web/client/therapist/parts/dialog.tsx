import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";
import { t } from "../../shared/i18n";

/** A modal question. Escape and the button close it; focus returns to what opened it. */
export function Dialog(props: { title: string; onClose: () => void; children: ComponentChildren; class?: string }) {
  const element = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const opener = document.activeElement;
    element.current?.showModal();
    return () => {
      if (opener instanceof HTMLElement && opener.isConnected) opener.focus();
    };
  }, []);
  return (
    <dialog ref={element} class={props.class ?? ""} aria-labelledby={id} onClose={props.onClose}>
      <div class="panel-head">
        <h2 id={id}>{props.title}</h2>
        <button type="button" class="button small" data-action="dialog-close" onClick={props.onClose}>
          {t("dialog.close")}
        </button>
      </div>
      {props.children}
    </dialog>
  );
}
