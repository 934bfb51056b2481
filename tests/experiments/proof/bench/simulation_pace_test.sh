#!/usr/bin/env bash
exec python3 tests/experiments/proof/bench/simulation_pace_test.py
