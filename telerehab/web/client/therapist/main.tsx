import { effect } from "@preact/signals";
import { render } from "preact";
import "../shared/base.css";
import { addTexts, t } from "../shared/i18n";
import { staffTexts } from "../shared/texts_staff";
import { exposeTestHook } from "../shared/test_hook";
import { TherapistFace } from "./face";
import { Lobby } from "./lobby";
import { RoomView } from "./room_view";
import "./therapist.css";

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
  return visit ? <RoomView key={visit.id} visit={visit} /> : <Lobby face={face} />;
}

addTexts(staffTexts);
const face = new TherapistFace();
exposeTestHook(() => face.visit.peek()?.room ?? null);
effect(() => {
  const title = face.visit.value?.room.state.value?.title;
  document.title = `${title ?? t("therapist.title")} – ${t("app.name")}`;
});
face.start();
render(<TherapistApp face={face} />, document.getElementById("app") as HTMLElement);
