// #region queue
export const connection = { url: process.env.REDIS_URL ?? 'redis://127.0.0.1:6379' }
export const QUEUE = process.env.FETCH_QUEUE ?? 'assignment-fetch'
// #endregion
