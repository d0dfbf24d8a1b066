// What JupyterLab loads: a module-federation container written by hand, so that nothing has to be built.
// JupyterLab runs this file as a script and hands over the modules that it shares; the rest are ES modules
// beside this file. Where a JupyterLab lacks what we need, there are no plugins and the page works as before.

(() => {
  const script = /** @type {HTMLScriptElement} */ (document.currentScript);
  const beside = (/** @type {string} */ name) => new URL(name, script.src).href;
  const NAMES = /** @type {const} */ ({
    notebook: "@jupyterlab/notebook",
    statusbar: "@jupyterlab/statusbar",
    apputils: "@jupyterlab/apputils",
    lumino: "@lumino/widgets",
  });
  /** @type {Record<string, Record<string, { get: () => Promise<() => any> }>>} */
  let scope = {};

  /**
   * Return a module that JupyterLab shares, null where it has none of that name.
   *
   * @param {string} name
   */
  async function shared(name) {
    const [version] = Object.values(scope[name] ?? {});
    return version ? (await version.get())() : null;
  }

  function addStyles() {
    const link = document.createElement("link");
    link.rel = "stylesheet";
    link.href = beside("style.css");
    document.head.append(link);
  }

  async function plugins() {
    const modules = Object.fromEntries(
      await Promise.all(Object.entries(NAMES).map(async ([key, name]) => [key, await shared(name)])),
    );
    if (!modules.notebook || !modules.lumino) return [];
    addStyles();
    const { makePlugins } = await import(beside("main.js"));
    return makePlugins(modules);
  }

  const page = /** @type {any} */ (window);
  page._JUPYTERLAB = page._JUPYTERLAB ?? {};
  page._JUPYTERLAB["interview-buddy"] = {
    init: async (/** @type {typeof scope} */ given) => {
      scope = given;
    },
    get: async () => {
      const found = await plugins();
      return () => ({ __esModule: true, default: found });
    },
  };
})();
