import { effect } from "@preact/signals";
import { render } from "preact";
import "../shared/base.css";
import { addTexts, t } from "../shared/i18n";
import { staffTexts } from "../shared/texts_staff";
import { OfficeFace } from "./face";
import { OfficeApp } from "./office";
import "../therapist/therapist.css";
import "../therapist/care.css";
import "./office.css";

addTexts(staffTexts);
const face = new OfficeFace();
effect(() => {
  document.title = `${t("office.title")} – ${t("app.name")}`;
});
face.start();
render(<OfficeApp face={face} />, document.getElementById("app") as HTMLElement);
