import { t } from "../../shared/i18n";
import { care } from "../api";
import type { TherapistFace } from "../face";
import { birthText, momentText, nameOf } from "../format";
import { useLoad, useSaving } from "../load";
import { SaveState } from "../parts/panel";
import type { NoticeRead } from "../types";
import { foundText } from "../words";

const LOOK_AGAIN_MS = 15_000;
const SHOWN_MAX = 5;

/** What I was told and have not marked as seen; nothing at all where there is nothing. */
export function Notices({ face }: { face: TherapistFace }) {
  const loaded = useLoad(care.notices, [], LOOK_AGAIN_MS, face.changes.value["notice"]);
  const saving = useSaving();
  const unread = (loaded.value ?? []).filter((notice) => notice.read_at === null);
  const read = async (notice: NoticeRead) => {
    if (await saving.run(() => care.readNotice(notice.id))) await loaded.reload();
  };
  if (unread.length === 0) return null;
  return (
    <section class="panel" aria-labelledby="notices">
      <h2 id="notices">{t("notice.title")}</h2>
      <ul class="plain-list">
        {unread.slice(0, SHOWN_MAX).map((notice) => (
          <li key={notice.id} class="row" data-notice={notice.id}>
            <span>
              {notice.patient_id === null ? noticeText(notice) : <a href={`#/patients/${notice.patient_id}`}>{noticeText(notice)}</a>}
              {notice.patient_id !== null && ` · ${birthText(notice)}`} · {momentText(notice.created_at)}
            </span>
            <button class="button small" data-action="notice-read" aria-label={t("notice.read.label", { notice: noticeText(notice) })} onClick={() => void read(notice)}>
              {t("notice.read")}
            </button>
          </li>
        ))}
      </ul>
      <SaveState saving={saving} />
    </section>
  );
}

function noticeText(notice: NoticeRead): string {
  const name = notice.patient_id === null ? "–" : nameOf(notice);
  const { rule, number } = notice.data;
  if (notice.kind !== "notice.flag") return t("notice.other", { name });
  return rule === undefined ? t("notice.flag", { name }) : `${name}: ${foundText(rule, number ?? null)}`;
}
