"""The health daemon of an eligible node. Standard library only; runs with Python 3.9.

It reports to keepalived, through its track_file, whether nginx on this node answers, and takes servers that do not
answer out of use. Blocking waits and plain classes: an event loop and dataclasses would double its memory.

judgement.py   what probes mean: healthy or failed, the value of the track_file, the servers that are out
probes.py      HTTP probes over sockets that do not block
database.py    whether the database of the IAM services answers
resets.py      refuses connections to servers that are out, and destroys the open ones, over netlink
events.py      what it reports to the event recorder
files.py       the files in /run/tandem, which other programs read
daemon.py      the loop
"""
