#!/bin/sh
exec python3 tests/experiments/proof/bundle/bundle_test.py experiments/ringmaster-bundle.tar.gz \
  experiments/proof/bundle/make_bundle.py "$@"
