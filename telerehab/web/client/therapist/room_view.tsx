import { useEffect, useRef, useState } from "preact/hooks";
import { reasonText } from "../shared/codes";
import { keyOr, t } from "../shared/i18n";
import { isPresent, isWaiting, type Participant } from "../shared/messages";
import { LinkMark, Picture, Voice } from "../shared/parts";
import { firstFocus, type Visit } from "./face";
import { Focus } from "./focus";
import { arrange } from "./grid";
import { LanguageButton } from "./lobby";
import type { Need } from "./needs";
import { Tile } from "./tile";

/** The live room: who needs you, one patient large, all patients in their places. */
export function RoomView({ visit }: { visit: Visit }) {
  const { room } = visit;
  const state = room.state.value;
  const ended = room.bye.value === "ended" || state?.state === "ended";
  if (ended || room.refused.value || room.bye.value === "revoked") {
    return (
      <main class="plain">
        <h1>{t(ended ? "room.ended" : "room.refused")}</h1>
        <a class="button primary" data-action="to-lobby" href="#">
          {t("room.to_lobby")}
        </a>
      </main>
    );
  }
  if (room.bye.value === "replaced") {
    return (
      <main class="plain">
        <h1>{t("room.replaced")}</h1>
        <button class="button primary" data-action="take-back" onClick={() => location.reload()}>
          {t("room.replaced.here")}
        </button>
      </main>
    );
  }
  if (!state) {
    return (
      <main class="plain">
        <h1>{t("room.connecting")}</h1>
        <a class="button" href="#">
          {t("room.to_lobby")}
        </a>
      </main>
    );
  }
  const patients = visit.patients.value;
  const inOrder = visit.places.value.map((id) => patients.find((patient) => patient.id === id)).filter((patient) => patient !== undefined);
  const waiting = inOrder.filter(isWaiting);
  return (
    <div class="room">
      <header class="bar">
        <h1>{state.title}</h1>
        <p>{t(keyOr(`state.${state.state}`, "state.open") as "state.open")}</p>
        <p>{t("room.present", { present: patients.filter(isPresent).length, total: patients.length })}</p>
        <Clock />
        <p class="bar-link">
          <LinkMark link={room.link.value === "open" ? "good" : "lost"} />
        </p>
        <LanguageButton />
      </header>
      {room.link.value === "lost" && (
        <p class="problem strip" role="alert">
          {t("room.lost")}
        </p>
      )}
      {visit.problem.value && (
        <p class="problem strip" role="alert">
          {t(visit.problem.value as "error.unknown")}
        </p>
      )}
      <main class={`room-main ${visit.focused.value ? "" : "alike"}`}>
        <aside class="side" aria-label={t("room.needs")}>
          <NeedsYou visit={visit} waiting={waiting} />
          <TextPanel visit={visit} />
        </aside>
        <Focus visit={visit} />
        <Tiles visit={visit} patients={inOrder} slots={state.slots} />
      </main>
      <Controls visit={visit} />
      <Voices visit={visit} patients={inOrder} />
      <Question visit={visit} />
      <p class="hidden-text" role="status">
        {visit.announcement.value &&
          t("room.need.announce", { name: visit.announcement.value.name, need: t(`room.need.${visit.announcement.value.kind}` as "room.need.help") })}
      </p>
    </div>
  );
}

/** On an upright tablet the page scrolls; without a focus the tiles take this much of the screen. */
const SCREEN_SHARE_ALIKE = 0.65;

/** All patients in their places; the grid gives each the largest picture that the room allows. */
function Tiles({ visit, patients, slots }: { visit: Visit; patients: Participant[]; slots: Record<string, string | null> }) {
  const area = useRef<HTMLElement>(null);
  const list = useRef<HTMLUListElement>(null);
  const isAlike = visit.focused.value === null;
  useEffect(() => {
    const [outer, inner] = [area.current, list.current];
    if (!outer || !inner) return;
    const fit = () => {
      const scrolls = getComputedStyle(outer).overflowY === "visible";
      const besideFocusPx = scrolls ? null : outer.clientHeight - (inner.offsetTop - outer.offsetTop);
      const heightPx = scrolls && isAlike ? document.documentElement.clientHeight * SCREEN_SHARE_ALIKE : besideFocusPx;
      const { columns, shape } = arrange(patients.length, inner.clientWidth, heightPx);
      inner.style.setProperty("--columns", String(columns));
      inner.dataset["shape"] = shape;
    };
    const observer = new ResizeObserver(fit);
    observer.observe(outer);
    fit();
    return () => observer.disconnect();
  }, [patients.length, isAlike]);
  return (
    <section ref={area} class="tiles-area" aria-labelledby="tiles-title" tabIndex={0}>
      <div class="tiles-head">
        <h2 id="tiles-title">{t("room.tiles")}</h2>
        <button
          class="button small"
          data-action="alike"
          aria-pressed={isAlike}
          onClick={() => visit.look(isAlike ? firstFocus(null, patients) : null)}
        >
          {t("room.tiles.alike")}
        </button>
      </div>
      <ul ref={list} class="tiles">
        {patients.map((patient) => (
          <Tile key={patient.id} visit={visit} patient={patient} slot={slotOf(slots, patient)} />
        ))}
      </ul>
    </section>
  );
}

