#!/bin/sh
/usr/sbin/keepalived --dont-fork --log-console --log-detail --use-file /etc/keepalived/keepalived.conf &
exec nginx -g "daemon off;"
