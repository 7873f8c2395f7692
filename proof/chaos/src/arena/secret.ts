/** The library is told it as one of its `secrets`: nothing about its form would give it away. In provider errors only. */
export const SECRET = 'quiet otters of plum harbour'

/** The library is told nothing of these: what stands around each in a provider error must give it away (G7). */
export const UNTOLD_SECRETS = {
  'the token of a header': 'marmalade9teapot',
  'the value of a key': 'gooseberry4lantern',
  'the password of a URL': 'walnut7umbrella',
} as const
