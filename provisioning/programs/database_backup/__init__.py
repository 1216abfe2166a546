"""Backups of MariaDB and of the queue of audit records. Runs on nodes as /usr/local/lib/tandem/backup.

    backup create            make a backup, delete expired ones, copy to the other node and to the bucket
    backup create --local    only make a backup; that of the queue may fail
    backup restore NAME      create the lost database from a backup
    backup replace NAME [--audit-queue] [--discard]
                             replace the database by a backup (and the queue, which may repeat records), after a backup
                             of the present data; with --discard, without it
    backup serve             answer the other node: the forced command of its SSH key

A backup is NAME.sql.gz, NAME.queue if records were queued, and NAME.replaced if a restore replaced its data; NAME is
the time in UTC. A file has its final name only when it is complete, and the dump gets it last. Only `create` deletes
backups. One command at a time reads or replaces the database (commands.py). Standard library only; runs with Python
3.9.

files.py        the files of backups: names, expiry, complete files
mariadb.py      the dump of the database, and its load
audit_queue.py  the queue of audit records in Redis
copies.py       the other node and the bucket
receiver.py     the answers to the other node
commands.py     create, restore, replace
"""
