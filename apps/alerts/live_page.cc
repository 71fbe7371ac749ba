#include "apps/alerts/live_page.h"

namespace maskwatch::apps {

const char* const kLivePage = R"(<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Maskwatch</title>
<link rel="icon" href="data:,">
<style>
  :root { color-scheme: dark; }
  * { box-sizing: border-box; }
  body { margin: 0; background: #14171c; color: #e8eaed; font: 16px/1.4 system-ui, sans-serif; }
  main { display: grid; gap: 16px; padding: 16px; max-width: 1600px; margin: auto; }
  @media (min-width: 900px) { main { grid-template-columns: minmax(0, 1fr) 360px; } }
  h1 { font-size: 1rem; font-weight: 600; margin: 0 0 8px; overflow-wrap: anywhere; }
  h2 { font-size: .9rem; font-weight: 600; margin: 16px 0 8px; color: #b4bac4; }
  img { display: block; width: 100%; background: #000; border-radius: 8px; min-height: 120px; }
  dl { display: grid; grid-template-columns: 1fr 1fr; gap: 8px; margin: 0; }
  dl div { background: #1f242c; border-radius: 8px; padding: 10px 12px; border-left: 4px solid #8a919c; }
  dt { color: #b4bac4; font-size: .85rem; }
  dd { margin: 0; font-size: 1.6rem; font-variant-numeric: tabular-nums; }
  .mask { border-color: #35b46f; } .no_mask { border-color: #ef5b5b; } .worn_wrongly { border-color: #e8a93a; }
  #trouble { background: #5c2020; border-radius: 8px; padding: 10px 12px; margin-bottom: 8px; }
  ol { list-style: none; margin: 0; padding: 0; font-size: .9rem; }
  li { padding: 6px 0; border-bottom: 1px solid #2a303a; overflow-wrap: anywhere; }
  time { color: #9aa1ad; margin-right: 8px; font-variant-numeric: tabular-nums; }
  a { color: #8ab4f8; }
</style>
</head>
<body>
<main>
  <section aria-label="Video">
    <h1 id="description">Maskwatch</h1>
    <div id="trouble" role="alert" hidden></div>
    <img id="video" src="/stream.mjpg" alt="The video, with a box around each face">
  </section>
  <section aria-label="Figures">
    <dl aria-live="polite">
      <div><dt>People in view</dt><dd id="people">-</dd></div>
      <div class="mask"><dt>With mask</dt><dd id="mask">-</dd></div>
      <div class="no_mask"><dt>Without mask</dt><dd id="no_mask">-</dd></div>
      <div class="worn_wrongly"><dt>Worn wrongly</dt><dd id="worn_wrongly">-</dd></div>
      <div><dt>People seen</dt><dd id="people_seen">-</dd></div>
      <div><dt>Frames a second</dt><dd id="fps">-</dd></div>
    </dl>
    <h2>Latest events</h2>
    <ol id="events"></ol>
    <p><a href="/snapshot.jpg">Snapshot</a> · <a href="/state">State</a> · <a href="/metrics">Metrics</a></p>
  </section>
</main>
<script>
  'use strict';
  const at = id => document.getElementById(id);
  const verbs = {appear: 'appears', change: 'changes', leave: 'leaves'};
  const words = text => (text ?? 'not known').replaceAll('_', ' ');

  function eventItem(event) {
    const item = document.createElement('li'), time = document.createElement('time');
    time.dateTime = event.clock;
    time.textContent = new Date(event.clock).toLocaleTimeString();
    const before = event.event === 'change' ? words(event.before) + ' → ' : '';
    const source = event.source ? event.source + ' ' : '';
    item.append(time, `${source}#${event.track} ${verbs[event.event]}: ${before}${words(event.label)}`);
    return item;
  }

  function tell(trouble) {
    at('trouble').hidden = !trouble;
    if (at('trouble').textContent !== trouble) at('trouble').textContent = trouble;
  }

  let lost = false;
  async function refresh() {
    try {
      const answer = await fetch('/state', {cache: 'no-store'});
      if (!answer.ok) throw new Error();
      const state = await answer.json();
      for (const name of ['people', 'mask', 'no_mask', 'worn_wrongly', 'people_seen'])
        if (at(name).textContent !== String(state[name])) at(name).textContent = state[name];
      at('fps').textContent = state.fps.toFixed(1);
      at('description').textContent = document.title = state.description;
      at('events').replaceChildren(...state.events.map(eventItem));
      tell(state.source === 'ok' ? '' : state.source);
      if (lost) at('video').src = '/stream.mjpg?' + Date.now();
      lost = false;
    } catch {
      lost = true;
      tell('Maskwatch does not answer');
    }
    setTimeout(refresh, 1000);
  }
  refresh();
</script>
</body>
</html>
)";

const char* const kTokenPage = R"(<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Maskwatch: token</title>
<link rel="icon" href="data:,">
<style>
  :root { color-scheme: dark; }
  body { background: #14171c; color: #e8eaed; font: 16px/1.4 system-ui, sans-serif; display: grid;
         place-items: center; min-height: 90vh; margin: 0; }
  form { display: grid; gap: 12px; width: min(320px, 90vw); }
  input, button { font: inherit; padding: 10px; border-radius: 8px; border: 1px solid #4a515c; }
</style>
</head>
<body>
<form action="/" method="get">
  <label for="token">This camera asks for its token (the file of --serve-token-file holds it):</label>
  <input id="token" name="token" type="password" autocomplete="current-password" required autofocus>
  <button>Watch</button>
</form>
</body>
</html>
)";

}  // namespace maskwatch::apps
