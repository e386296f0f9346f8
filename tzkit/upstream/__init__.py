# SPDX-License-Identifier: MIT
"""OP-TEE's own build tree: fetched with repo, built with its makefiles, run, flashed.

``--source upstream``. What differs between boards is in their files, under ``[upstream]``; the
tree's habits that this package relies on are the same for all of them:

* ``releases``: which there are, and what changed between them
* ``tree``: where a tree is, what is known of it, who may work in it
* ``fetch``: ``repo init``, ``repo sync``, what was fetched
* ``application``: our application as one of OP-TEE's examples
* ``build``: toolchains, variables, data, ``make``
* ``run``: ``make run-only``, its ports and its monitor, a session
* ``flash``: ``make flash`` and its questions
* ``origin``: all of it behind the protocol that tasks use
"""
