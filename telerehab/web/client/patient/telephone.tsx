import { t } from "../shared/i18n";
import type { PatientFace } from "./face";

export function numberText(telephone: string | null): string {
  return telephone ? t("help.call_number", { telephone }) : t("help.call_clinic");
}

/** The clinic's number as a target to press, and 112. Needs no link to the server. */
export function Telephone({ face }: { face: PatientFace }) {
  const telephone = face.telephone.value;
  return (
    <div class="telephone">
      {telephone ? (
        <a class="button primary big" data-action="telephone" href={`tel:${telephone.replace(/[^+\d]/g, "")}`}>
          {numberText(telephone)}
        </a>
      ) : (
        <p class="lead">{numberText(null)}</p>
      )}
      <p class="lead emergency">{t("help.emergency")}</p>
    </div>
  );
}
