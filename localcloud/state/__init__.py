"""The records of the cloud and the rules they obey: what may be, and what a request turns it into.

`Cloud` (cloud.py) owns the records; one file for each kind of resource holds its record, its rules
(the exceptions that refuse) and the functions that change it. The handlers that unpack requests and
pack answers are in `localcloud.services`, in files of the same names.
"""

from localcloud.state.cloud import Cloud
from localcloud.state.timing import REALISTIC, SHORT, Timing

__all__ = ["REALISTIC", "SHORT", "Cloud", "Timing"]
