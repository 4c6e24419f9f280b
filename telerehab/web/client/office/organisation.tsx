import { useEffect, useState } from "preact/hooks";
import { t, type TextKey } from "../shared/i18n";
import { useLoad, useSaving } from "../therapist/load";
import { Field, Form, Radios } from "../therapist/parts/fields";
import { Panel, SaveState } from "../therapist/parts/panel";
import { office, type Organisation } from "./api";

const SERVICES = ["full", "measure_only", "communication_only"] as const;

/** What the organisation is called, what it uses, and where a tablet rings when nobody answers. */
export function OrganisationView() {
  const loaded = useLoad(office.organisation, []);
  return (
    <div class="panels">
      <Panel title={t("office.organisation.title")} loaded={loaded}>
        {(organisation) => <OrganisationForm organisation={organisation} onSaved={loaded.reload} />}
      </Panel>
    </div>
  );
}

function OrganisationForm({ organisation, onSaved }: { organisation: Organisation; onSaved: () => Promise<void> }) {
  const [name, setName] = useState(organisation.name);
  const [service, setService] = useState(organisation.service);
  const [telephone, setTelephone] = useState(organisation.help_telephone ?? "");
  const [timeZone, setTimeZone] = useState(organisation.time_zone);
  const saving = useSaving();
  useEffect(() => {
    setName(organisation.name);
    setService(organisation.service);
    setTelephone(organisation.help_telephone ?? "");
    setTimeZone(organisation.time_zone);
  }, [organisation.version]);
  const save = async () => {
    const wish = { version: organisation.version, name, service, help_telephone: telephone.trim() || null, time_zone: timeZone };
    if (await saving.run(() => office.setOrganisation(wish))) await onSaved();
  };
  return (
    <Form onSubmit={() => void save()}>
      <Field label={t("office.organisation.name")} value={name} onChange={setName} maxLength={200} />
      <Field
        label={t("office.organisation.help_telephone")}
        type="tel"
        required={false}
        value={telephone}
        onChange={setTelephone}
        maxLength={24}
        hint={t("office.organisation.help_telephone.hint")}
      />
      <Field label={t("office.organisation.time_zone")} value={timeZone} onChange={setTimeZone} maxLength={64} />
      <Radios
        label={t("office.organisation.service")}
        name="service"
        value={service}
        options={SERVICES.map((each) => [each, t(`office.service.${each}` as TextKey as "app.name")] as const)}
        onChange={setService}
      />
      <button class="button primary" data-action="save-organisation">
        {t("office.save")}
      </button>
      <SaveState saving={saving} done={t("office.saved")} />
    </Form>
  );
}
