#!/bin/sh
exec python3 tests/docs/check_pages_test.py tests/docs/check_pages.py
