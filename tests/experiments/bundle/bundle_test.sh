#!/bin/sh
exec python3 tests/experiments/bundle/bundle_test.py experiments/ringmaster-bundle.tar.gz experiments/bundle/make_bundle.py "$@"
