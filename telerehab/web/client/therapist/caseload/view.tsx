import { useEffect, useRef, useState } from "preact/hooks";
import { t } from "../../shared/i18n";
import { care } from "../api";
import type { TherapistFace } from "../face";
import { isoDay, timeOf } from "../format";
import { useLoad } from "../load";
import { Field } from "../parts/fields";
import { Panel } from "../parts/panel";
import { SessionList } from "../sessions";
import type { Caseload, CaseloadPatient, FlagRead } from "../types";
import { Notices } from "./notices";
import { choose, isOnToday, isSameOrder, keepOrder, needsMe, pageOf, type Filter } from "./order";
import { CaseloadRow } from "./row";
import { WhyDialog } from "./why";

const LOOK_AGAIN_MS = 5000;

/** The first page: who needs me, in the server's order of need. */
export function CaseloadView({ face }: { face: TherapistFace }) {
  const loaded = useLoad(care.caseload, [], LOOK_AGAIN_MS);
  const [why, setWhy] = useState<{ flag: FlagRead; patient: CaseloadPatient } | null>(null);
  return (
    <main class="page">
      <h1>{t("caseload.title")}</h1>
      {(face.sessions.value?.length ?? 0) > 0 && (
        <section class="panel live-now" aria-labelledby="live-now">
          <h2 id="live-now">{t("caseload.live_now")}</h2>
          <SessionList sessions={face.sessions.value ?? []} heading="h3" />
        </section>
      )}
      <Panel title={t("caseload.patients")} loaded={loaded} class="caseload" isEmpty={(caseload) => caseload.patients.length === 0} empty={t("caseload.empty")}>
        {(caseload) => caseload.patients.length > 0 && <List caseload={caseload} onWhy={(flag, patient) => setWhy({ flag, patient })} />}
      </Panel>
      <Notices face={face} />
      {why && <WhyDialog flag={why.flag} person={why.patient} onClose={() => setWhy(null)} onChanged={() => void loaded.reload()} />}
    </main>
  );
}

function List({ caseload, onWhy }: { caseload: Caseload; onWhy: (flag: FlagRead, patient: CaseloadPatient) => void }) {
  const today = isoDay(new Date());
  const counts = { needs: caseload.patients.filter(needsMe).length, today: caseload.patients.filter((one) => isOnToday(one, today)).length, all: caseload.patients.length };
  const [filter, setFilter] = useState<Filter>(counts.needs > 0 ? "needs" : "all");
  const [typed, setTyped] = useState("");
  const [page, setPage] = useState(0);
  const isHeld = useRef(false);
  const order = useRef<string[]>([]);
  const list = useRef<HTMLUListElement>(null);
  const chosen = choose(caseload.patients, typed.trim() === "" ? filter : "all", typed, today);
  const kept = isHeld.current ? keepOrder(order.current, chosen) : chosen;
  order.current = kept.map((patient) => patient.id);
  const [, redraw] = useState(0);
  const { shown, page: at, pages } = pageOf(kept, page);
  const hasTurned = useRef(false);
  const turn = (to: number) => {
    hasTurned.current = true;
    setPage(to);
  };
  useEffect(() => {
    if (hasTurned.current) list.current?.querySelector("a")?.focus();
    hasTurned.current = false;
  }, [at]);
  const release = () => {
    isHeld.current = false;
    redraw((count) => count + 1);
  };
  return (
    <>
      <div class="row caseload-tools">
        <div class="filters" role="group" aria-label={t("caseload.filter")}>
          {(["needs", "today", "all"] as const).map((each) => (
            <button
              key={each}
              class="button"
              data-action={`filter-${each}`}
              aria-pressed={filter === each && typed.trim() === ""}
              onClick={() => {
                setFilter(each);
                setTyped("");
                setPage(0);
              }}
            >
              {t(FILTERS[each] as "caseload.filter.needs", { count: counts[each] })}
            </button>
          ))}
        </div>
        <Field
          label={t("caseload.search")}
          type="search"
          required={false}
          name="search"
          value={typed}
          onChange={(text) => {
            setTyped(text);
            setPage(0);
          }}
        />
        <p class="soft counted">{caseload.counted_at === null ? t("caseload.not_counted") : t("caseload.counted_at", { time: timeOf(caseload.counted_at) })}</p>
      </div>
      <p class="hidden-text" role="status">
        {t("caseload.shown", { count: kept.length })}
      </p>
      {!isSameOrder(kept, chosen) && (
        <button class="button small" data-action="new-order" onClick={release}>
          {t("caseload.new_order")}
        </button>
      )}
      {kept.length === 0 && <p class="empty">{t(typed.trim() !== "" ? "caseload.search.none" : filter === "needs" ? "caseload.needs.none" : "caseload.today.none")}</p>}
      <ul
        class="cases"
        ref={list}
        onPointerEnter={() => (isHeld.current = true)}
        onPointerLeave={release}
        onFocusCapture={() => (isHeld.current = true)}
        onBlurCapture={(event) => !event.currentTarget.contains(event.relatedTarget as Node | null) && release()}
      >
        {shown.map((patient) => (
          <CaseloadRow key={patient.id} patient={patient} onWhy={(flag) => onWhy(flag, patient)} />
        ))}
      </ul>
      {pages > 1 && (
        <nav class="row pager" aria-label={t("caseload.pages")}>
          <button class="button" data-action="page-before" aria-disabled={at === 0} onClick={() => at > 0 && turn(at - 1)}>
            {t("caseload.page.before")}
          </button>
          <p>{t("caseload.page", { page: at + 1, pages, count: kept.length })}</p>
          <button class="button" data-action="page-after" aria-disabled={at === pages - 1} onClick={() => at < pages - 1 && turn(at + 1)}>
            {t("caseload.page.after")}
          </button>
        </nav>
      )}
    </>
  );
}

const FILTERS: Record<Filter, "caseload.filter.needs" | "caseload.filter.today" | "caseload.filter.all"> = {
  needs: "caseload.filter.needs",
  today: "caseload.filter.today",
  all: "caseload.filter.all",
};
