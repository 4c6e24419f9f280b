/** Name, count, curve and words below a tile's picture, with its frame. [px] */
const WORDS_BELOW_PX = 148;
/** The same beside the picture. [px] */
const WORDS_BESIDE_PX = 200;
const FRAME_PX = 18;
const GAP_PX = 12;
const TILE_WIDTH_MIN_PX = 160;
const PICTURE_WIDTH_MIN_PX = 120;
const PICTURE_RATIO = 4 / 3;

/** How the tiles stand: in so many columns, with the words below the pictures ("tall") or beside them ("wide"). */
export interface Arrangement {
  columns: number;
  shape: "tall" | "wide";
}

/**
 * Return how so many tiles have the largest pictures.
 *
 * `heightPx` null: the page scrolls, so the tiles take the fewest rows. Where the pictures would become too small, the
 * tiles are as wide as reading needs, and their area scrolls.
 */
export function arrange(tiles: number, widthPx: number, heightPx: number | null): Arrangement {
  const most = Math.max(1, Math.min(tiles, Math.floor((widthPx + GAP_PX) / (TILE_WIDTH_MIN_PX + GAP_PX))));
  if (heightPx === null) return { columns: Math.ceil(tiles / Math.ceil(tiles / most)) || 1, shape: "tall" };
  let best: Arrangement = { columns: most, shape: "tall" };
  let bestWidthPx = PICTURE_WIDTH_MIN_PX;
  for (let columns = 1; columns <= most; columns += 1) {
    const rows = Math.ceil(tiles / columns);
    const tileWidthPx = (widthPx - (columns - 1) * GAP_PX) / columns - FRAME_PX;
    const tileHeightPx = (heightPx - (rows - 1) * GAP_PX) / rows - FRAME_PX;
    const pictureWidthPx = {
      tall: Math.min(tileWidthPx, (tileHeightPx + FRAME_PX - WORDS_BELOW_PX) * PICTURE_RATIO),
      wide: Math.min(tileWidthPx - WORDS_BESIDE_PX, tileHeightPx * PICTURE_RATIO),
    };
    for (const shape of ["tall", "wide"] as const) {
      if (pictureWidthPx[shape] <= bestWidthPx) continue;
      bestWidthPx = pictureWidthPx[shape];
      best = { columns, shape };
    }
  }
  return best;
}
