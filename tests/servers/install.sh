#!/bin/sh
# What tests/servers needs beside Python packages: the programs of PostgreSQL, and a Java that runs Spark. Starts nothing.
set -eu

install() {
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "$2 is not installed: install it (Debian's package is $1) or run this as root" >&2
        exit 1
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "$1" >/dev/null
}

command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || install postgresql PostgreSQL
command -v java >/dev/null || install default-jre-headless Java
