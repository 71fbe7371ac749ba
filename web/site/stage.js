// What the page shows of a picture or a frame: the picture with its boxes, how many faces there are
// of each kind, and each face in words.
import { counted, summary_of } from './album.js';
import { draw, fit } from './drawing.js';

const ANNOUNCE_EVERY = 3000; // milliseconds: a screen reader needs time to read

export class Stage {
  #element = document.querySelector('#stage');
  #canvas = document.querySelector('#view');
  #counts = document.querySelector('#counts');
  #faces = document.querySelector('#faces');
  #details = document.querySelector('#details');
  #status = document.querySelector('#status');
  #shown = null;
  #announced = { text: '', time: 0 };

  /** `meanings`: {mask: {name, color}, ...} as the engine gives them. */
  constructor(meanings) {
    this.meanings = meanings;
    for (const [meaning, { name, color }] of Object.entries(meanings)) {
      const box = document.createElement('div');
      box.dataset.meaning = meaning;
      box.style.borderLeftColor = color;
      const term = document.createElement('dt');
      term.textContent = name;
      const number = document.createElement('dd');
      number.textContent = '0';
      box.append(term, number);
      box.hidden = meaning === 'other'; // unless there is one
      this.#counts.append(box);
    }
    new ResizeObserver(() => this.#paint()).observe(this.#element);
    this.#details.ontoggle = () => this.#shown && this.#describe(this.#shown.items);
  }

  get shown() {
    return this.#shown;
  }

  say(text) {
    this.#announced = { text, time: performance.now() };
    this.#status.textContent = text;
  }

  /** `picture`: an ImageBitmap, which belongs to the stage from now on; `items`: faces or people with
   *  `box`, `meaning` and `text`. A live picture is announced now and then only. */
  show(picture, items, { name = '', live = false, note = '' } = {}) {
    if (this.#shown && this.#shown.picture !== picture) this.#shown.picture.close();
    const colored = items.map((item) => ({ ...item, color: this.meanings[item.meaning].color }));
    this.#shown = { picture, items: colored, name };
    document.querySelector('#welcome').hidden = true;
    this.#canvas.hidden = false;
    this.#paint();
    const counts = counted(items);
    for (const box of this.#counts.children) {
      const { meaning } = box.dataset;
      box.querySelector('dd').textContent = String(counts[meaning] ?? 0);
      box.hidden = meaning === 'other' && !counts.other;
    }
    if (this.#details.open || !live) this.#describe(colored);
    const text = [name, summary_of(counts, this.meanings), note].filter(Boolean).join(' · ');
    this.#canvas.setAttribute('aria-label', text);
    const { text: before, time } = this.#announced;
    if (text !== before && (!live || performance.now() - time > ANNOUNCE_EVERY)) this.say(text);
  }

  clear() {
    this.#shown?.picture.close();
    this.#shown = null;
    this.#canvas.hidden = true;
    document.querySelector('#welcome').hidden = false;
    this.#faces.replaceChildren();
    for (const number of this.#counts.querySelectorAll('dd')) number.textContent = '0';
  }

  /** What is shown, in all its pixels and with its boxes, as a JPEG. */
  async to_file() {
    const { picture, items } = this.#shown;
    const canvas = document.createElement('canvas');
    canvas.width = picture.width;
    canvas.height = picture.height;
    draw(canvas, picture, items);
    const blob = await new Promise((resolve) => canvas.toBlob(resolve, 'image/jpeg', 0.92));
    if (!blob) throw new Error('The picture could not be saved: it may be too large for this browser.');
    return blob;
  }

  #paint() {
    if (!this.#shown) return;
    const { picture, items } = this.#shown;
    const density = window.devicePixelRatio || 1;
    const { clientWidth, clientHeight } = this.#element;
    const size = fit(picture, { width: clientWidth * density, height: clientHeight * density });
    if (this.#canvas.width !== size.width || this.#canvas.height !== size.height) {
      Object.assign(this.#canvas, size);
      this.#canvas.style.width = `${size.width / density}px`;
      this.#canvas.style.height = `${size.height / density}px`;
    }
    draw(this.#canvas, picture, items, density);
  }

  #describe(items) {
    const lines = items.map(({ text, box }) => {
      const [x, y, width, height] = box.map(Math.round);
      const line = document.createElement('li');
      line.textContent = `${text}, at x ${x}, y ${y}, ${width} × ${height} pixels`;
      return line;
    });
    this.#faces.replaceChildren(...lines);
  }
}
