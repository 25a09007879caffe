import type { JSX } from "preact";
import { request } from "../../api/client";
import { formatSize } from "../../format";
import { t } from "../../strings";
import { Skeleton } from "../../ui/page";
import { Facts } from "./facts";
import { useLoading } from "./loading";
import type { ShownProps } from "./stage";

const MOST_BYTES = 256 << 10;

/** The beginning of a text, as it is written: markup is shown, not followed. */
export function Text({ file }: ShownProps): JSX.Element {
  const { found, problem } = useLoading(async (signal) => {
    if (file.size === 0) return "";
    const headers = { Range: `bytes=0-${MOST_BYTES - 1}` };
    const answer = await request("GET", `api/files/${file.id}/download`, {
      query: { redirect: false },
      headers,
      signal,
    });
    return new TextDecoder().decode(await answer.arrayBuffer());
  }, [file.id]);
  if (problem !== null) return <Facts file={file} why={problem} />;
  if (found === null) return <Skeleton />;
  return (
    <div class="text scrolls" tabIndex={0} role="region" aria-label={file.name}>
      <pre>{found}</pre>
      {file.size > MOST_BYTES && <p class="hint">{t("preview.beginning", { size: formatSize(MOST_BYTES) })}</p>}
    </div>
  );
}
