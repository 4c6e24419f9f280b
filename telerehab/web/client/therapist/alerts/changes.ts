import { backoffMs } from "../../shared/socket";

const PING_MS = 2000;

/** Listen to `changed` messages where no live room holds the login's socket. Only a hint to read earlier: pages poll as well. */
export function listenForChanges(onChanged: (table: string) => void): () => void {
  let socket: WebSocket | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let attempt = 0;
  let isOver = false;
  const open = () => {
    socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => beat();
    socket.onmessage = ({ data }: MessageEvent<unknown>) => {
      attempt = 0;
      const table = changedTable(data);
      if (table !== null) onChanged(table);
    };
    socket.onclose = () => {
      clearTimeout(timer);
      if (!isOver) timer = setTimeout(open, backoffMs((attempt += 1), Math.random()));
    };
  };
  const beat = () => {
    socket?.send(JSON.stringify({ v: 1, type: "ping", t: performance.now() }));
    timer = setTimeout(beat, PING_MS);
  };
  open();
  return () => {
    isOver = true;
    clearTimeout(timer);
    socket?.close();
  };
}

/** Return the table that a message says has changed, null for any other message. */
export function changedTable(data: unknown): string | null {
  if (typeof data !== "string") return null;
  try {
    const message = JSON.parse(data) as { type?: unknown; table?: unknown } | null;
    return message?.type === "changed" && typeof message.table === "string" ? message.table : null;
  } catch {
    return null;
  }
}
