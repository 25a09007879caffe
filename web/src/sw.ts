/// <reference lib="webworker" />

/**
 * Keeps the app itself, so that it opens without network: its page, scripts, styles and icons, all
 * of one version. What the server answers about files is never kept here.
 */

export {};

declare const __BUILT_FILES__: string[];
declare const __VERSION__: string;
declare const self: ServiceWorkerGlobalScope;

const PREFIX = "haulier-app-";
const CACHE = `${PREFIX}${__VERSION__}`;

interface SyncEvent extends ExtendableEvent {
  readonly tag: string;
}

const kept = new Set(["", ...__BUILT_FILES__].map((name) => new URL(name, self.registration.scope).href));

self.addEventListener("install", (event) => {
  event.waitUntil(
    (async () => {
      const cache = await caches.open(CACHE);
      await cache.addAll([...kept].map((url) => new Request(url, { cache: "no-cache" })));
    })(),
  );
});

self.addEventListener("activate", (event) => {
  event.waitUntil(
    (async () => {
      for (const name of await caches.keys()) {
        if (name.startsWith(PREFIX) && name !== CACHE) await caches.delete(name);
      }
      // The page that fetched this for the first time is without network at any moment.
      await self.clients.claim();
    })(),
  );
});

self.addEventListener("message", (event) => {
  if (event.data === "take over") void self.skipWaiting();
});

self.addEventListener("fetch", (event) => {
  const url = event.request.url.replace(/[?#].*$/, "");
  if (event.request.method !== "GET" || !kept.has(url)) return;
  event.respondWith(
    (async () => {
      const cache = await caches.open(CACHE);
      return (await cache.match(url, { ignoreVary: true })) ?? fetch(event.request);
    })(),
  );
});

// The network is back. Signing in is the page's, so that it is the page that sends.
self.addEventListener("sync", (event) => {
  if ((event as SyncEvent).tag !== "recordings") return;
  (event as SyncEvent).waitUntil(
    (async () => {
      for (const page of await self.clients.matchAll({ type: "window" })) page.postMessage("send");
    })(),
  );
});
