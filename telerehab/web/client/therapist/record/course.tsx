import { AppointmentsPanel } from "../calendar/appointments";
import { ReferralsPanel } from "./referral";
import type { RecordProps } from "./view";

/** The course of rehabilitation: what the law counts from, and when we meet. */
export function CourseSection(props: RecordProps) {
  return (
    <div class="panels">
      <ReferralsPanel {...props} />
      <AppointmentsPanel face={props.face} patient={props.patient} />
    </div>
  );
}
