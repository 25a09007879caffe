import type { JSX } from "preact";
import { account, session } from "./api/session";
import { PAGES } from "./pages";
import { RecordingUnderWay, underWay } from "./record/under_way";
import { href, route } from "./router";
import { SignIn } from "./sign_in";
import { t } from "./strings";
import { DropZone } from "./uploads/drop_zone";
import { UploadPanel } from "./uploads/panel";
import { Dialogs } from "./ui/dialog";
import { NewVersion } from "./ui/new_version";
import { Empty, PageHead } from "./ui/page";
import { online, Shell } from "./ui/shell";
import { Toasts } from "./ui/toast";

export function App(): JSX.Element {
  if (session.value === "starting") return <div class="starting" />;
  if (session.value === "out") return needsNobody() ? <Alone /> : <Outside />;
  const expired = session.value === "expired" && !needsNobody();
  return (
    <>
      {/* What one was doing stays while one signs in again. */}
      <div class="whole" inert={expired} key={account.value?.id}>
        <Shell>
          <CurrentPage />
        </Shell>
        <UploadPanel />
        <DropZone />
        <Dialogs />
      </div>
      {expired && (
        <div class="over">
          <SignIn />
        </div>
      )}
      {route.value.page !== "record" && <RecordingUnderWay />}
      <NewVersion />
      <Toasts />
    </>
  );
}

/** Whether one may record before one signs in: what is made is kept here, and sent later. */
function needsNobody(): boolean {
  const { page, query } = route.value;
  return page === "record" && (query.has("alone") || underWay.value || !online.value);
}

function Outside(): JSX.Element {
  return (
    <>
      <SignIn />
      <RecordingUnderWay />
    </>
  );
}

/** The recorder alone, while nobody has signed in. */
function Alone(): JSX.Element {
  return (
    <>
      <main id="main" class="alone">
        <CurrentPage />
      </main>
      <Dialogs />
      <Toasts />
    </>
  );
}

function CurrentPage(): JSX.Element {
  const { page } = route.value;
  const Page = Object.hasOwn(PAGES, page) ? PAGES[page] : undefined;
  if (Page !== undefined) return <Page key={page} />;
  return (
    <>
      <PageHead title={t("app.notFound")} />
      <Empty icon="info" title={t("app.notFound")}>
        <a href={href("files")}>{t("app.toFiles")}</a>
      </Empty>
    </>
  );
}
