#!/bin/sh
pidof nginx >/dev/null
