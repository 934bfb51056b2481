#!/usr/bin/env bash
RINGMASTER=$PWD/$1 exec python3 tests/experiments/proof/bench/simulation_pace_test.py
