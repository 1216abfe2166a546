"""The records of the cloud and the rules for changing them. This package does no I/O and starts no threads.

One file for each kind of resource has its record, its rules (exceptions) and the functions that change it. The
handlers that parse requests and build responses are in files of the same names in `localcloud.services`.
"""
