import { useState } from "preact/hooks";
import { t } from "../../shared/i18n";
import { care } from "../api";
import { momentText } from "../format";
import { useLoad, useSaving, type Loaded } from "../load";
import { Dialog } from "../parts/dialog";
import { Choice, Field, Form } from "../parts/fields";
import { Panel, SaveState } from "../parts/panel";
import { PersonName } from "../parts/person";
import { RingNote } from "../parts/ring";
import { QrCode } from "../../shared/qr";
import { LinkToHandOver } from "../parts/qr";
import type { Assignment, Device, TabletLink } from "../types";
import { BODY_SITES, siteText } from "../words";
import type { RecordProps } from "./view";

/** The tablets of a home, and the sensors that are lent to it. */
export function EquipmentSection(props: RecordProps) {
  return (
    <div class="panels">
      <Tablets {...props} />
      <Assignments {...props} />
    </div>
  );
}

function Tablets({ patient, head }: RecordProps) {
  const loaded = useLoad(() => care.tablets(patient), [patient], 10_000);
  const [link, setLink] = useState<TabletLink | null>(null);
  const [code, setCode] = useState<{ code: string; expires_at: string } | null>(null);
  const [revoked, setRevoked] = useState<string | null>(null);
  const saving = useSaving();
  const revoke = async (tablet: string) => {
    if (!(await saving.run(() => care.revokeTablet(tablet)))) return;
    setRevoked(null);
    await loaded.reload();
  };
  return (
    <Panel title={t("tablet.title")} loaded={loaded} isEmpty={(tablets) => tablets.length === 0} empty={t("tablet.none")}>
      {(tablets) => (
        <>
          <ul class="plain-list">
            {tablets.map((tablet) => (
              <li key={tablet.id} class="row">
                <span>
                  {tablet.paired_at === null ? t("tablet.not_paired") : t("tablet.paired", { time: momentText(tablet.paired_at) })}
                  {tablet.last_seen_at && ` · ${t("login.last_seen", { time: momentText(tablet.last_seen_at) })}`}
                  {tablet.revoked_at !== null && ` · ${t("tablet.revoked", { time: momentText(tablet.revoked_at) })}`}
                </span>
                {tablet.revoked_at === null && (
                  <button class="button small danger" data-action="tablet-revoke" onClick={() => setRevoked(tablet.id)}>
                    {t("tablet.revoke")}
                  </button>
                )}
              </li>
            ))}
          </ul>
          <p>
            {t("tablet.for")} <PersonName person={head} />
          </p>
          <div class="row">
            <button class="button" data-action="tablet-qr" aria-disabled={saving.isWorking} onClick={() => void saving.run(async () => setLink(await care.tabletLink(patient)))}>
              {t("tablet.qr")}
            </button>
            <button class="button" data-action="tablet-code" aria-disabled={saving.isWorking} onClick={() => void saving.run(async () => setCode(await care.pairingCode(patient)))}>
              {t("tablet.code")}
            </button>
          </div>
          <SaveState saving={saving} />
          {link && (
            <div class="hand-over" role="status">
              <p>{t("tablet.qr.hint", { time: momentText(link.expires_at) })}</p>
              <QrCode svg={link.qr_svg} label={t("tablet.qr.label")} />
              <LinkToHandOver link={link.link} label={t("tablet.link")} />
            </div>
          )}
          {code && (
            <p class="hand-over" role="status">
              {t("tablet.code.text", { time: momentText(code.expires_at) })} <strong class="six-digits">{`${code.code.slice(0, 3)} ${code.code.slice(3)}`}</strong>
            </p>
          )}
          {revoked && (
            <Dialog title={t("tablet.revoke.question")} onClose={() => setRevoked(null)}>
              <p>
                <PersonName person={head} />
              </p>
              <SaveState saving={saving} />
              <button class="button danger" data-action="tablet-revoke-yes" onClick={() => void revoke(revoked)}>
                {t("tablet.revoke")}
              </button>
            </Dialog>
          )}
        </>
      )}
    </Panel>
  );
}

/** A device that was told to forget answers within seconds. */
const RING_EVERY_MS = 5_000;

