import type { JSX } from "preact";
import { underWay } from "../record/under_way";
import { t } from "../strings";
import { newVersion, takeUp } from "../worker";
import { Button } from "./button";

/** Tells of a new version of the app; it is taken up when one says so. */
export function NewVersion(): JSX.Element | null {
  if (newVersion.value === "none") return null;
  const recording = underWay.value || newVersion.value === "later";
  return (
    <div class="new-version" role="status">
      <span>{t(recording ? "app.newVersionLater" : "app.newVersion")}</span>
      {!underWay.value && <Button label={t("app.reload")} look="quiet" onClick={() => void takeUp()} />}
    </div>
  );
}
