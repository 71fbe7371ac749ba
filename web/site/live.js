// The camera's frames through the engine and onto the stage, one after the other: what is shown is
// the very frame that its boxes were found in, or are expected in.

const MEASURE = 1000; // milliseconds

export class Live {
  #run = 0; // a later one ends an earlier one
  #frames = 0;
  #looks = 0;
  #since = 0;

  /** `fault` is called with an Error of the engine, which ends the loop. */
  constructor(engine, camera, stage, rate, fault) {
    Object.assign(this, { engine, camera, stage, rate, fault });
  }

  async run() {
    const mine = ++this.#run;
    this.#start_measuring();
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
    this.#measure(found.looked);
  }

  #start_measuring() {
    this.#frames = 0;
    this.#looks = 0;
    this.#since = performance.now();
  }

  #measure(looked) {
    this.#frames += 1;
    this.#looks += looked ? 1 : 0;
    const passed = performance.now() - this.#since;
    if (passed < MEASURE) return;
    const rate = (count) => ((1000 * count) / passed).toFixed(1);
    const left_out = this.#looks < this.#frames;
    const looks = left_out ? `, ${rate(this.#looks)} looked at` : '';
    this.rate.textContent = `${rate(this.#frames)} frames a second${looks}`;
    this.rate.hidden = false;
    this.#start_measuring();
  }
}