function Assignments({ patient }: RecordProps) {
  const loaded = useLoad(() => care.assignments(patient), [patient]);
  const devices = useLoad(care.devices, [], RING_EVERY_MS);
  const [link, setLink] = useState<(TabletLink & { assignment: string }) | null>(null);
  const saving = useSaving();
  const phones = new Set((devices.value ?? []).filter((device) => device.kind === "phone" && !device.is_revoked).map((device) => device.name));
  const showLink = (assignment: string) => saving.run(async () => setLink({ ...(await care.phoneLink(assignment)), assignment }));
  const end = async (assignment: string) => {
    if (await saving.run(() => care.endAssignment(assignment))) await loaded.reload();
  };
  return (
    <Panel title={t("device.title")} loaded={loaded} isEmpty={(assignments) => assignments.length === 0} empty={t("device.none")}>
      {(assignments) => (
        <>
          <ul class="plain-list">
            {assignments.map((assignment) => (
              <li key={assignment.id} class="row">
                <span>
                  <strong>{assignment.device_name}</strong> · {assignment.body_site ? siteText(assignment.body_site) : t("device.no_site")} ·{" "}
                  {assignment.ends_at === null ? t("device.since", { time: momentText(assignment.starts_at) }) : t("device.range", { start: momentText(assignment.starts_at), end: momentText(assignment.ends_at) })}
                </span>
                {isRunning(assignment) && phones.has(assignment.device_name) && (
                  <button
                    class="button small"
                    data-action="phone-link"
                    aria-label={t("device.phone.link.label", { name: assignment.device_name })}
                    aria-disabled={saving.isWorking}
                    onClick={() => void showLink(assignment.id)}
                  >
                    {t("device.phone.link")}
                  </button>
                )}
                {isRunning(assignment) && (
                  <button class="button small" data-action="assignment-end" aria-label={t("device.end.label", { name: assignment.device_name })} onClick={() => void end(assignment.id)}>
                    {t("device.end")}
                  </button>
                )}
              </li>
            ))}
          </ul>
          <SaveState saving={saving} />
          {link && assignments.some((assignment) => assignment.id === link.assignment && isRunning(assignment)) && (
            <div class="hand-over" role="status">
              <p>{t("device.phone.hint", { time: momentText(link.expires_at) })}</p>
              <QrCode svg={link.qr_svg} label={t("device.phone.qr")} />
              <LinkToHandOver link={link.link} label={t("device.phone.address")} />
            </div>
          )}
          <LendForm patient={patient} devices={devices} onDone={() => void loaded.reload()} />
        </>
      )}
    </Panel>
  );
}

/** Lend a whole kit, each device at its usual site, or one device at a stated one. */
function LendForm({ patient, devices, onDone }: { patient: string; devices: Loaded<Device[]>; onDone: () => void }) {
  const kits = useLoad(care.kits, []);
  const [what, setWhat] = useState("");
  const [site, setSite] = useState("");
  const [startsAt, setStartsAt] = useState("");
  const [endsAt, setEndsAt] = useState("");
  const saving = useSaving();
  const options = [
    ...(kits.value ?? []).map((kit) => [`kit ${kit.id}`, t("device.kit", { name: kit.name })] as const),
    ...(devices.value ?? []).filter((device) => !device.is_lent && !device.is_revoked).map((device) => [`device ${device.name}`, device.name] as const),
  ];
  const chosen = options.some(([code]) => code === what) ? what : (options[0]?.[0] ?? "");
  const isKit = chosen.startsWith("kit ");
  const name = chosen.slice(chosen.indexOf(" ") + 1);
  const usual = (devices.value ?? []).find((device) => device.name === name)?.usual_site ?? "";
  const chosenDevices = (devices.value ?? []).filter((device) => (isKit ? device.kit_id === name : device.name === name) && !device.is_lent && !device.is_revoked);
  const lend = async () => {
    if (chosen === "") return;
    const range = { starts_at: startOf(startsAt), ends_at: startOf(endsAt) };
    const body = isKit ? { kit_id: name, ...range } : { device_name: name, body_site: (site || usual) === "" ? null : site || usual, ...range };
    if (await saving.run(() => care.lend(patient, body))) onDone();
  };
  return (
    <Form onSubmit={() => void lend()} class="line" label={t("device.lend")}>
      <Choice label={t("device.what")} value={chosen} options={options} onChange={setWhat} />
      {!isKit && (
        <Choice
          label={t("device.site")}
          value={site || usual}
          options={[["", t("device.no_site")] as const, ...BODY_SITES.map((each) => [each, siteText(each)] as const)]}
          onChange={setSite}
        />
      )}
      <Field type="date" label={t("device.starts_on")} required={false} value={startsAt} onChange={setStartsAt} />
      <Field type="date" label={t("device.ends_on")} required={false} value={endsAt} onChange={setEndsAt} />
      <button class="button" data-action="lend" aria-disabled={saving.isWorking || chosen === ""}>
        {t("device.lend")}
      </button>
      <SaveState saving={saving} />
      {chosenDevices.map((device) => (
        <RingNote key={device.name} device={device} onChanged={devices.reload} />
      ))}
      {(kits.error !== null || devices.error !== null) && (
        <p class="problem" role="alert">
          {t("device.list_failed")}
        </p>
      )}
    </Form>
  );
}

function isRunning(assignment: Assignment): boolean {
  return assignment.ends_at === null || new Date(assignment.ends_at) > new Date();
}

function startOf(day: string): string | null {
  return day === "" ? null : new Date(`${day}T00:00`).toISOString();
}
