#!/bin/sh
# The lecture names this script and does not print it: is there an nginx at all?
pidof nginx >/dev/null
