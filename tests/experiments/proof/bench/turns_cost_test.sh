#!/usr/bin/env bash
exec python3 tests/experiments/proof/bench/turns_cost_test.py
