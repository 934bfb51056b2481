#!/usr/bin/env bash
exec python3 tests/cluster/report_page_test.py experiments/ringmaster
