// Keeps the page for times without a network (service-worker.js), and says so.

/** `ready` is called when the page works offline, `renewed` with a function that changes to a new
 *  version when one is there. */
export async function keep_offline(ready, renewed) {
  const workers = navigator.serviceWorker;
  if (!workers) return;
  const registration = await workers.register('service-worker.js');
  const offer = () => registration.waiting && renewed(() => registration.waiting.postMessage('change'));
  registration.onupdatefound = () => {
    const worker = registration.installing;
    worker.onstatechange = () => worker.state === 'installed' && workers.controller && offer();
  };
  offer();
  let changing = workers.controller !== null;
  workers.oncontrollerchange = () => {
    if (changing) location.reload();
    changing = true;
  };
  await workers.ready;
  ready();
}
