"""`tandem drill`: inflicts faults on a deployed group while clients outside send requests, and shows what they meet.

faults.py        the table of faults: on which node, how to inflict and undo it, whether it is safe on a real stack
requests.py      an open-loop load: each request leaves at its time, whether or not earlier ones were answered
streams.py       the requests of users of the IAM services; client.py runs them on the client's side
result.py        what the requests met: lost, slow, the longest time without an answer
site.py          how faults reach the nodes: over SSH, or through localcloud
drill.py         one fault after the other: load, fault, undo, recovery
timeline.py      requests, masters and log lines of one fault on one axis
report.py        a drill as JSON and as a table; page.py as one self-contained HTML page
"""
