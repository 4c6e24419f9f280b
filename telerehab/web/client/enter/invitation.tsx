import { useEffect, useState } from "preact/hooks";
import { t, type TextKey } from "../shared/i18n";
import { canUsePasskeys, makePasskey } from "../shared/passkey";
import { enterApi, type Invitation } from "./api";
import { failure, Problem } from "./steps";

/** A relative or volunteer was invited: who asks, what follows, and one button that makes a passkey. */
export function InvitationCard({ token, onAccepted }: { token: string; onAccepted: () => void }) {
  const [invitation, setInvitation] = useState<Invitation | null>(null);
  const [problem, setProblem] = useState<TextKey | null>(null);
  const [isBusy, setIsBusy] = useState(false);
  useEffect(() => {
    enterApi.lookAtInvitation(token).then(setInvitation, (error: unknown) => setProblem(failure(error, "enter.invitation.failed")));
  }, [token]);
  const accept = async () => {
    if (isBusy) return;
    setIsBusy(true);
    setProblem(null);
    try {
      const { challenge_id, options } = await enterApi.invitationOptions(token);
      await enterApi.acceptInvitation(token, challenge_id, await makePasskey(options));
      onAccepted();
    } catch (error) {
      setProblem(failure(error, "enter.invitation.failed"));
    } finally {
      setIsBusy(false);
    }
  };
  const patient = invitation?.patient_name ?? t("enter.invitation.somebody");
  return (
    <section class="card step">
      <h2>{t("enter.invitation.title")}</h2>
      {invitation && (
        <>
          <p class="lead">{t("enter.invitation.text", { patient, organisation: invitation.organisation })}</p>
          <p>{t("enter.invitation.passkey")}</p>
          {canUsePasskeys() ? (
            <button type="button" class="button primary large" data-action="accept" aria-disabled={isBusy} onClick={() => void accept()}>
              {t("enter.invitation.accept")}
            </button>
          ) : (
            <p class="problem">{t("enter.passkey.missing")}</p>
          )}
        </>
      )}
      {!invitation && !problem && <p role="status">{t("app.loading")}</p>}
      <Problem problem={problem} />
    </section>
  );
}
