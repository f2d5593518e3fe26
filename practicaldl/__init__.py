__version__ = "0.1.0"

from practicaldl.compat import install_hook as _install_hook

_install_hook()
