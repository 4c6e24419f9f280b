/** A QR code that the server drew. Only its shape is taken over, never markup. */
export function QrCode({ svg, label }: { svg: string; label: string }) {
  const shape = readShape(svg);
  if (shape === null) return null;
  return (
    <svg class="qr" viewBox={shape.viewBox} role="img" aria-label={label}>
      <rect width="100%" height="100%" fill="#fff" />
      {shape.paths.map((path) =>
        path.isStroke ? <path key={path.d} d={path.d} transform={path.transform} stroke="#000" fill="none" /> : <path key={path.d} d={path.d} transform={path.transform} fill={path.fill} />,
      )}
    </svg>
  );
}

interface Shape {
  viewBox: string;
  paths: { d: string; isStroke: boolean; fill: string; transform: string | undefined }[];
}

function readShape(svg: string): Shape | null {
  const root = new DOMParser().parseFromString(svg, "image/svg+xml").documentElement;
  if (root.nodeName !== "svg") return null;
  const size = [root.getAttribute("width"), root.getAttribute("height")].map((length) => parseFloat(length ?? "0"));
  const viewBox = root.getAttribute("viewBox") ?? `0 0 ${size[0]} ${size[1]}`;
  const paths = [...root.querySelectorAll("path")].map((path) => ({
    d: path.getAttribute("d") ?? "",
    isStroke: path.hasAttribute("stroke"),
    fill: path.getAttribute("fill") ?? "#000",
    transform: path.getAttribute("transform") ?? path.parentElement?.getAttribute("transform") ?? undefined,
  }));
  return { viewBox, paths };
}
