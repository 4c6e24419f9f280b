import { effect } from "@preact/signals";
import { render } from "preact";
import { useEffect } from "preact/hooks";
import "../shared/base.css";
import { addTexts, t, type TextKey } from "../shared/i18n";
import { staffTexts } from "../shared/texts_staff";
import { exposeTestHook } from "../shared/test_hook";
import { SafetyBar } from "./alerts/bar";
import { CalendarView } from "./calendar/view";
import { CaseloadView } from "./caseload/view";
import { TherapistFace } from "./face";
import { FindView } from "./find/view";
import { Lobby } from "./lobby";
import { MeView } from "./me/view";
import { RecordView } from "./record/view";
import { RoomView } from "./room_view";
import type { Route } from "./route";
import { Shell } from "./shell";
import "./therapist.css";
import "./care.css";

addTexts(staffTexts);

function TherapistApp({ face }: { face: TherapistFace }) {
  const visit = face.visit.value;
  if (!face.loggedIn.value) {
    return (
      <main class="plain">
        <h1>{t("therapist.not_logged_in")}</h1>
        <a class="button primary" href="/enter">
          {t("therapist.to_enter")}
        </a>
      </main>
    );
  }
  if (visit) {
    return (
      <div class="with-safety">
        <SafetyBar watch={face.safety} isInRoom />
        <RoomView key={visit.id} visit={visit} />
      </div>
    );
  }
  return (
    <Shell face={face}>
      <Page face={face} />
    </Shell>
  );
}

/** Names of the pages for the window; never of a patient, for browsers keep them. */
const TITLES: Record<Route["page"], TextKey> = {
  caseload: "nav.caseload",
  sessions: "nav.sessions",
  calendar: "nav.calendar",
  find: "nav.find",
  me: "nav.me",
  record: "record.title",
  room: "therapist.title",
};

function Page({ face }: { face: TherapistFace }) {
  const route = face.route.value;
  useEffect(() => {
    // What had the focus went with its page: the keyboard goes on from the new one.
    const main = document.querySelector("main");
    if (main === null || document.activeElement !== document.body) return;
    main.tabIndex = -1;
    main.focus({ preventScroll: true });
    scrollTo(0, 0);
  }, [route.page, route.page === "record" ? `${route.id} ${route.section}` : ""]);
  switch (route.page) {
    case "sessions":
      return <Lobby face={face} />;
    case "calendar":
      return <CalendarView face={face} />;
    case "find":
      return <FindView />;
    case "me":
      return <MeView face={face} />;
    case "record":
      return <RecordView key={route.id} face={face} patient={route.id} section={route.section} />;
    default:
      return <CaseloadView face={face} />;
  }
}

const face = new TherapistFace();
exposeTestHook(() => face.visit.peek()?.room ?? null);
effect(() => {
  const title = face.visit.value?.room.state.value?.title;
  document.title = `${title ?? t(TITLES[face.route.value.page] as "nav.me")} – ${t("app.name")}`;
});
face.start();
render(<TherapistApp face={face} />, document.getElementById("app") as HTMLElement);
