// The engine as the page sees it: a worker that answers one question after the other, so that the
// page itself never waits.

export class Engine {
  #worker = new Worker('worker.js');
  #waiting = new Map();
  #last = 0;

  constructor() {
    this.#worker.onmessage = ({ data }) => {
      const waiting = this.#waiting.get(data.id);
      this.#waiting.delete(data.id);
      if (data.error) waiting.reject(new Error(data.error));
      else waiting.resolve(data.answer);
    };
    // The worker is gone, or its script cannot be read: nobody must wait for it any more.
    this.#worker.onerror = (event) => {
      event.preventDefault();
      const fault = new Error(event.message || 'the engine cannot be loaded');
      for (const waiting of this.#waiting.values()) waiting.reject(fault);
      this.#waiting.clear();
    };
  }

  #ask(question, transferred = []) {
    const id = ++this.#last;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ id, ...question }, transferred);
    });
  }

  /** {version, vectors, threads, labels, meanings: {mask: {name, color}, ...}} */
  load() {
    return this.#ask({ what: 'load' });
  }

  /** The faces of a picture file (File or Blob): {width, height, faces}. */
  detect(file, name) {
    return this.#ask({ what: 'detect', file, name });
  }

  /** The people in a video's frame; `time` in seconds. Takes the bitmap and gives it back with the
   *  answer: {bitmap, looked, tracks, people}, and {width, height, faces} if the frame was looked at
   *  and not left out. */
  follow(bitmap, time) {
    return this.#ask({ what: 'follow', bitmap, time }, [bitmap]);
  }

  /** Before another video. */
  forget_people() {
    return this.#ask({ what: 'forget' });
  }
}
