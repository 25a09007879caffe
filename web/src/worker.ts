/** Let the service worker (`sw.ts`) keep the app, so that it opens without network. */
export function startWorker(): void {
  // Nothing to keep yet.
}
