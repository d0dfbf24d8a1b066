// Reading that is wished for more often than it can be done.

/**
 * Call *read* now, and once more for any number of wishes that come while it runs.
 *
 * @param {() => Promise<void>} read
 */
export function oneAtATime(read) {
  /** @type {Promise<void> | null} */
  let running = null;
  let again = false;
  async function run() {
    do {
      again = false;
      await read();
    } while (again);
    running = null;
  }
  return () => {
    if (running) again = true;
    else running = run();
    return running;
  };
}
