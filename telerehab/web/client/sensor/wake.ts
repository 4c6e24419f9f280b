/** Keep the screen on, and take the lock again when the page comes back; return how to let it go. */
export function keepScreenOn(): () => void {
  let lock: WakeLockSentinel | null = null;
  const take = () => {
    if (document.visibilityState !== "visible" || !("wakeLock" in navigator)) return;
    navigator.wakeLock.request("screen").then(
      (taken) => (lock = taken),
      () => undefined, // low battery: the screen may go off, and the page says when the sensor falls silent
    );
  };
  take();
  document.addEventListener("visibilitychange", take);
  return () => {
    document.removeEventListener("visibilitychange", take);
    void lock?.release();
  };
}
