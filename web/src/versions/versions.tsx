import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { contentOf, linkOf } from "../api/files";
import { account } from "../api/session";
import type { FileMetadata } from "../api/types";
import { restoreVersion, versionsOf } from "../api/versions";
import { inWords } from "../errors";
import { here } from "../files/download";
import { formatSize, formatTime } from "../format";
import { t } from "../strings";
import { Button } from "../ui/button";
import { Skeleton } from "../ui/page";
import { toast, toastProblem } from "../ui/toast";
import "../style/details.css";

/** What a file is and was, newest first: each to have again, the earlier ones to bring back. */
export function Versions({ file }: { file: FileMetadata }): JSX.Element {
  const [found, setFound] = useState<FileMetadata[] | null>(null);
  const [problem, setProblem] = useState("");
  const load = (): void => {
    versionsOf(file.id).then(setFound, (error: unknown) => setProblem(inWords(error)));
  };
  useEffect(load, [file.id, file.version]);
  const restore = async (version: number): Promise<void> => {
    try {
      const now = await restoreVersion(file.id, version);
      toast(t("versions.restored", { n: version, now: now.version }));
      load();
    } catch (error) {
      toastProblem(error);
    }
  };
  if (problem) return <p class="problem">{problem}</p>;
  if (found === null) return <Skeleton lines={2} />;
  const newest = found[0]?.version;
  return (
    <ol class="versions">
      {found.map((one) => (
        <li key={one.version}>
          <div>
            <span>{t("versions.number", { n: one.version })}</span>
            {one.version === newest && <span class="chip">{t("versions.newest")}</span>}
            <p class="hint">
              {formatTime(one.modified_at)} · {formatSize(one.size)}
            </p>
          </div>
          <Button
            label={t("versions.download", { n: one.version })}
            icon="download"
            look="quiet"
            bare
            onClick={() => void save(one, one.version === newest).catch(toastProblem)}
          />
          {one.version !== newest && account.value?.role !== "viewer" && (
            <Button label={t("versions.restore", { n: one.version })} icon="history" look="quiet" bare onClick={() => void restore(one.version)} />
          )}
        </li>
      ))}
    </ol>
  );
}

/** Have the browser save a version. Links are to what a file is now: earlier ones are fetched. */
async function save(file: FileMetadata, isNewest: boolean): Promise<void> {
  const url = isNewest ? here(await linkOf(file.id), { inline: false }) : URL.createObjectURL(await contentOf(file.id, file.version));
  const link = document.createElement("a");
  link.href = url;
  link.download = file.name;
  link.click();
  if (!isNewest) setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
