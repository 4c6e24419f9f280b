import { useState } from "preact/hooks";
import { newId } from "../shared/api";
import { keyOr, t, type TextKey } from "../shared/i18n";
import { momentText, personText, plainNumber } from "../therapist/format";
import { useLoad, useSaving } from "../therapist/load";
import { Choice, Field, Form } from "../therapist/parts/fields";
import { Panel, SaveState } from "../therapist/parts/panel";
import { RingNote } from "../therapist/parts/ring";
import { BODY_SITES, siteText } from "../therapist/words";
import { office, type Credential, type Device, type Kit } from "./api";

const KINDS = ["imu6", "imu9", "phone", "force", "heart", "spo2"] as const;

function kindText(kind: string): string {
  return t(keyOr(`office.device.kind.${kind}` as TextKey, "office.device.kind.other") as "office.device.kind.other");
}

/** A device that was told to forget answers within seconds. */
const RING_EVERY_MS = 10_000;

/** What devices measured that belongs to no patient, and why; it names no person. */
function UnattributedPanel() {
  const loaded = useLoad(office.unattributed, []);
  return (
    <Panel title={t("desk.title")} loaded={loaded} isEmpty={(stretches) => stretches.length === 0} empty={t("desk.empty")}>
      {(stretches) => (
        <ul class="plain-list">
          {stretches.map((stretch) => (
            <li key={`${stretch.device_name} ${stretch.reason} ${stretch.since}`} data-unattributed={stretch.device_name}>
              {t("desk.line", { name: stretch.device_name, count: plainNumber(stretch.sample_count), since: momentText(stretch.since) })} · {t(`desk.reason.${stretch.reason}`)}
            </li>
          ))}
        </ul>
      )}
    </Panel>
  );
}

/** Kits and the devices in them, free and lent; a password is shown once. */
export function DevicesView() {
  const kits = useLoad(office.kits, [], RING_EVERY_MS);
  const devices = useLoad(office.devices, [], RING_EVERY_MS);
  const reload = async () => {
    await Promise.all([kits.reload(), devices.reload()]);
  };
  const loose = (devices.value ?? []).filter((device) => device.kit_id === null);
  return (
    <div class="panels">
      <Panel title={t("office.device.kits")} loaded={kits} isEmpty={(list) => list.length === 0} empty={t("office.device.kits.empty")}>
        {(list) => list.map((kit) => <KitPart key={kit.id} kit={kit} onChanged={reload} />)}
      </Panel>
      {loose.length > 0 && (
        <section class="panel" aria-labelledby="loose">
          <h2 id="loose">{t("office.device.loose")}</h2>
          <DeviceList devices={loose} onChanged={reload} />
        </section>
      )}
      <UnattributedPanel />
      <NewKit onAdded={reload} />
      <NewDevice kits={kits.value ?? []} onAdded={reload} />
    </div>
  );
}

function KitPart({ kit, onChanged }: { kit: Kit; onChanged: () => Promise<void> }) {
  const saving = useSaving();
  const retire = async () => {
    if (await saving.run(() => office.retireKit(kit.id))) await onChanged();
  };
  return (
    <section class="stack" aria-label={kit.name}>
      <div class="row">
        <h3 class="grow">{kit.name}</h3>
        {kit.devices.length === 0 && (
          <button type="button" class="button small danger" data-action="retire-kit" aria-label={t("office.device.kit.retire.label", { name: kit.name })} onClick={() => void retire()}>
            {t("office.device.kit.retire")}
          </button>
        )}
      </div>
      {kit.devices.length === 0 ? <p class="empty">{t("office.device.kit.empty")}</p> : <DeviceList devices={kit.devices} onChanged={onChanged} />}
      <SaveState saving={saving} />
    </section>
  );
}

