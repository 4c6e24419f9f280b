import { useEffect, useState } from "preact/hooks";
import { newId } from "../../shared/api";
import { t } from "../../shared/i18n";
import { care } from "../api";
import { momentText, nameOf } from "../format";
import { useLoad, useSaving } from "../load";
import { Form, TextArea } from "../parts/fields";
import { Panel, SaveState } from "../parts/panel";
import type { Message } from "../types";
import type { RecordProps } from "./view";

const LOOK_AGAIN_MS = 5000;
/** Unsent messages by patient: looking elsewhere loses nothing. */
const unsent = new Map<string, string>();

/** The conversation with one patient, oldest first. */
export function MessagesSection({ patient, head, face }: RecordProps) {
  const loaded = useLoad(() => care.messages(patient), [patient], LOOK_AGAIN_MS, face.changes.value["message"]);
  const [text, setText] = useState(unsent.get(patient) ?? "");
  const [id, setId] = useState(newId);
  const saving = useSaving();
  const hasUnread = (loaded.value ?? []).some((message) => message.from === "patient" && message.read_at === null);
  useEffect(() => {
    if (hasUnread) void care.readMessages(patient).catch(() => null); // asked again with the next look
  }, [patient, hasUnread]);
  const write = (typed: string) => {
    setText(typed);
    unsent.set(patient, typed);
  };
  const send = async () => {
    if (text.trim() === "") return;
    if (!(await saving.run(() => care.putMessage(patient, id, text.trim())))) return;
    setId(newId());
    write("");
    await loaded.reload();
  };
  return (
    <div class="panels">
      <Panel title={t("message.title", { name: nameOf(head) })} loaded={loaded} isEmpty={(messages) => messages.length === 0} empty={t("message.none")}>
        {(messages) => (
          <>
            <ol class="messages" aria-label={t("message.title", { name: nameOf(head) })}>
              {[...messages].sort((one, other) => one.sent_at.localeCompare(other.sent_at)).map((message) => (
                <li key={message.id} class={message.from === "patient" ? "theirs" : "ours"}>
                  <p class="soft">
                    {authorText(message, nameOf(head))} · {momentText(message.sent_at)}
                    {message.from !== "patient" && ` · ${t(message.read_at === null ? "message.not_read" : "message.read")}`}
                  </p>
                  <p class="message-text">{message.text}</p>
                </li>
              ))}
            </ol>
            <Form onSubmit={() => void send()} label={t("message.write")}>
              <TextArea label={t("message.write")} value={text} onChange={write} name="message" rows={3} />
              <SaveState saving={saving} done={t("message.sent")} />
              <button class="button primary" data-action="message-send" aria-disabled={saving.isWorking}>
                {t("message.send")}
              </button>
            </Form>
          </>
        )}
      </Panel>
    </div>
  );
}

function authorText(message: Message, patientName: string): string {
  return message.from === "patient" ? patientName : (message.author ?? t("message.clinic"));
}
