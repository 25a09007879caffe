import type { JSX } from "preact";
import { account, session } from "./api/session";
import { PAGES } from "./pages";
import { href, route } from "./router";
import { SignIn } from "./sign_in";
import { t } from "./strings";
import { DropZone } from "./uploads/drop_zone";
import { UploadPanel } from "./uploads/panel";
import { Dialogs } from "./ui/dialog";
import { Empty, PageHead } from "./ui/page";
import { Shell } from "./ui/shell";
import { Toasts } from "./ui/toast";

export function App(): JSX.Element {
  if (session.value === "starting") return <div class="starting" />;
  if (session.value === "out") return <SignIn />;
  const expired = session.value === "expired";
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
      <Toasts />
    </>
  );
}

function CurrentPage(): JSX.Element {
  const Page = PAGES[route.value.page];
  if (Page !== undefined) return <Page key={route.value.page} />;
  return (
    <>
      <PageHead title={t("app.notFound")} />
      <Empty icon="info" title={t("app.notFound")}>
        <a href={href("files")}>{t("app.toFiles")}</a>
      </Empty>
    </>
  );
}
