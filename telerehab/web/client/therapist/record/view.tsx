import { useState } from "preact/hooks";
import { ApiError } from "../../shared/api";
import { t, type TextKey } from "../../shared/i18n";
import { care } from "../api";
import type { TherapistFace } from "../face";
import { BreakGlassForm } from "../find/form";
import { nameOf } from "../format";
import { useLoad } from "../load";
import { problemSentence } from "../problem";
import { SECTIONS, type Section } from "../route";
import type { BreakGlass, RecordHead } from "../types";
import { AccessSection } from "./access";
import { CourseSection } from "./course";
import { EquipmentSection } from "./equipment";
import { GoalsSection } from "./goals";
import { Head } from "./head";
import { MessagesSection } from "./messages";
import { OverviewSection } from "./overview";
import { PlanSection } from "./plan/section";
import { TrainingSection } from "./training/section";

/** What every section of a record is given. `mayWrite` false: looked at in an emergency, read only. */
export interface RecordProps {
  face: TherapistFace;
  patient: string;
  head: RecordHead;
  mayWrite: boolean;
}

const NAMES: Record<Section, TextKey> = {
  "": "record.section.overview",
  plan: "record.section.plan",
  training: "record.section.training",
  goals: "record.section.goals",
  messages: "record.section.messages",
  course: "record.section.course",
  access: "record.section.access",
  equipment: "record.section.equipment",
};

/** Sections whose rows an emergency look opens; the others would only be refused. */
const READABLE: readonly Section[] = ["", "plan", "training"];

/** One patient: who it is, then one section at a time; each panel reads for itself. */
export function RecordView({ face, patient, section }: { face: TherapistFace; patient: string; section: Section }) {
  const head = useLoad(() => care.record(patient), [patient]);
  const emergencies = useLoad(care.ownBreakGlass, [patient], 60_000);
  const [wantsEmergency, setWantsEmergency] = useState(false);
  const isHidden = head.error instanceof ApiError && (head.error.status === 404 || head.error.status === 403);
  if (head.value === undefined) {
    return (
      <main class="page">
        <h1>{t("record.title")}</h1>
        {head.error === null && <p role="status">{t("app.loading")}</p>}
        {head.error !== null && !isHidden && (
          <p class="problem" role="alert">
            {problemSentence(head.error)}
          </p>
        )}
        {isHidden && <p role="alert">{t("record.hidden")}</p>}
        <p class="row">
          <a class="button primary" href="#/">
            {t("nav.back_to_caseload")}
          </a>
          {head.error !== null && !isHidden && (
            <button class="button" data-action="retry" onClick={() => void head.reload()}>
              {t("panel.retry")}
            </button>
          )}
          {isHidden && (
            <button class="button danger" data-action="emergency" aria-expanded={wantsEmergency} onClick={() => setWantsEmergency(true)}>
              {t("find.emergency")}
            </button>
          )}
        </p>
        {isHidden && wantsEmergency && <BreakGlassForm patient={patient} onOpened={() => void Promise.all([head.reload(), emergencies.reload()])} />}
      </main>
    );
  }
  const emergency = runningFor(patient, emergencies.value ?? []);
  const mayWrite = head.value.scopes.includes("write_care");
  const props: RecordProps = { face, patient, head: head.value, mayWrite };
  const sections = mayWrite ? SECTIONS : READABLE;
  return (
    <main class="page record">
      <Head {...props} emergency={mayWrite ? null : emergency} />
      <nav aria-label={t("record.sections", { name: nameOf(head.value) })}>
        <ul class="nav sections">
          {sections.map((each) => (
            <li key={each}>
              <a href={`#/patients/${patient}/${each}`} data-action={`section-${each || "overview"}`} aria-current={each === section ? "page" : undefined}>
                {t(NAMES[each] as "record.section.plan")}
              </a>
            </li>
          ))}
        </ul>
      </nav>
      <SectionOf section={sections.includes(section) ? section : ""} {...props} />
    </main>
  );
}

function SectionOf({ section, ...props }: RecordProps & { section: Section }) {
  switch (section) {
    case "plan":
      return <PlanSection {...props} />;
    case "training":
      return <TrainingSection {...props} />;
    case "goals":
      return <GoalsSection {...props} />;
    case "messages":
      return <MessagesSection {...props} />;
    case "course":
      return <CourseSection {...props} />;
    case "access":
      return <AccessSection {...props} />;
    case "equipment":
      return <EquipmentSection {...props} />;
    default:
      return <OverviewSection {...props} />;
  }
}

/** The emergency look at this patient that runs now. */
export function runningFor(patient: string, all: readonly BreakGlass[], now: Date = new Date()): BreakGlass | null {
  return all.find((each) => each.patient_id === patient && new Date(each.ends_at) > now) ?? null;
}
