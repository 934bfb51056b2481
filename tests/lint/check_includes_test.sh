#!/bin/sh
exec python3 tests/lint/check_includes_test.py tests/lint/check_includes.py
