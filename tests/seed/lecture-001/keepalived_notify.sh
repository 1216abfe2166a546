#!/bin/sh
# The lecture names this script and does not print it, but prints what it writes: "[2020-10-14 14:01:52] notify_master".
state=$(echo "$1" | tr '[:upper:]' '[:lower:]')
echo "[$(date '+%Y-%m-%d %H:%M:%S')] notify_$state" >>/var/log/keepalived.log
