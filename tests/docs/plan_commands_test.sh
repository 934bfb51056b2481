#!/usr/bin/env bash
exec python3 tests/docs/plan_commands.py "$@"
