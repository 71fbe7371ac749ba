// The pictures among the files that somebody drops, pastes or chooses; folders are walked through.

const PICTURE = /\.(jpe?g|png|bmp|gif|webp|avif|heic|heif|tiff?)$/i;

/** {pictures: [{file, name}], others}: `name` with the folders above it, and how many files are not
 *  pictures by their names. Hidden files count for nothing. */
export function sorted(files) {
  const pictures = [];
  let others = 0;
  for (const { file, name } of files) {
    if (file.name.startsWith('.')) continue;
    if (file.type.startsWith('image/') || PICTURE.test(file.name)) pictures.push({ file, name });
    else others += 1;
  }
  const order = new Intl.Collator(undefined, { numeric: true });
  pictures.sort((a, b) => order.compare(a.name, b.name));
  return { pictures, others };
}

/** Of an <input type="file"> or of a paste. */
export function listed(files) {
  return Array.from(files, (file) => ({ file, name: file.webkitRelativePath || file.name || 'pasted picture' }));
}

const entries_of = (reader) => new Promise((resolve, reject) => reader.readEntries(resolve, reject));
const file_of = (entry) => new Promise((resolve, reject) => entry.file(resolve, reject));

async function walk(entry, found) {
  if (entry.name.startsWith('.')) return;
  if (entry.isFile) {
    const file = await file_of(entry);
    found.push({ file, name: entry.fullPath.replace(/^\//, '') });
    return;
  }
  const reader = entry.createReader();
  // A reader gives a hundred or so at a time, and none at the end.
  for (let entries; (entries = await entries_of(reader)).length > 0; )
    for (const inner of entries) await walk(inner, found);
}

/** Of a drop. What it holds must be asked for before the event is over. */
export async function dropped(transfer) {
  const items = Array.from(transfer.items ?? []).filter((item) => item.kind === 'file');
  const entries = items.map((item) => item.webkitGetAsEntry?.());
  if (entries.length === 0 || entries.some((entry) => !entry)) return listed(transfer.files);
  const found = [];
  for (const entry of entries) await walk(entry, found);
  return found;
}
