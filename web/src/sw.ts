/// <reference lib="webworker" />

declare const __BUILT_FILES__: string[];
declare const self: ServiceWorkerGlobalScope;

self.addEventListener("install", () => {
  void self.skipWaiting();
});

// What is to be kept: `assets/…`, by names that change with what is in them.
export const builtFiles: string[] = __BUILT_FILES__;
