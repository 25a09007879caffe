import type { JSX } from "preact";
import { t } from "../strings";
import { Button } from "../ui/button";
import { Menu } from "../ui/menu";
import { UploadButton } from "../uploads/button";
import type { Target } from "../uploads/queue";
import { newFolder } from "./actions";
import type { Listing } from "./listing";
import { order, showAs, sortBy, view } from "./view";

const KEYS = ["name", "modified", "size", "created"] as const;

/** In which order, and as a grid or a list. */
export function ViewTools({ sorts }: { sorts: boolean }): JSX.Element {
  const asGrid = view.value === "grid";
  const items = KEYS.map((key) => ({
    label: t(`files.by.${key}`),
    checked: order.value.by === key,
    run: () => sortBy(key),
  }));
  const direction = order.value.descending ? t("files.descending") : t("files.ascending");
  return (
    <>
      {sorts && <Menu label={t("files.sortedBy", { by: t(`files.by.${order.value.by}`), direction })} icon="sort" items={items} />}
      <Button
        label={asGrid ? t("files.asList") : t("files.asGrid")}
        icon={asGrid ? "list" : "grid"}
        look="quiet"
        bare
        onClick={() => showAs(asGrid ? "list" : "grid")}
      />
    </>
  );
}

/** How new things come here. */
export function NewThings({ listing, target }: { listing: Listing; target: Target }): JSX.Element {
  return (
    <>
      <Button label={t("files.newFolder")} icon="add" class="new-folder" onClick={() => newFolder(listing)} />
      <UploadButton target={target} />
    </>
  );
}
