#!/bin/sh
exec python3 tests/lint/check_sources_test.py tests/lint/check_sources.py
