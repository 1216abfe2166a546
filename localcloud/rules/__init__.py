"""The records of the cloud and the rules for changing them. Pure: no I/O, no threads.

One file for each kind of resource holds its record, its rules (the exceptions that refuse) and the functions that
change it. The handlers that unpack requests and pack answers are in `localcloud.services`, in files of the same names.
"""
