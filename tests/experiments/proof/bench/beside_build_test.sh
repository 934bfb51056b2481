#!/usr/bin/env bash
exec python3 tests/experiments/proof/bench/beside_build_test.py
