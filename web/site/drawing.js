// Boxes and their tabs over a picture, as the programs draw them (vision/image/draw.h).

const LEAST_LETTERS = 7; // CSS pixels

const overlap = (a, b) =>
  a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;

/** Black or white, whichever can be read on the colour "#rrggbb". */
function letters_on(color) {
  const [r, g, b] = [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16));
  return 299 * r + 587 * g + 114 * b > 150000 ? '#000' : '#fff';
}

/** Above the box, or inside it where there is no room. */
function place_tab(context, box, text, height, line) {
  const { width: most, height: lowest } = context.canvas;
  context.font = `bold ${height}px system-ui, sans-serif`;
  const width = context.measureText(text).width + height * 0.5;
  const tab_height = height * 1.3;
  const above = box.y - tab_height;
  const top = above >= 0 ? above : box.y + line;
  return {
    x: Math.max(0, Math.min(box.x, most - width)),
    y: Math.max(0, Math.min(top, lowest - tab_height)),
    width,
    height: tab_height,
  };
}

/** The tabs that fit: none covers another's box or tab; letters become smaller before one is left
 *  out. */
function draw_tabs(context, items, line, letters, least) {
  const tabs = [];
  items.forEach((item, index) => {
    const is_free = (tab) =>
      !tabs.some((other) => overlap(tab, other)) &&
      !items.some((other, i) => i !== index && overlap(tab, other.area));
    for (let height = letters; height >= least; height *= 0.85) {
      const tab = place_tab(context, item.area, item.text, height, line);
      if (!is_free(tab)) continue;
      context.fillStyle = item.color;
      context.fillRect(tab.x, tab.y, tab.width, tab.height);
      context.fillStyle = letters_on(item.color);
      context.textBaseline = 'middle';
      context.fillText(item.text, tab.x + height * 0.25, tab.y + tab.height / 2);
      tabs.push(tab);
      break;
    }
  });
}

/** The picture scaled to the canvas, and on it what was found: `items` with `box` [x, y, width,
 *  height] in pixels of the picture, `text`, `color`, and `lost` for a face that is expected there
 *  but was not seen. `density`: pixels of the canvas for one of CSS. */
export function draw(canvas, picture, items, density = 1) {
  const context = canvas.getContext('2d');
  const scale_x = canvas.width / picture.width;
  const scale_y = canvas.height / picture.height;
  context.drawImage(picture, 0, 0, canvas.width, canvas.height);
  const side = Math.min(canvas.width, canvas.height);
  const line = Math.max(1, Math.round(Math.max(side / 240, 1.5 * density)));
  const placed = items.map(({ box: [x, y, width, height], text, color, lost }) => ({
    area: { x: x * scale_x, y: y * scale_y, width: width * scale_x, height: height * scale_y },
    text,
    color,
    lost,
  }));
  for (const { area, color, lost } of placed) {
    const most = Math.min(area.width, area.height) / 15;
    const width = Math.max(1, lost ? line / 2 : Math.min(line, most));
    context.strokeStyle = color;
    context.lineWidth = width;
    context.strokeRect(area.x + width / 2, area.y + width / 2, area.width - width, area.height - width);
  }
  const letters = Math.max(side / 30, 12 * density);
  draw_tabs(
    context,
    placed.filter((item) => !item.lost && item.text),
    line,
    letters,
    LEAST_LETTERS * density
  );
}

/** The largest size of the picture's shape that fits into the room, in whole pixels of the screen.
 */
export function fit(picture, room) {
  const scale = Math.min(room.width / picture.width, room.height / picture.height);
  return {
    width: Math.max(1, Math.round(picture.width * scale)),
    height: Math.max(1, Math.round(picture.height * scale)),
  };
}
