import type { JSX } from "preact";
import { Icon, type IconName } from "./icons";

type Props = Omit<JSX.HTMLAttributes<HTMLButtonElement>, "icon" | "label"> & {
  label: string;
  icon?: IconName;
  /** `plain` where there are many, `main` once on a page. */
  look?: "plain" | "main" | "quiet" | "danger";
  /** Only the icon is seen; the label is its name and tooltip. */
  bare?: boolean;
  disabled?: boolean;
  type?: "button" | "submit";
};

export function Button({ label, icon, look = "plain", bare, class: more, type = "button", ...rest }: Props): JSX.Element {
  const looks = `button ${look} ${bare ? "bare" : ""} ${(more as string | undefined) ?? ""}`;
  return (
    <button {...rest} type={type} class={looks} {...(bare && { "aria-label": label, title: label })}>
      {icon && <Icon name={icon} />}
      {!bare && <span>{label}</span>}
    </button>
  );
}
