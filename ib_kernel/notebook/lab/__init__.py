"""What JupyterLab shows of an interview beside its cells: the extension's files, and the kernel's half."""
