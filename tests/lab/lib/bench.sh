# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The benchmarks are tests/bench/run; it brings servers up by itself, one for each seed.

lab_bench() {
	packages_need LAB BUILD
	LAB=$LAB_HERE/lab exec "$LAB_TOP/tests/bench/run" "$@"
}
