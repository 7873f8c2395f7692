/**
 * Types that a public signature mentions and no entry point exports, by package: a host can use such a signature but
 * cannot name the type. An entry that is no longer needed is reported.
 */
export const NOT_EXPORTED: Readonly<Record<string, readonly string[]>> = {}

/** Names in `{@link …}` that no entry point exports, by package: shown as text. */
export const NOT_LINKED: Readonly<Record<string, Readonly<Record<string, string>>>> = {}
