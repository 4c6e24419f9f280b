import { effect } from "@preact/signals";
import { render } from "preact";
import "../shared/base.css";
import { t } from "../shared/i18n";
import { exposeTestHook } from "../shared/test_hook";
import { PatientFace } from "./face";
import "./patient.css";
import { PatientApp } from "./screens";

const face = new PatientFace();
exposeTestHook(() => face.room.peek());
effect(() => {
  document.title = `${t("patient.title")} – ${t("app.name")}`;
});
face.start();
render(<PatientApp face={face} />, document.getElementById("app") as HTMLElement);
