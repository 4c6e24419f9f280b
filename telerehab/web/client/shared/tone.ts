/** Play one soft tone. Silent where the browser wants a tap first. */
export function playTone(frequencyHz = 523, seconds = 0.9): void {
  const context = new AudioContext();
  const oscillator = context.createOscillator();
  const gain = context.createGain();
  const stop = context.currentTime + seconds;
  oscillator.frequency.value = frequencyHz;
  gain.gain.setValueAtTime(0, context.currentTime);
  gain.gain.linearRampToValueAtTime(0.3, context.currentTime + 0.05);
  gain.gain.linearRampToValueAtTime(0, stop);
  oscillator.connect(gain).connect(context.destination);
  oscillator.onended = () => void context.close();
  oscillator.start();
  oscillator.stop(stop + 0.05);
}
