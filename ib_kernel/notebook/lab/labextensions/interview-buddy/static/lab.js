// The little of JupyterLab's interfaces that the extension uses, as types for the checker.

/**
 * @template Sender, Args
 * @typedef {object} Signal
 * @property {(slot: (sender: Sender, args: Args) => void) => boolean} connect
 * @property {(slot: (sender: Sender, args: Args) => void) => boolean} disconnect
 */

/**
 * One cell's content, as JupyterLab keeps it.
 *
 * @typedef {object} CellModel
 * @property {string} type "code", "markdown" or "raw"
 * @property {string} id
 * @property {string} mimeType
 * @property {{ getSource: () => string }} sharedModel
 * @property {Signal<CellModel, unknown>} contentChanged
 * @property {Signal<CellModel, unknown>} mimeTypeChanged
 */

/**
 * @typedef {object} CellList
 * @property {Signal<CellList, unknown>} changed
 * @property {() => Iterator<CellModel>} [Symbol.iterator]
 */

/**
 * @typedef {object} NotebookModel
 * @property {CellList & Iterable<CellModel>} cells
 * @property {{ insertCell: (index: number, cell: object) => unknown }} sharedModel
 */

/**
 * What stands under a cell; a Markdown cell has none.
 *
 * @typedef {{ widgets: readonly { node: HTMLElement }[], model: { get: (i: number) => { data: Record<string, unknown> } } }} OutputArea
 */

/** @typedef {{ outputArea?: OutputArea }} CellWidget */
/** @typedef {{ node: HTMLElement, renderModel: (model: object) => Promise<void> }} Renderer */

/**
 * The notebook inside its panel.
 *
 * @typedef {object} Notebook
 * @property {HTMLElement} node
 * @property {CellWidget[]} widgets
 * @property {{ createRenderer: (type: string) => Renderer }} rendermime
 * @property {NotebookModel | null} model
 * @property {string} codeMimetype
 * @property {{ model: CellModel } | null} activeCell
 * @property {number} activeCellIndex
 * @property {() => void} deselectAll
 * @property {Signal<Notebook, unknown>} modelChanged
 * @property {Signal<Notebook, unknown>} activeCellChanged
 */

/**
 * @typedef {object} Comm
 * @property {string} commId
 * @property {boolean} isDisposed
 * @property {(data: any) => unknown} send
 * @property {(message: { content: { data: any } }) => void} onMsg
 * @property {() => void} onClose
 */

/**
 * @typedef {object} Kernel
 * @property {string} id
 * @property {string} status
 * @property {string} connectionStatus
 * @property {boolean} isDisposed
 * @property {(target: string, id?: string) => Comm} createComm
 * @property {(content: { target_name: string }) => Promise<{ content: { status: string, comms?: Record<string, unknown> } }>} requestCommInfo
 * @property {() => Promise<void>} interrupt
 * @property {Signal<Kernel, string>} statusChanged
 * @property {Signal<Kernel, unknown>} iopubMessage
 * @property {Signal<Kernel, string>} connectionStatusChanged
 */

/**
 * @typedef {object} SessionContext
 * @property {{ kernel: Kernel | null } | null} session
 * @property {Signal<SessionContext, unknown>} kernelChanged
 * @property {Signal<SessionContext, unknown>} statusChanged
 */

/**
 * @typedef {object} NotebookPanel
 * @property {Notebook} content
 * @property {SessionContext} sessionContext
 * @property {boolean} isDisposed
 * @property {Signal<NotebookPanel, unknown>} disposed
 */

/**
 * @typedef {object} Tracker
 * @property {NotebookPanel | null} currentWidget
 * @property {Signal<Tracker, NotebookPanel>} widgetAdded
 * @property {Signal<Tracker, NotebookPanel | null>} currentChanged
 * @property {(act: (panel: NotebookPanel) => void) => void} forEach
 */

/**
 * @typedef {object} Widget
 * @property {string} id
 * @property {HTMLElement} node
 * @property {{ label: string, caption: string, closable?: boolean }} title
 * @property {boolean} isVisible
 * @property {() => void} hide
 * @property {() => void} show
 * @property {(name: string) => void} addClass
 */

/** @typedef {new (options?: { node?: HTMLElement }) => Widget} WidgetClass */

/**
 * @typedef {object} App
 * @property {{ addCommand: (id: string, options: object) => unknown, execute: (id: string) => unknown }} commands
 * @property {{ add: (widget: Widget, area: string, options?: object) => void, activateById: (id: string) => void }} shell
 */

/** @typedef {{ registerStatusItem: (id: string, options: object) => unknown }} StatusBar */
/** @typedef {{ addItem: (options: object) => unknown }} Palette */

/** @typedef {{ run: (notebook: Notebook, session?: SessionContext) => unknown }} NotebookActions */

/**
 * What JupyterLab shares with its extensions, as far as we use it.
 *
 * @typedef {object} Shared
 * @property {{ INotebookTracker: unknown, NotebookActions: NotebookActions }} notebook
 * @property {{ IStatusBar: unknown } | null} statusbar
 * @property {{ ICommandPalette: unknown } | null} apputils
 * @property {{ Widget: WidgetClass }} lumino
 */

export {};
