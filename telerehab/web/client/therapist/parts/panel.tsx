import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";
import { t } from "../../shared/i18n";
import { timeOf } from "../format";
import type { Loaded, Saving } from "../load";
import { problemSentence } from "../problem";

/** One part of a page with its own loading, empty and failure state: its failure leaves the other panels alone. */
export function Panel<V>(props: {
  title: string;
  loaded: Loaded<V>;
  children: (value: V) => ComponentChildren;
  isEmpty?: (value: V) => boolean;
  empty?: string;
  action?: ComponentChildren;
  class?: string;
}) {
  const id = useId();
  const { value, error, readAt, reload } = props.loaded;
  return (
    <section class={`panel ${props.class ?? ""}`} aria-labelledby={id}>
      <div class="panel-head">
        <h2 id={id}>{props.title}</h2>
        {props.action}
      </div>
      {error !== null && (
        <div class="problem row" role="alert">
          <p>
            {problemSentence(error)} {readAt && t("panel.from", { time: timeOf(readAt) })}
          </p>
          <button class="button small" data-action="retry" onClick={() => void reload()}>
            {t("panel.retry")}
          </button>
        </div>
      )}
      {value === undefined && error === null && <p role="status">{t("app.loading")}</p>}
      {value !== undefined && props.isEmpty?.(value) && props.empty && <p class="empty">{props.empty}</p>}
      {value !== undefined && props.children(value)}
    </section>
  );
}

/** What a save came to, below its form. */
export function SaveState({ saving, done, notFound }: { saving: Saving; done?: string; notFound?: string }) {
  return (
    <>
      {saving.error !== null && (
        <p class="problem" role="alert">
          {problemSentence(saving.error, notFound)} {t("form.kept")}
        </p>
      )}
      <p class={saving.isDone && done ? "save-done" : "hidden-text"} role="status">
        {saving.isDone ? (done ?? t("form.saved")) : ""}
      </p>
    </>
  );
}
