/** In every provider error and nowhere else: found in a row, it was not redacted (G7). */
export const SECRET = 'sk-chaos-7f3a91c2e5d84b60'
