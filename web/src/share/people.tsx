import type { JSX } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { ApiError } from "../api/client";
import { account } from "../api/session";
import { grant, permissionsOf, revoke, type Level, type Permission, type Whom } from "../api/shares";
import { inWords } from "../errors";
import { t } from "../strings";
import { Button } from "../ui/button";
import { Icon } from "../ui/icons";
import { Skeleton } from "../ui/page";

interface Props {
  place: "files" | "folders";
  id: string;
}

const LEVELS: Level[] = ["read", "write", "share", "owner"];
const KINDS = ["user", "everybody", "role:user", "role:viewer", "role:admin"] as const;
type Kind = (typeof KINDS)[number];

/** Who may do what with a file or folder; its owners grant it and take it back. */
export function People({ place, id }: Props): JSX.Element {
  const [found, setFound] = useState<Permission[] | null>(null);
  const [problem, setProblem] = useState("");
  const [kind, setKind] = useState<Kind>("user");
  const [level, setLevel] = useState<Level>("read");
  const name = useRef<HTMLInputElement>(null);
  const [whomId, nameId, levelId] = [useId(), useId(), useId()];
  const run = async (work: () => Promise<Permission[]>): Promise<boolean> => {
    setProblem("");
    try {
      setFound(await work());
      return true;
    } catch (error) {
      setProblem(error instanceof ApiError && error.status === 403 ? t("share.ownersAlone") : inWords(error));
      return false;
    }
  };
  useEffect(() => void run(() => permissionsOf(place, id)), [id]);
  const add = async (): Promise<void> => {
    const whom = whomOf(kind, name.current?.value.trim() ?? "");
    if (whom.user === "") return name.current?.focus();
    if ((await run(() => grant(place, id, whom, level))) && name.current) name.current.value = "";
  };
  const remove = (one: Permission): void =>
    void run(async () => {
      const whom: Whom = one.everybody ? { everybody: true } : one.role ? { role: one.role } : { user: one.user_id ?? "" };
      await revoke(place, id, whom);
      return permissionsOf(place, id);
    });
  return (
    <>
      <h3>{t("share.people")}</h3>
      {found === null && !problem && <Skeleton lines={1} />}
      {found !== null && (
        <ul aria-label={t("share.people")}>
          {found.map((one, n) => (
            <li key={n}>
              <Icon name={one.user === null ? "people" : "user"} />
              <div>
                <p>{nameOf(one)}</p>
                <p class="hint">
                  {t(`share.levels.${one.permission}`)}
                  {one.inherited_from !== null && ` · ${t("share.inherited")}`}
                </p>
              </div>
              {n > 0 && one.inherited_from === null && (
                <Button label={t("share.removeOf", { name: nameOf(one) })} icon="close" look="quiet" bare onClick={() => remove(one)} />
              )}
            </li>
          ))}
        </ul>
      )}
      <div
        class="row"
        onKeyDown={(event) => {
          if (event.key !== "Enter" || !(event.target instanceof HTMLInputElement)) return;
          event.preventDefault();
          void add();
        }}
      >
        <label class="field" for={whomId}>
          <span>{t("share.with")}</span>
          <select id={whomId} value={kind} onChange={(event) => setKind(event.currentTarget.value as Kind)}>
            {KINDS.map((one) => (
              <option key={one} value={one}>
                {t(`share.kinds.${one.replace(":", "_") as "user" | "everybody" | "role_user" | "role_viewer" | "role_admin"}`)}
              </option>
            ))}
          </select>
        </label>
        {kind === "user" && (
          <label class="field" for={nameId}>
            <span>{t("share.userName")}</span>
            <input id={nameId} ref={name} type="text" maxLength={300} autocomplete="off" autocapitalize="none" />
          </label>
        )}
        <label class="field" for={levelId}>
          <span>{t("share.may")}</span>
          <select id={levelId} value={level} onChange={(event) => setLevel(event.currentTarget.value as Level)}>
            {LEVELS.map((one) => (
              <option key={one} value={one}>
                {t(`share.levels.${one}`)}
              </option>
            ))}
          </select>
        </label>
        <Button label={t("share.grant")} icon="add" onClick={() => void add()} />
      </div>
      {problem && (
        <p class="problem" role="alert">
          {problem}
        </p>
      )}
    </>
  );
}

function whomOf(kind: Kind, name: string): Whom {
  if (kind === "user") return { user: name };
  return kind === "everybody" ? { everybody: true } : { role: kind.slice("role:".length) };
}

function nameOf(one: Permission): string {
  if (one.everybody) return t("share.kinds.everybody");
  if (one.role !== null) return t(`share.kinds.role_${one.role as "user" | "viewer" | "admin"}`);
  const own = one.user_id === account.value?.id ? ` ${t("share.you")}` : "";
  return `${one.user ?? t("share.gone")}${own}`;
}
