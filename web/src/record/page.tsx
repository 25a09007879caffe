import { useSignalEffect } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { account, session } from "../api/session";
import { href } from "../router";
import { t } from "../strings";
import "../style/record.css";
import { Button } from "../ui/button";
import { Icon } from "../ui/icons";
import { PageHead } from "../ui/page";
import { online } from "../ui/shell";
import { chooseCopies, keepsCopies, measureRoom } from "./keeping";
import { Kept } from "./kept";
import { Recorder } from "./recorder_card";
import { sendAnew } from "./sending";
import { adopt, findCutOff, onChange, recordingsOf, type Recording } from "./store";

/** Record, and see what waits here. Works without network, and before one has signed in. */
export default function RecordPage(): JSX.Element {
  const [recordings, setRecordings] = useState<Recording[]>([]);
  const [unowned, setUnowned] = useState(0);
  const [copies, setCopies] = useState(keepsCopies());
  const owner = account.value?.id ?? "";
  const read = (): void => {
    void recordingsOf(owner).then(setRecordings);
    void recordingsOf("").then((found) => setUnowned(owner === "" ? 0 : found.length));
  };
  useEffect(() => {
    read();
    void findCutOff(owner);
    void measureRoom();
    return onChange(read);
  }, [owner]);
  useSignalEffect(() => {
    if (session.value === "in") read();
  });
  return (
    <div class="record">
      <PageHead title={t("record.title")}>
        {account.value !== null && (
          <a class="button quiet" href={href("files", ["recordings"])}>
            <Icon name="folder" /> {t("record.onServer")}
          </a>
        )}
      </PageHead>
      {session.value !== "in" && (
        <p class="banner" role="status">
          <Icon name="lock" />
          <span>
            {t("record.signedOut")} {online.value && <a href={href("record")}>{t("signIn.submit")}</a>}
          </span>
        </p>
      )}
      {unowned > 0 && (
        <div class="banner" role="status">
          <Icon name="info" />
          <span>{t("record.unowned", { n: unowned })}</span>
          <Button label={t("record.adopt")} onClick={() => void adopt(owner).then(sendAnew)} />
        </div>
      )}
      <Recorder />
      <section aria-labelledby="kept-here">
        <h2 id="kept-here">{t("record.here")}</h2>
        <Kept recordings={recordings.filter((one) => one.state !== "recording")} />
        <label class="choice">
          <input
            type="checkbox"
            checked={copies}
            onChange={(event) => {
              chooseCopies(event.currentTarget.checked);
              setCopies(event.currentTarget.checked);
            }}
          />
          <span>{t("record.keepCopies")}</span>
        </label>
      </section>
    </div>
  );
}
