/** A tag as it is shown: a key, or a key and its value. */
export const tagText = (key: string, value: string): string => (value === "" ? key : `${key}: ${value}`);
