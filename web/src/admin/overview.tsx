import type { JSX } from "preact";
import { health, totals, type Health, type Totals } from "../api/admin";
import { inWords } from "../errors";
import { formatNumber, formatSize } from "../format";
import { t } from "../strings";
import { en } from "../strings/en";
import { Loaded } from "./loaded";

interface Known {
  totals: Totals;
  health: Health;
}

const sum = (counts: Record<string, number>): number => Object.values(counts).reduce((all, one) => all + one, 0);

async function load(): Promise<Known> {
  const [counted, ready] = await Promise.all([
    totals(),
    health().catch((error: unknown): Health => ({ status: inWords(error), checks: {} })),
  ]);
  return { totals: counted, health: ready };
}

/** What there is on the server, and whether all of it works. */
export function Overview(): JSX.Element {
  return (
    <Loaded load={load}>
      {(known) => (
        <div class="figures">
          <HealthCard known={known.health} />
          <Figure title={t("admin.users")} value={formatNumber(known.totals.users)} />
          <Figure
            title={t("admin.storage")}
            value={formatSize(known.totals.used_bytes)}
            {...(known.totals.reserved_bytes > 0 && { more: t("admin.reserved", { size: formatSize(known.totals.reserved_bytes) }) })}
          />
          <Figure title={t("admin.files")} value={formatNumber(sum(known.totals.files))} parts={known.totals.files} />
          <Figure title={t("admin.uploads")} value={formatNumber(sum(known.totals.uploads))} parts={known.totals.uploads} />
          <Figure title={t("admin.jobs")} value={formatNumber(sum(known.totals.jobs))} parts={known.totals.jobs} />
        </div>
      )}
    </Loaded>
  );
}

function HealthCard({ known }: { known: Health }): JSX.Element {
  const good = known.status === "ok";
  return (
    <section class="card">
      <h2>{t("admin.health")}</h2>
      <p class={good ? "big good" : "bad"}>{good ? t("admin.healthy") : known.status}</p>
      <dl>
        {Object.entries(known.checks).map(([name, state]) => (
          <div key={name} class="pair">
            <dt>{name}</dt>
            <dd class={state === "ok" ? "good" : "bad"}>{state}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

function wordsFor(state: string): string {
  return Object.hasOwn(en.admin.states, state) ? t(`admin.states.${state as keyof typeof en.admin.states}`) : state;
}

interface FigureProps {
  title: string;
  value: string;
  more?: string;
  /** How many of it there are in each state. */
  parts?: Record<string, number>;
}

function Figure({ title, value, more, parts = {} }: FigureProps): JSX.Element {
  return (
    <section class="card">
      <h2>{title}</h2>
      <p class="big">{value}</p>
      {more && <p class="hint">{more}</p>}
      <dl>
        {Object.entries(parts)
          .filter(([, count]) => count > 0)
          .map(([name, count]) => (
            <div key={name} class="pair">
              <dt>{wordsFor(name)}</dt>
              <dd>{formatNumber(count)}</dd>
            </div>
          ))}
      </dl>
    </section>
  );
}
