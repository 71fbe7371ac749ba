// The pictures that were looked at: a button with a small copy of each, and what was found in it.

const THUMB = { width: 160, height: 120 };

/** "Mask: 2, No Mask: 1" for the faces of a picture, in the words of `meanings`. */
export function summary_of(counts, meanings) {
  const parts = Object.entries(meanings)
    .filter(([meaning]) => counts[meaning])
    .map(([meaning, { name }]) => `${name}: ${counts[meaning]}`);
  return parts.join(', ') || 'no face';
}

/** How many items have each meaning. */
export function counted(items) {
  const counts = {};
  for (const { meaning } of items) counts[meaning] = (counts[meaning] ?? 0) + 1;
  return counts;
}

export class Album {
  entries = [];
  current = -1;

  /** `show(entry)` is called when somebody chooses a picture. */
  constructor(list, show) {
    this.list = list;
    this.show = show;
    list.onkeydown = (event) => this.#move(event);
  }

  clear() {
    this.entries = [];
    this.current = -1;
    this.list.replaceChildren();
  }

  /** `entry`: {file, name, found} or {file, name, error}; `picture` what to show of it, if it can
   *  be shown. */
  add(entry, picture, what) {
    const index = this.entries.push(entry) - 1;
    const button = document.createElement('button');
    button.type = 'button';
    if (picture) button.append(small(picture));
    button.append(text('name', entry.name), text('what', what));
    button.title = entry.name;
    button.onclick = () => this.choose(index);
    const item = document.createElement('li');
    item.append(button);
    this.list.append(item);
    return index;
  }

  /** What `show` gives back. */
  choose(index) {
    this.list.querySelector('[aria-current]')?.removeAttribute('aria-current');
    this.current = index;
    this.list.children[index].firstChild.setAttribute('aria-current', 'true');
    return this.show(this.entries[index]);
  }

  // Arrow keys go from picture to picture.
  #move(event) {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const buttons = Array.from(this.list.querySelectorAll('button'));
    const next = buttons[buttons.indexOf(document.activeElement) + step];
    if (step === undefined || !next) return;
    event.preventDefault();
    next.focus();
    next.click();
  }
}

function text(kind, content) {
  const span = document.createElement('span');
  span.className = kind;
  span.textContent = content;
  return span;
}

function small(picture) {
  const canvas = document.createElement('canvas');
  const scale = Math.min(1, THUMB.width / picture.width, THUMB.height / picture.height);
  canvas.width = Math.max(1, Math.round(picture.width * scale));
  canvas.height = Math.max(1, Math.round(picture.height * scale));
  canvas.getContext('2d').drawImage(picture, 0, 0, canvas.width, canvas.height);
  canvas.setAttribute('aria-hidden', 'true');
  return canvas;
}