function DeviceList({ devices, onChanged }: { devices: Device[]; onChanged: () => Promise<void> }) {
  const [credential, setCredential] = useState<Credential | null>(null);
  const saving = useSaving();
  const revoke = async (name: string) => {
    if (await saving.run(() => office.revokeDevice(name))) await onChanged();
  };
  return (
    <>
      <ul class="plain-list">
        {devices.map((device) => (
          <li key={device.name} class="row">
            <span class="grow">
              <strong>{device.name}</strong> · {kindText(device.kind)}
              {device.usual_site && ` · ${device.usual_site}`} ·{" "}
              {device.is_revoked ? t("office.device.revoked") : device.patient ? personText(device.patient) : t(device.is_lent ? "office.device.lent" : "office.device.free")}
            </span>
            {!device.is_revoked && (
              <>
                <button
                  type="button"
                  class="button small"
                  data-action="renew-credential"
                  aria-label={t("office.device.renew.label", { name: device.name })}
                  onClick={() => void saving.run(async () => setCredential(await office.renewCredential(device.name)))}
                >
                  {t("office.device.renew")}
                </button>
                <button
                  type="button"
                  class="button small danger"
                  data-action="revoke-device"
                  aria-label={t("office.device.revoke.label", { name: device.name })}
                  onClick={() => void revoke(device.name)}
                >
                  {t("office.device.revoke")}
                </button>
              </>
            )}
          </li>
        ))}
      </ul>
      {devices
        .filter((device) => !device.is_lent && !device.is_revoked)
        .map((device) => (
          <RingNote key={device.name} device={device} onChanged={onChanged} />
        ))}
      {credential && <CredentialShown credential={credential} />}
      <SaveState saving={saving} />
    </>
  );
}

function CredentialShown({ credential }: { credential: Credential }) {
  return (
    <p class="done" role="status">
      {t("office.device.password", { name: credential.name })} <code>{credential.password}</code>
    </p>
  );
}

function NewKit({ onAdded }: { onAdded: () => Promise<void> }) {
  const [name, setName] = useState("");
  const [id, setId] = useState(newId);
  const saving = useSaving();
  const add = async () => {
    if (!(await saving.run(() => office.addKit(id, name)))) return;
    setName("");
    setId(newId());
    await onAdded();
  };
  return (
    <section class="panel" aria-labelledby="new-kit">
      <h2 id="new-kit">{t("office.device.kit.new")}</h2>
      <Form onSubmit={() => void add()}>
        <Field label={t("office.device.kit.name")} value={name} onChange={setName} maxLength={200} />
        <button class="button primary" data-action="add-kit">
          {t("office.add")}
        </button>
        <SaveState saving={saving} />
      </Form>
    </section>
  );
}

function NewDevice({ kits, onAdded }: { kits: Kit[]; onAdded: () => Promise<void> }) {
  const [name, setName] = useState("");
  const [kind, setKind] = useState<(typeof KINDS)[number]>("imu6");
  const [kit, setKit] = useState("");
  const [site, setSite] = useState("");
  const [credential, setCredential] = useState<Credential | null>(null);
  const saving = useSaving();
  const add = async () => {
    const wish = { name, kind, kit_id: kit || null, usual_site: site || null };
    if (!(await saving.run(async () => setCredential(await office.addDevice(wish))))) return;
    setName("");
    await onAdded();
  };
  return (
    <section class="panel" aria-labelledby="new-device">
      <h2 id="new-device">{t("office.device.new")}</h2>
      <Form onSubmit={() => void add()}>
        <Field label={t("office.device.name")} value={name} onChange={setName} maxLength={64} hint={t("office.device.name.hint")} />
        <Choice label={t("office.device.kind")} value={kind} options={KINDS.map((each) => [each, kindText(each)] as const)} onChange={setKind} />
        <Choice label={t("office.device.kit")} value={kit} options={[["", t("office.device.no_kit")] as const, ...kits.map((each) => [each.id, each.name] as const)]} onChange={setKit} />
        <Choice label={t("office.device.site")} value={site} options={[["", t("device.no_site")] as const, ...BODY_SITES.map((each) => [each, siteText(each)] as const)]} onChange={setSite} />
        <button class="button primary" data-action="add-device">
          {t("office.add")}
        </button>
        {credential && <CredentialShown credential={credential} />}
        <SaveState saving={saving} />
      </Form>
    </section>
  );
}
