// Keeps every file of the page (version.js lists them) and serves them without a network. The
// headers it serves them with isolate the page, so that the engine may use threads wherever the
// page is hosted, and forbid page and workers to reach any other host.
'use strict';

importScripts('version.js');

const CACHE = `maskwatch-${VERSION}`;
const POLICY =
  "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self'; " +
  "style-src 'self'; img-src 'self' blob:; manifest-src 'self'; base-uri 'none'; form-action 'none'; " +
  "frame-ancestors 'none'";
const HEADERS = {
  'Content-Security-Policy': POLICY,
  'Cross-Origin-Embedder-Policy': 'require-corp',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
};

async function keep() {
  const cache = await caches.open(CACHE);
  // What the browser has of an older version must not get into the new one.
  await cache.addAll(FILES.map((file) => new Request(file, { cache: 'no-cache' })));
}

async function tidy() {
  for (const name of await caches.keys())
    if (name.startsWith('maskwatch-') && name !== CACHE) await caches.delete(name);
  await self.clients.claim();
}

function isolated(response) {
  const headers = new Headers(response.headers);
  for (const [name, value] of Object.entries(HEADERS)) headers.set(name, value);
  return new Response(response.body, { status: response.status, statusText: response.statusText, headers });
}

async function serve(request) {
  const cache = await caches.open(CACHE);
  const kept = await cache.match(request.mode === 'navigate' ? './' : request, { ignoreSearch: true });
  return isolated(kept ?? (await fetch(request)));
}

self.oninstall = (event) => event.waitUntil(keep());
self.onactivate = (event) => event.waitUntil(tidy());
self.onmessage = ({ data }) => data === 'change' && self.skipWaiting();
self.onfetch = (event) => {
  const { request } = event;
  if (request.method === 'GET' && new URL(request.url).origin === location.origin)
    event.respondWith(serve(request));
};
