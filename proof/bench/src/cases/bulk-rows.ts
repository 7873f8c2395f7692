/** Jobs per statement of the bulk limit. */
export const BULK_ROWS = 256
