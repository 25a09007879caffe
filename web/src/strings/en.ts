/**
 * All words of the app. A section for each part: add to your own. To translate, copy the file and
 * keep the keys.
 */
export const en = {
  app: {
    name: "haulier",
    skip: "Skip to content",
    menu: "Menu",
    navigation: "Main",
    search: "Search files",
    offline: "You are offline. What you see may be older.",
    notFound: "There is no such page.",
    toFiles: "Go to your files",
    failed: "This did not work",
    again: "Try again",
    close: "Close",
    cancel: "Cancel",
    done: "Done",
    save: "Save",
    more: "More",
    loading: "Loading",
    update: "Part of the app could not be loaded.",
    unreachable: "The server can't be reached. Check the network; it is tried again by itself.",
    tooMany: "That was a lot at once. Wait {n} s and try again.",
  },
  nav: {
    files: "Files",
    shared: "Shared with me",
    record: "Record",
    trash: "Trash",
    admin: "Admin",
    settings: "Settings",
    storage: "Storage",
    used: "{used} used",
    usedOf: "{used} of {quota} used",
  },
  signIn: {
    title: "Sign in",
    again: "Sign in again",
    againWhy: "Your session has ended. What you were doing is kept.",
    name: "Name",
    password: "Password",
    submit: "Sign in",
    wrong: "That name and password do not belong together.",
    signOut: "Sign out",
    unreachable: "The server can't be reached. Check the network and try again.",
  },
  files: {
    title: "Files",
  },
  uploads: {},
  shared: {
    title: "Shared with me",
  },
  preview: {
    title: "Preview",
  },
  record: {
    title: "Record",
  },
  share: {
    title: "Share",
  },
  versions: {
    title: "Versions",
  },
  trash: {
    title: "Trash",
  },
  admin: {
    title: "Admin",
  },
  settings: {
    title: "Settings",
  },
} as const;
