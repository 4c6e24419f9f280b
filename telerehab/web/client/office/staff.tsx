import { useState } from "preact/hooks";
import { newId } from "../shared/api";
import { t, type TextKey } from "../shared/i18n";
import { momentText } from "../therapist/format";
import { useLoad, useSaving } from "../therapist/load";
import { Choice, Field, Form } from "../therapist/parts/fields";
import { Panel, SaveState } from "../therapist/parts/panel";
import { LinkToHandOver } from "../therapist/parts/qr";
import { office, ROLES, type Role, type Staff } from "./api";

export function roleText(role: string): string {
  return t(`office.role.${role}` as TextKey as "app.name");
}

/** Who works here: new accounts, ways in, and an end to them. */
export function StaffView() {
  const loaded = useLoad(office.staff, []);
  return (
    <div class="panels">
      <Panel title={t("office.staff.title")} loaded={loaded} isEmpty={(staff) => staff.length === 0} empty={t("office.staff.empty")}>
        {(staff) => (
          <ul class="plain-list">
            {staff.map((each) => (
              <StaffRow key={each.id} staff={each} onChanged={loaded.reload} />
            ))}
          </ul>
        )}
      </Panel>
      <NewStaff onAdded={loaded.reload} />
    </div>
  );
}

function StaffRow({ staff, onChanged }: { staff: Staff; onChanged: () => Promise<void> }) {
  const [link, setLink] = useState<{ link: string; expires_at: string } | null>(null);
  const saving = useSaving();
  const act = async (change: () => Promise<unknown>) => {
    if (await saving.run(change)) await onChanged();
  };
  const name = staff.display_name;
  return (
    <li class="stack">
      <div class="row">
        <span class="grow">
          <strong>{name}</strong> · {roleText(staff.role)} · {staff.email ?? ""}
          {staff.is_disabled && ` · ${t("office.staff.disabled")}`}
          {!staff.is_disabled && staff.has_way_in === false && ` · ${t("office.staff.no_way_in")}`}
        </span>
        <button
          type="button"
          class="button small"
          data-action="staff-link"
          aria-label={t("office.staff.link.label", { name })}
          disabled={staff.is_disabled}
          onClick={() => void saving.run(async () => setLink(await office.staffLink(staff.id)))}
        >
          {t("office.staff.link")}
        </button>
        <button
          type="button"
          class={staff.is_disabled ? "button small" : "button small danger"}
          data-action={staff.is_disabled ? "staff-enable" : "staff-disable"}
          aria-label={t(staff.is_disabled ? "office.staff.enable.label" : "office.staff.disable.label", { name })}
          onClick={() => void act(() => (staff.is_disabled ? office.enableStaff(staff.id) : office.disableStaff(staff.id)))}
        >
          {t(staff.is_disabled ? "office.staff.enable" : "office.staff.disable")}
        </button>
      </div>
      {link && <LinkToHandOver link={link.link} label={t("office.staff.link.until", { time: momentText(link.expires_at) })} />}
      <SaveState saving={saving} />
    </li>
  );
}

function NewStaff({ onAdded }: { onAdded: () => Promise<void> }) {
  const [email, setEmail] = useState("");
  const [name, setName] = useState("");
  const [role, setRole] = useState<Role>("therapist");
  const [id, setId] = useState(newId);
  const saving = useSaving();
  const add = async () => {
    if (!(await saving.run(() => office.addStaff({ id, email, display_name: name, role, language: "da" })))) return;
    setEmail("");
    setName("");
    setId(newId());
    await onAdded();
  };
  return (
    <section class="panel" aria-labelledby="new-staff">
      <h2 id="new-staff">{t("office.staff.new")}</h2>
      <Form onSubmit={() => void add()}>
        <Field label={t("office.staff.name")} value={name} onChange={setName} maxLength={200} />
        <Field label={t("enter.email")} value={email} onChange={setEmail} maxLength={254} />
        <Choice label={t("office.staff.role")} value={role} options={ROLES.map((each) => [each, roleText(each)] as const)} onChange={setRole} />
        <button class="button primary" data-action="add-staff">
          {t("office.add")}
        </button>
        <SaveState saving={saving} done={t("office.staff.added")} />
      </Form>
    </section>
  );
}
