// The camera: opens it, hands out its frames one at a time, and says what is wrong in one line.

const FAULTS = {
  NotFoundError: 'No camera was found.',
  OverconstrainedError: 'No camera was found.',
  NotAllowedError: "The camera may not be used: allow it in the browser's settings of this page, then start it again.",
  SecurityError: 'The camera may not be used on this page.',
  NotReadableError: 'The camera cannot be read: another program may be using it.',
  AbortError: 'The camera could not be started.',
};

async function cameras() {
  const devices = await navigator.mediaDevices.enumerateDevices();
  return devices.filter((device) => device.kind === 'videoinput');
}

export class Camera {
  #stream;

  /** `lost` is called with a line when the camera goes away by itself. */
  constructor(video, lost) {
    this.video = video;
    this.lost = lost;
    this.wanted = { facingMode: 'user' };
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
        video: { ...this.wanted, width: { ideal: 640 }, height: { ideal: 480 } },
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

  /** How many cameras there are, as far as the browser tells. */
  async count() {
    return (await cameras()).length;
  }

  /** The camera on the other side of a phone, or the next of several. */
  async turn() {
    const { deviceId, facingMode } = this.#stream.getVideoTracks()[0].getSettings();
    if (facingMode) {
      this.wanted = { facingMode: facingMode === 'user' ? 'environment' : 'user' };
    } else {
      const all = await cameras();
      const next = (all.findIndex((camera) => camera.deviceId === deviceId) + 1) % all.length;
      this.wanted = { deviceId: { exact: all[next].deviceId } };
    }
    this.stop();
    await this.start();
  }

  /** The next frame that was not handed out yet, as an ImageBitmap, and its time in seconds; null
   *  when the camera has stopped, or another was started in its place. */
  async frame() {
    const stream = this.#stream;
    const here = () => stream !== undefined && stream === this.#stream;
    while (here()) {
      await this.#next(here);
      if (!here() || this.video.readyState < HTMLMediaElement.HAVE_CURRENT_DATA) continue;
      const time = performance.now() / 1000;
      const bitmap = await createImageBitmap(this.video).catch(() => null);
      if (bitmap && here()) return { bitmap, time };
      bitmap?.close();
    }
    return null;
  }

  // A page in the background gets no frames, and a camera that stopped none either: so it looks
  // twice a second whether there is something to wait for.
  #next(here) {
    return new Promise((resolve) => {
      const { video } = this;
      let request;
      const watch = setInterval(() => here() || done(), 500);
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
