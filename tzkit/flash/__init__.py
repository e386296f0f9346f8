# SPDX-License-Identifier: MIT
"""Flash: an SD image on a real card. What ``./inv flash`` does between build and power-on.

* ``image``: the file, and which parts of it carry data
* ``device``: what is known about the target, and why it is refused
* ``write``: writing it with bmaptool or dd, and reading it back
* ``flash``: all of it in order, with the user's word in between
"""

from tzkit.flash.flash import check_device, flash_commands, write_image

__all__ = ["check_device", "flash_commands", "write_image"]
