#!/bin/sh
# Takes out of the base image what a running pod never uses, and compiles Python's standard library:
# the official image comes without bytecode and nothing is written at run time, so every process of
# every pod would compile what it imports. What is left is copied into an empty image, because files
# that a later layer removes still count.
set -eu

# Installing is over: package managers, the Perl that Debian's need, Python's own.
rm -rf /usr/bin/apt* /usr/bin/dpkg* /usr/bin/deb-systemd* /usr/lib/apt /usr/lib/dpkg \
    /usr/lib/*/libapt-* /var/lib/apt /var/lib/dpkg/info /var/cache/* /etc/apt
rm -rf /usr/bin/perl* /usr/bin/*-perl* /usr/lib/*/perl* /usr/lib/*/libperl.so* /usr/share/perl*
rm -rf /usr/bin/pip* /usr/local/bin/pip* /usr/local/bin/wheel /usr/lib/python3/dist-packages \
    /usr/local/lib/python3*/site-packages/* /usr/share/python-wheels

# What people read, and converters of text that Python has itself.
rm -rf /usr/share/doc /usr/share/man /usr/share/info /usr/share/locale /usr/lib/*/gconv

for library in /usr/lib/python3.* /usr/local/lib/python3.*; do
    rm -rf "$library"/ensurepip "$library"/idlelib "$library"/lib2to3 "$library"/pydoc_data \
        "$library"/test "$library"/turtledemo
done
# /var/lib/dpkg/status stays: scanners of images read what is installed and at which version.

python -m compileall -q "$(python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')"
