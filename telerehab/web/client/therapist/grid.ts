/** Name, count, curve and words below a tile's picture, with its frame. [px] */
const WORDS_PX = 128;
const FRAME_PX = 18;
const GAP_PX = 12;
const TILE_WIDTH_MIN_PX = 160;
const PICTURE_WIDTH_MIN_PX = 120;
const PICTURE_RATIO = 4 / 3;

/**
 * Return in how many columns so many tiles have the largest pictures.
 *
 * `heightPx` null: the page scrolls, so the tiles take the fewest rows. Where the pictures would become too small, the
 * tiles are as wide as reading needs, and their area scrolls.
 */
export function columnCount(tiles: number, widthPx: number, heightPx: number | null): number {
  const most = Math.max(1, Math.min(tiles, Math.floor((widthPx + GAP_PX) / (TILE_WIDTH_MIN_PX + GAP_PX))));
  if (heightPx === null) return Math.ceil(tiles / Math.ceil(tiles / most)) || 1;
  let best = { columns: most, pictureWidthPx: PICTURE_WIDTH_MIN_PX };
  for (let columns = 1; columns <= most; columns += 1) {
    const rows = Math.ceil(tiles / columns);
    const width = (widthPx - (columns - 1) * GAP_PX) / columns - FRAME_PX;
    const height = (heightPx - (rows - 1) * GAP_PX) / rows - WORDS_PX;
    const pictureWidthPx = Math.min(width, height * PICTURE_RATIO);
    if (pictureWidthPx > best.pictureWidthPx) best = { columns, pictureWidthPx };
  }
  return best.columns;
}
