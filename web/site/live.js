// The camera's frames through the engine and onto the stage, one after the other: what is shown is
// always the very frame that its boxes were found in.

const MEASURE = 1000; // milliseconds

export class Live {
  #run = 0; // a later one ends an earlier one
  #frames = 0;
  #since = 0;

  /** `fault` is called with an Error of the engine, which ends the loop. */
  constructor(engine, camera, stage, rate, fault) {
    Object.assign(this, { engine, camera, stage, rate, fault });
  }

  async run() {
    const mine = ++this.#run;
    this.#frames = 0;
    this.#since = performance.now();
    try {
      await this.engine.forget_people();
      for (let frame; mine === this.#run && (frame = await this.camera.frame()); )
        await this.#look_at(frame, mine);
    } catch (fault) {
      this.fault(fault);
    }
    if (mine === this.#run) this.rate.hidden = true;
  }

  async #look_at({ bitmap, time }, mine) {
    const found = await this.engine.follow(bitmap, time);
    if (mine !== this.#run || !this.camera.running) return found.bitmap.close();
    const note = found.people === 1 ? '1 person so far' : `${found.people} people so far`;
    this.stage.show(found.bitmap, found.tracks, { live: true, note });
    this.#measure();
  }

  #measure() {
    this.#frames += 1;
    const passed = performance.now() - this.#since;
    if (passed < MEASURE) return;
    this.rate.textContent = `${((1000 * this.#frames) / passed).toFixed(1)} frames a second`;
    this.rate.hidden = false;
    this.#frames = 0;
    this.#since = performance.now();
  }
}
