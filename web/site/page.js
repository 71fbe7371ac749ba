// The page: what its buttons do, and what is dropped or pasted.
import { Album, counted, summary_of } from './album.js';
import { Camera } from './camera.js';
import { Engine } from './engine.js';
import { dropped, listed, sorted } from './files.js';
import { Live } from './live.js';
import { keep_offline } from './offline.js';
import { Stage } from './stage.js';
import { missing_feature } from './support.js';

const at = (id) => document.getElementById(id);

let engine, stage, album, live;
let run = 0; // of pictures: a later one ends an earlier one

const camera = new Camera(at('video'), (why) => {
  show_camera_state();
  complain(why);
});

function complain(...lines) {
  at('fault').textContent = lines.join('\n');
  at('fault').hidden = lines.length === 0;
}

function offer_download(blob, name) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

const stem = (name) => name.replace(/^.*\//, '').replace(/\.[^.]*$/, '');

/* The camera */

function show_camera_state() {
  at('camera').textContent = camera.running ? 'Stop camera' : 'Start camera';
  if (!camera.running) {
    at('turn').hidden = true;
    at('rate').hidden = true;
  }
}

function stop_camera() {
  camera.stop();
  show_camera_state();
}

/** What a button does with the camera, which stops if that fails. */
async function with_camera(button, act) {
  complain();
  at(button).disabled = true;
  try {
    await act();
  } catch (fault) {
    stop_camera();
    complain(fault.message);
  } finally {
    at(button).disabled = false;
  }
}

async function start_camera() {
  await camera.start();
  forget_pictures();
  show_camera_state();
  at('turn').hidden = (await camera.count()) < 2;
  at('save').disabled = false;
  live.run();
}

async function turn_camera() {
  await camera.turn();
  live.run();
}

/* Pictures */

function show_album(shown) {
  at('results').hidden = !shown;
  document.body.classList.toggle('with-album', shown);
}

function forget_pictures() {
  run += 1;
  album.clear();
  show_album(false);
  at('report').hidden = true;
}

async function show_entry(entry) {
  if (entry.error) return complain(entry.error);
  complain();
  const picture = await createImageBitmap(entry.file).catch(() => null);
  if (album.entries[album.current] !== entry) return picture?.close(); // another was chosen meanwhile
  at('stage').scrollIntoView({ block: 'nearest' });
  if (picture) stage.show(picture, entry.found.faces, { name: entry.name });
  else complain(`${entry.name}: this browser cannot show it`);
}

function summarise() {
  const faces = album.entries.flatMap((entry) => entry.found?.faces ?? []);
  const unread = album.entries.filter((entry) => entry.error).length;
  const parts = [`${album.entries.length} ${album.entries.length === 1 ? 'picture' : 'pictures'}`];
  if (unread < album.entries.length) parts.push(summary_of(counted(faces), stage.meanings));
  if (unread > 0) parts.push(`${unread} could not be read`);
  at('summary').textContent = parts.join(' · ');
}

/** Looks at one picture: its entry in the album, the picture to show, and what was found in words. */
async function look_at({ file, name }) {
  let entry, picture;
  try {
    entry = { file, name, found: await engine.detect(file, name) };
    picture = await createImageBitmap(file).catch(() => null);
  } catch (fault) {
    const { message } = fault;
    entry = { file, name, error: message.startsWith(name) ? message : `${name}: ${message}` };
  }
  const what = entry.error ? 'cannot be read' : summary_of(counted(entry.found.faces), stage.meanings);
  return { entry, picture, what };
}

async function look_at_all({ pictures, others }) {
  if (pictures.length === 0) {
    complain(others > 0 ? 'None of these files is a picture by its name.' : 'There is no picture here.');
    return;
  }
  if (camera.running) stop_camera();
  complain();
  forget_pictures();
  const mine = run;
  show_album(pictures.length > 1);
  const faults = [];
  if (others === 1) faults.push('1 file is not a picture by its name.');
  if (others > 1) faults.push(`${others} files are not pictures by their names.`);
  for (const [i, picture] of pictures.entries()) {
    stage.say(`Looking at ${i + 1} of ${pictures.length}: ${picture.name}`);
    const { entry, picture: shown, what } = await look_at(picture);
    if (mine !== run) return;
    const index = album.add(entry, shown, what);
    shown?.close();
    if (entry.error) faults.push(entry.error);
    else if (album.current < 0) await album.choose(index);
    summarise();
  }
  finish(faults);
}

function finish(faults) {
  const some = album.entries.some((entry) => entry.found);
  at('save').disabled = !some;
  at('report').hidden = !some;
  if (!some) stage.clear();
  if (!some || album.entries.length > 1) stage.say(at('summary').textContent);
  complain(...faults);
}

/* What is saved */

async function save_picture() {
  try {
    const { name } = stage.shown;
    const time = new Date().toISOString().slice(0, 19).replace(/[T:]/g, '-');
    const blob = await stage.to_file();
    offer_download(blob, name ? `${stem(name)}_detected.jpg` : `maskwatch_${time}.jpg`);
  } catch (fault) {
    complain(fault.message);
  }
}

/** As detect_mask_image --json prints it. */
function save_report() {
  const face = ({ box, score, label, probability, probabilities }) =>
    ({ box, score, label, probability, probabilities });
  const report = album.entries.map(({ name, found, error }) =>
    error
      ? { image: name, error }
      : { image: name, width: found.width, height: found.height, faces: found.faces.map(face) }
  );
  const blob = new Blob([JSON.stringify(report, null, 2), '\n'], { type: 'application/json' });
  offer_download(blob, 'maskwatch.json');
}

/* The page */

function take_files() {
  for (const id of ['files', 'folders'])
    at(id).onchange = () => {
      const found = listed(at(id).files);
      at(id).value = ''; // so that the same may be chosen again
      look_at_all(sorted(found));
    };
  at('open').onclick = () => at('files').click();
  at('folder').onclick = () => at('folders').click();
  document.onpaste = (event) => {
    const found = listed(event.clipboardData?.files ?? []);
    look_at_all(sorted(found));
  };
  const has_files = (event) => event.dataTransfer?.types.includes('Files');
  document.ondragover = (event) => {
    if (!has_files(event)) return;
    event.preventDefault();
    at('stage').classList.add('dropping');
  };
  document.ondragleave = () => at('stage').classList.remove('dropping');
  document.ondrop = async (event) => {
    if (!has_files(event)) return;
    event.preventDefault();
    at('stage').classList.remove('dropping');
    look_at_all(sorted(await dropped(event.dataTransfer)));
  };
}

function wire() {
  at('camera').onclick = () => with_camera('camera', camera.running ? stop_camera : start_camera);
  at('turn').onclick = () => with_camera('turn', turn_camera);
  at('save').onclick = save_picture;
  at('report').onclick = save_report;
  take_files();
  for (const id of ['camera', 'open', 'folder']) at(id).disabled = false;
  // Phones have no folders to choose.
  at('folder').hidden = !('webkitdirectory' in HTMLInputElement.prototype);
}

async function start() {
  const missing = missing_feature();
  if (missing) {
    at('status').textContent = '';
    return complain(`This browser is too old for Maskwatch: it lacks ${missing}. Any current browser has it.`);
  }
  const offline = keep_offline(
    () => (at('offline').textContent = 'Works offline'),
    (change) => {
      at('update').hidden = false;
      at('update').onclick = change;
    }
  );
  offline.catch((fault) => (at('offline').textContent = `Not kept for offline use: ${fault.message}`));
  try {
    engine = new Engine();
    const about = await engine.load();
    const threads = about.threads === 1 ? '1 thread' : `${about.threads} threads`;
    at('engine').textContent = `Maskwatch ${about.version}, ${threads}`;
    stage = new Stage(about.meanings);
    album = new Album(at('pictures'), show_entry);
    live = new Live(engine, camera, stage, at('rate'), (fault) => {
      stop_camera();
      complain(`The engine failed: ${fault.message}. Please reload the page.`);
    });
    wire();
    stage.say('Ready');
  } catch (fault) {
    at('status').textContent = '';
    complain(`The engine could not be started: ${fault.message}`);
  }
}

start();
