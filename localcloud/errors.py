"""Errors of localcloud's machines and network.

    LocalcloudError
    ├── HostError       the host lacks a requirement: root, a tool, a kernel feature, disk space
    ├── ImageError      an image could not be built, or has changed since the build
    ├── MachineError    a machine did not start, stop, or attach a disk
    └── NetworkError    the network could not be set up as planned

Each message names the subject, the value seen, and the next step; it includes the stderr of a failed tool.
"""

from __future__ import annotations


class LocalcloudError(Exception):
    """Base of all errors that the command prints as one message, with exit code 1."""


class HostError(LocalcloudError):
    """The host does not meet a requirement of localcloud."""


class ImageError(LocalcloudError):
    """An image could not be built, or has changed since the build."""


class MachineError(LocalcloudError):
    """A machine did not complete the requested operation."""


class NetworkError(LocalcloudError):
    """The network could not be set up as planned."""
