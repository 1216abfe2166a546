"""What can go wrong in localcloud's machines and network.

    LocalcloudError
    ├── HostError       this host lacks something: root, a tool, a kernel feature, disk
    ├── ImageError      an image could not be built, or is not what was built
    ├── MachineError    a machine did not start, stop, or take a disk
    └── NetworkError     the network could not be made as planned

Each message says what, where, the value seen, and what to do next; stderr of a failed tool travels with it.
"""

from __future__ import annotations


class LocalcloudError(Exception):
    """Base of everything that a person may see as one message, exit 1."""


class HostError(LocalcloudError):
    """This host lacks something that localcloud needs."""


class ImageError(LocalcloudError):
    """An image could not be built, or is not what was built."""


class MachineError(LocalcloudError):
    """A machine did not do what it was told."""


class NetworkError(LocalcloudError):
    """The network could not be made as planned."""
