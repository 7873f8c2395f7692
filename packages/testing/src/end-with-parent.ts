/** Preloaded into worker processes: stdin is a pipe from the parent and closes however the parent dies. */
process.stdin.on('end', () => process.exit(1))
process.stdin.on('error', () => process.exit(1))
process.stdin.resume()
if ('unref' in process.stdin) process.stdin.unref()
