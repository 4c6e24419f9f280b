import type { ComponentChildren } from "preact";
import { DevicesView } from "./devices";
import { DutiesView } from "./duties";
import type { View } from "./face";
import { ImportView } from "./import";
import { OrganisationView } from "./organisation";
import { PatientsView } from "./patients";
import { LogView, ReviewsView } from "./reviews";
import { StaffView } from "./staff";
import { TeamsView } from "./teams";

/** What stands behind each entry of the list of views, but one's own access, which is a page of its own. */
export const VIEW_PARTS: Record<Exclude<View, "me">, () => ComponentChildren> = {
  patients: () => <PatientsView />,
  import: () => <ImportView />,
  staff: () => <StaffView />,
  teams: () => <TeamsView />,
  duties: () => <DutiesView />,
  devices: () => <DevicesView />,
  organisation: () => <OrganisationView />,
  reviews: () => <ReviewsView />,
  log: () => <LogView />,
};