function slotOf(slots: Record<string, string | null>, patient: Participant): string {
  return Object.keys(slots).find((slot) => slot.startsWith("video") && slots[slot] === patient.id) ?? "";
}

function Clock() {
  const [startedMs] = useState(() => performance.now());
  const [nowMs, setNowMs] = useState(startedMs);
  useEffect(() => {
    const timer = setInterval(() => setNowMs(performance.now()), 1000);
    return () => clearInterval(timer);
  }, []);
  return <p class="clock">{minutesAndSeconds(nowMs - startedMs)}</p>;
}

function minutesAndSeconds(durationMs: number): string {
  const seconds = Math.max(0, Math.floor(durationMs / 1000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

function NeedsYou({ visit, waiting }: { visit: Visit; waiting: Participant[] }) {
  const needs = visit.needs.value;
  return (
    <section class="needs" aria-labelledby="needs-title">
      <h2 id="needs-title">{t("room.needs")}</h2>
      {waiting.length > 1 && (
        <button
          class="button primary"
          data-action="admit-all"
          onClick={() => void visit.ask(() => Promise.all(waiting.map((patient) => visit.room.admit(patient.id))))}
        >
          {t("room.admit.all")}
        </button>
      )}
      {needs.length === 0 ? (
        <p class="empty">{t("room.needs.none")}</p>
      ) : (
        <ol>
          {needs.map((need) => (
            <li key={need.participant} class={`need ${need.kind}`} data-need={need.kind}>
              <p class="need-name">
                <strong>{need.name}</strong>
                <Since visit={visit} sinceMs={need.sinceMs} />
              </p>
              <p class="need-text">{needText(need, visit.tick.peek())}</p>
              {need.kind === "waiting" ? (
                <button
                  class="button small primary"
                  data-action="admit"
                  aria-label={t("room.admit.label", { name: need.name })}
                  onClick={() => void visit.ask(() => visit.room.admit(need.participant))}
                >
                  {t("room.admit")}
                </button>
              ) : (
                <button
                  class="button small"
                  data-action="look-need"
                  aria-label={t("room.look.label", { name: need.name })}
                  onClick={() => visit.look(need.participant)}
                >
                  {t("room.look")}
                </button>
              )}
            </li>
          ))}
        </ol>
      )}
    </section>
  );
}

function Since({ visit, sinceMs }: { visit: Visit; sinceMs: number }) {
  return <span class="since">{minutesAndSeconds(visit.tick.value - sinceMs)}</span>;
}

function needText(need: Need, nowMs: number): string {
  if (need.kind === "trust_poor") return t("room.need.trust_poor", { reason: reasonText(need.reason) });
  if (need.kind === "target_reached") return t("room.need.target_reached", { count: need.count });
  if (need.kind === "not_looked_at") return t("room.need.not_looked_at", { minutes: 3 + Math.floor((nowMs - need.sinceMs) / 60_000) });
  return t(`room.need.${need.kind}`);
}

function TextPanel({ visit }: { visit: Visit }) {
  const { room } = visit;
  const [draft, setDraft] = useState("");
  const list = useRef<HTMLOListElement>(null);
  const lines = room.texts.value.slice(-50);
  const own = room.state.value?.you;
  const nameOf = (id: string) => room.state.value?.participants.find((participant) => participant.id === id)?.display_name ?? "";
  useEffect(() => list.current?.scrollTo({ top: list.current.scrollHeight }), [lines.length]);
  const send = async (event: Event) => {
    event.preventDefault();
    if (draft === "") return;
    setDraft("");
    if (!(await room.closeLine())) setDraft(draft);
  };
  return (
    <section class="text" aria-labelledby="text-title">
      <h2 id="text-title">{t("room.text")}</h2>
      {lines.length === 0 ? (
        <p class="empty">{t("room.text.empty")}</p>
      ) : (
        <ol ref={list} class="lines" tabIndex={0} aria-labelledby="text-title">
          {lines.map((line) => (
            <li class={line.participant === own ? "own" : "other"}>
              <strong>{line.participant === own ? t("room.text.you") : nameOf(line.participant)}:</strong> {line.text}
              {!line.closed && line.participant !== own && <em> ({t("room.text.typing")})</em>}
            </li>
          ))}
        </ol>
      )}
      <form onSubmit={(event) => void send(event)}>
        <label>
          <span>{t("room.text.field")}</span>
          <input
            value={draft}
            maxLength={500}
            autocomplete="off"
            onInput={(event) => {
              setDraft(event.currentTarget.value);
              room.type(event.currentTarget.value);
            }}
          />
        </label>
        <button class="button small" data-action="send-text">
          {t("room.text.send")}
        </button>
      </form>
    </section>
  );
}

function Controls({ visit }: { visit: Visit }) {
  const microphone = visit.microphone.value;
  const camera = visit.camera.value;
  const talkedTo = visit.patients.value.find((patient) => patient.id === visit.talkTo.value);
  const blocked = visit.soundBlocked.value;
  return (
    <footer class="controls">
      {visit.ownStream.value && camera && (
        <div class="own-picture">
          <Picture stream={visit.ownStream.value} label={t("room.text.you")} />
        </div>
      )}
      <button class="button" data-action="microphone" aria-pressed={microphone} onClick={() => visit.useMedia({ microphone: !microphone })}>
        {t(microphone ? "room.microphone.off" : "room.microphone.on")}
      </button>
      <button class="button" data-action="camera" aria-pressed={camera} onClick={() => visit.useMedia({ camera: !camera })}>
        {t(camera ? "room.camera.off" : "room.camera.on")}
      </button>
      {blocked.length > 0 && (
        <button
          class="button primary"
          data-action="sound"
          onClick={() => {
            for (const start of blocked) start();
            visit.soundBlocked.value = [];
          }}
        >
          {t("room.sound.on")}
        </button>
      )}
      <p class="talking" role="status">
        {visit.mediaRefused.value
          ? t("room.media.refused")
          : !microphone
            ? t("room.talking_to.nobody")
            : visit.room.legs.value.publish !== "flowing"
              ? t("room.talking_to.connecting")
            : talkedTo
              ? t("room.talking_to", { name: talkedTo.display_name })
              : t("room.talking_to.all")}
      </p>
      {talkedTo && (
        <button class="button" data-action="talk-all" onClick={() => void visit.ask(() => visit.room.talkTo(null))}>
          {t("room.talk_all")}
        </button>
      )}
      <span class="space" />
      <button class="button" data-action="leave" onClick={() => (visit.question.value = "leave")}>
        {t("room.leave")}
      </button>
      <button class="button danger" data-action="end" onClick={() => (visit.question.value = "end")}>
        {t("room.end")}
      </button>
    </footer>
  );
}

/** All voices are always on; the pictures come and go with the screen. */
function Voices({ visit, patients }: { visit: Visit; patients: Participant[] }) {
  return (
    <>
      {patients.map((patient) => (
        <Voice
          key={patient.id}
          stream={visit.room.streamOf(patient.id, "audio")}
          onBlocked={(start) => (visit.soundBlocked.value = [...visit.soundBlocked.value, start])}
        />
      ))}
    </>
  );
}

function Question({ visit }: { visit: Visit }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const question = visit.question.value;
  useEffect(() => {
    if (question && !dialog.current?.open) dialog.current?.showModal();
    if (!question) dialog.current?.close();
  }, [question]);
  const confirm = () => {
    visit.question.value = null;
    if (question === "leave") visit.leave();
    else void visit.ask(() => visit.room.end());
  };
  return (
    <dialog ref={dialog} aria-labelledby="question" onClose={() => (visit.question.value = null)}>
      {question && (
        <>
          <h2 id="question">{t(question === "leave" ? "room.leave.question" : "room.end.question")}</h2>
          <div class="row">
            <button class="button" data-action="stay" onClick={() => (visit.question.value = null)}>
              {t("room.stay")}
            </button>
            <button class={`button ${question === "end" ? "danger" : "primary"}`} data-action={`${question}-yes`} onClick={confirm}>
              {t(question === "leave" ? "room.leave.yes" : "room.end.yes")}
            </button>
          </div>
        </>
      )}
    </dialog>
  );
}
