// The camera: opens it, hands out its frames one at a time, and says what is wrong in one line.

const FAULTS = {
  NotFoundError: 'No camera was found.',
  OverconstrainedError: 'No camera was found.',
  NotAllowedError: "The camera may not be used: allow it in the browser's settings of this page, then start it again.",
  SecurityError: 'The camera may not be used on this page.',
  NotReadableError: 'The camera cannot be read: another program may be using it.',
  AbortError: 'The camera could not be started.',
};

export class Camera {
  #stream;

  /** `lost` is called with a line when the camera goes away by itself. */
  constructor(video, lost) {
    this.video = video;
    this.lost = lost;
    this.facing = 'user';
  }

  get running() {
    return this.#stream !== undefined;
  }

  /** Throws an Error that says what is wrong. */
  async start() {
    if (!navigator.mediaDevices?.getUserMedia)
      throw new Error('The camera needs a secure page: https, or localhost.');
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({
        audio: false,
        video: { facingMode: this.facing, width: { ideal: 640 }, height: { ideal: 480 } },
      });
    } catch (fault) {
      throw new Error(FAULTS[fault.name] ?? `The camera could not be started: ${fault.message}`);
    }
    this.#stream = stream;
    stream.getVideoTracks()[0].onended = () => {
      if (this.#stream !== stream) return;
      this.stop();
      this.lost('The camera is gone.');
    };
    this.video.srcObject = stream;
    await this.video.play();
  }

  stop() {
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
    this.#stream = undefined;
    this.video.srcObject = null;
  }

  /** The other side of a phone, or the next of several cameras. */
  async turn() {
    this.facing = this.facing === 'user' ? 'environment' : 'user';
    this.stop();
    await this.start();
  }

  /** How many cameras there are, as far as the browser tells. */
  async count() {
    const devices = await navigator.mediaDevices.enumerateDevices();
    return devices.filter((device) => device.kind === 'videoinput').length;
  }

  /** The next frame that was not handed out yet, as an ImageBitmap, and its time in seconds; null
   *  when the camera has stopped. */
  async frame() {
    await this.#next();
    if (!this.running || this.video.videoWidth === 0) return null;
    return { bitmap: await createImageBitmap(this.video), time: performance.now() / 1000 };
  }

  // A page in the background gets no frames, and a camera that stopped none either: so it looks
  // twice a second whether there is something to wait for.
  #next() {
    return new Promise((resolve) => {
      const { video } = this;
      let request;
      const watch = setInterval(() => this.running || done(), 500);
      const done = () => {
        clearInterval(watch);
        if (request !== undefined && video.cancelVideoFrameCallback) video.cancelVideoFrameCallback(request);
        resolve();
      };
      if (video.requestVideoFrameCallback) request = video.requestVideoFrameCallback(done);
      else requestAnimationFrame(done);
    });
  }
}
