// Runs the engine (web/module.cc) beside the page. A classic worker: Emscripten's loader is a
// classic script.
'use strict';

const MOST_THREADS = 4;
const LONG_LOOK = 50; // milliseconds

let engine; // Emscripten's module
let canvas;
let look_took = 0; // milliseconds, the last one; 0: a frame was left out since

const models = ['models/face_detector.safetensors', 'models/mask_detector_small.safetensors'];

async function bytes_of(path) {
  const response = await fetch(path);
  if (!response.ok) throw new Error(`${path}: cannot be read (${response.status})`);
  return new Uint8Array(await response.arrayBuffer());
}

/** Puts arrays one behind the other where the engine finds them. */
function hand_over(...arrays) {
  const size = arrays.reduce((sum, array) => sum + array.length, 0);
  let at = engine._maskwatch_buffer(size);
  if (at === 0 && size > 0) throw new Error('out of memory');
  for (const array of arrays) {
    engine.HEAPU8.set(array, at);
    at += array.length;
  }
}

function call(name, types, values) {
  const answer = JSON.parse(engine.ccall(name, 'string', types, values));
  if (answer.error) throw new Error(answer.error);
  return answer;
}

async function load() {
  const threads = self.crossOriginIsolated ? Math.min(navigator.hardwareConcurrency || 1, MOST_THREADS) : 1;
  const script = threads > 1 ? 'maskwatch_threads.js' : 'maskwatch.js';
  importScripts(script);
  const files = Promise.all(models.map(bytes_of));
  engine = await create_maskwatch({ mainScriptUrlOrBlob: script }); // what its threads load
  const [detector, classifier] = await files;
  hand_over(detector, classifier);
  return call('maskwatch_load', ['number', 'number', 'number'], [detector.length, classifier.length, threads]);
}

/** The pixels of a bitmap, over white where it is transparent. */
function pixels_of(bitmap) {
  canvas ??= new OffscreenCanvas(1, 1);
  if (canvas.width !== bitmap.width || canvas.height !== bitmap.height) {
    canvas.width = bitmap.width;
    canvas.height = bitmap.height;
  }
  const context = canvas.getContext('2d', { willReadFrequently: true, alpha: false });
  context.fillStyle = '#fff';
  context.fillRect(0, 0, bitmap.width, bitmap.height);
  context.drawImage(bitmap, 0, 0);
  return context.getImageData(0, 0, bitmap.width, bitmap.height).data;
}

/** JPEG, PNG and BMP are decoded by the engine, to the very pixels that the programs see; what it
 *  does not know, the browser may. */
async function detect({ file, name }) {
  hand_over(new Uint8Array(await file.arrayBuffer()));
  try {
    return call('maskwatch_detect_file', ['string', 'number'], [name, file.size]);
  } catch (fault) {
    let bitmap;
    try {
      bitmap = await createImageBitmap(file);
    } catch {
      throw fault;
    }
    hand_over(pixels_of(bitmap));
    const { width, height } = bitmap;
    bitmap.close();
    return call('maskwatch_detect_pixels', ['number', 'number'], [width, height]);
  }
}

/** Where a look takes long, every second frame is shown with the people as they are expected in it,
 *  as the video program does it. */
function follow({ bitmap, time }) {
  if (look_took > LONG_LOOK) {
    look_took = 0;
    return { bitmap, looked: false, ...call('maskwatch_expect_people', ['number'], [time]) };
  }
  const start = performance.now();
  hand_over(pixels_of(bitmap));
  const { width, height } = bitmap;
  const found = call('maskwatch_follow_pixels', ['number', 'number', 'number'], [width, height, time]);
  look_took = performance.now() - start;
  return { bitmap, looked: true, ...found };
}

function forget() {
  look_took = 0;
  engine._maskwatch_forget_people();
}

const answers = { load, detect, follow, forget };

// One after the other: the engine is for one at a time.
let before = Promise.resolve();
self.onmessage = ({ data }) => {
  before = before.then(async () => {
    try {
      const answer = await answers[data.what](data);
      self.postMessage({ id: data.id, answer }, answer?.bitmap ? [answer.bitmap] : []);
    } catch (fault) {
      self.postMessage({ id: data.id, error: fault?.message ?? String(fault) });
    }
  });
};
