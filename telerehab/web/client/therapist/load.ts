import { useCallback, useEffect, useRef, useState } from "preact/hooks";

/** What one panel knows: its last value stays while it is read again, also when that fails. */
export interface Loaded<V> {
  value: V | undefined;
  error: unknown;
  /** When `value` was read. */
  readAt: Date | null;
  reload: () => Promise<void>;
}

/**
 * Read now, whenever `keys` change, and every `everyMs` if given. An answer that was overtaken is dropped.
 *
 * Other `keys` mean another subject: the value goes. Another `renewal` means that the same subject has changed: what is
 * shown stays until the new value is there, and so does what somebody is typing beside it.
 */
export function useLoad<V>(load: () => Promise<V>, keys: readonly unknown[], everyMs?: number, renewal?: unknown): Loaded<V> {
  const [state, setState] = useState<Omit<Loaded<V>, "reload">>({ value: undefined, error: null, readAt: null });
  const round = useRef(0);
  const latest = useRef(load);
  latest.current = load;
  const reload = useCallback(async () => {
    round.current += 1;
    const mine = round.current;
    try {
      const value = await latest.current();
      if (round.current === mine) setState({ value, error: null, readAt: new Date() });
    } catch (error) {
      if (round.current === mine) setState((before) => ({ ...before, error }));
    }
  }, []);
  useEffect(() => {
    setState({ value: undefined, error: null, readAt: null });
    void reload();
    const timer = everyMs === undefined ? null : setInterval(() => void reload(), everyMs);
    return () => {
      round.current += 1;
      if (timer !== null) clearInterval(timer);
    };
  }, [...keys, everyMs]);
  const renewed = useRef(renewal);
  useEffect(() => {
    if (renewed.current !== renewal) void reload();
    renewed.current = renewal;
  }, [renewal]);
  return { ...state, reload };
}

/** A save: `run` returns whether it worked; while it runs a second press does nothing. */
export interface Saving {
  isWorking: boolean;
  error: unknown;
  isDone: boolean;
  run: (save: () => Promise<unknown>) => Promise<boolean>;
  clear: () => void;
}

export function useSaving(): Saving {
  const [state, setState] = useState<{ isWorking: boolean; error: unknown; isDone: boolean }>({ isWorking: false, error: null, isDone: false });
  const working = useRef(false);
  const run = async (save: () => Promise<unknown>): Promise<boolean> => {
    if (working.current) return false;
    working.current = true;
    setState({ isWorking: true, error: null, isDone: false });
    try {
      await save();
      setState({ isWorking: false, error: null, isDone: true });
      return true;
    } catch (error) {
      setState({ isWorking: false, error, isDone: false });
      return false;
    } finally {
      working.current = false;
    }
  };
  return { ...state, run, clear: () => setState({ isWorking: false, error: null, isDone: false }) };
}
