import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { onEvent } from "../api/events";
import type { FileMetadata } from "../api/types";
import { readFile, type Tagged } from "../api/versions";
import { inWords } from "../errors";
import { formatNumber, formatSize, formatTime } from "../format";
import { t } from "../strings";
import { Problem, Skeleton } from "../ui/page";
import { Versions } from "../versions/versions";
import { EditedTags } from "./tags";
import "../style/details.css";

/** What is known of a file, its tags and its versions; it follows what happens elsewhere. */
export function Details({ id }: { id: string }): JSX.Element {
  const [known, setKnown] = useState<Tagged | null>(null);
  const [work, setWork] = useState<Record<string, string>>({});
  const [problem, setProblem] = useState<string | null>(null);
  const load = (): void => {
    setProblem(null);
    readFile(id).then(setKnown, (error: unknown) => setProblem(inWords(error)));
  };
  useEffect(load, [id]);
  useEffect(
    () =>
      onEvent(({ type, data }) => {
        if (type !== "reset" && data.file_id !== id) return;
        const [family, state] = type.split(".");
        if (family === "job") setWork((before) => workAfter(before, String(data.job_id), String(data.kind), state));
        // What was downloaded or is being worked on is the same file.
        if (family !== "job" && type !== "file.downloaded") load();
      }),
    [id],
  );
  if (known === null) return problem === null ? <Skeleton /> : <Problem text={problem} retry={load} />;
  const { file } = known;
  return (
    <div class="details">
      <h3>{t("details.title")}</h3>
      <Facts file={file} />
      {Object.keys(work).length > 0 && (
        <p class="hint" role="status">
          {t("details.working", { what: [...new Set(Object.values(work))].join(", ") })}
        </p>
      )}
      <h3>{t("details.tags")}</h3>
      <EditedTags known={known} changed={setKnown} />
      <h3>{t("versions.title")}</h3>
      <Versions file={file} />
    </div>
  );
}

/** The jobs under way after one of them is in another state; by its id, what it does. */
function workAfter(before: Record<string, string>, id: string, kind: string, state: string | undefined): Record<string, string> {
  const { [id]: _, ...others } = before;
  return state === "pending" || state === "running" ? { ...others, [id]: kind } : others;
}

function Facts({ file }: { file: FileMetadata }): JSX.Element {
  const rows: [string, string][] = [
    [t("details.folder"), file.folder === "" ? t("details.top") : file.folder],
    [t("details.size"), `${formatSize(file.size)} (${t("details.bytes", { bytes: formatNumber(file.size) })})`],
    [t("details.type"), file.mime_type ?? t("preview.unknownType")],
    [t("details.added"), formatTime(file.created_at)],
    [t("details.modified"), formatTime(file.modified_at)],
    [t("details.scan"), t(`details.scans.${file.scan_state}`)],
  ];
  if (file.scan_detail !== null) rows.push([t("details.found"), file.scan_detail]);
  const digests = [file.checksum, file.crc32, ...(file.sha256 === null ? [] : [file.sha256])];
  return (
    <dl>
      {rows.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
      {digests.map((digest) => {
        const [algorithm = "", value = ""] = digest.split(":");
        return (
          <div key={algorithm}>
            <dt>{ALGORITHMS[algorithm] ?? algorithm}</dt>
            <dd class="digest">{value}</dd>
          </div>
        );
      })}
    </dl>
  );
}

const ALGORITHMS: Record<string, string> = { crc64nvme: "CRC-64/NVME", crc32: "CRC-32", sha256: "SHA-256" };
