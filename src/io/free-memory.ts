import { MessageChannel } from 'node:worker_threads'

/** A port whose other end is closed: what is transferred to it is gone. */
const NOWHERE = closedPort()

/**
 * Frees the whole memory that `bytes` is a part of, at once: it is empty for whoever looks at it afterwards. Memory that waits for
 * V8 to be freed makes it collect its heap for every few megabytes, and is other memory, cold and to be cleared, each time.
 * Nothing of Node or the system may be about to read or write it.
 */
export function freeMemory({ buffer }: Uint8Array): void {
  if (buffer instanceof ArrayBuffer) NOWHERE.postMessage(undefined, [buffer])
}

function closedPort() {
  const { port1, port2 } = new MessageChannel()
  port2.close()
  port1.close()
  return port1
}
