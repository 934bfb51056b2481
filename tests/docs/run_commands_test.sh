#!/usr/bin/env bash
exec python3 tests/docs/run_commands.py "$@"
