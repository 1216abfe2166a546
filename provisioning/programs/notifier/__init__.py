"""Sends the events of this node to the receivers in /etc/tandem/notifications.json. Standard library only.

Events are files below EVENTS, in the order of their names. Each receiver has a queue on disk with hard links to the
events that it has not confirmed, and a separate thread, so that one that is away delays no other. An event leaves the
queue when the receiver has confirmed it: none is lost, and only a power failure between the two can repeat one. At
SIGTERM every queue is sent once more; keepalived and nginx have stopped before (tandem-notify.service).
"""
