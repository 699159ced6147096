# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# All tests: natively with two compilers, fuzzing, and the end-to-end tests on the server. The first two run
# beside the last, which do not use both CPUs all the time; when they have ended, a second server takes tests
# from the other end of the list.
#
# Logs are in CHECK_LOG. A failure is shown where it happens, and named again at the end.

CHECK_PASSED=0 CHECK_FAILED=0 CHECK_SKIPPED=0 CHECK_FAILURES=()
# Limits of time for tests that hang; no test is judged by its speed.
CHECK_UNIT_SECONDS=${CHECK_UNIT_SECONDS:-300}
CHECK_E2E_SECONDS=${CHECK_E2E_SECONDS:-1500}
CHECK_FUZZ_SECONDS=${CHECK_FUZZ_SECONDS:-5}
CHECK_LOG='' CHECK_PARTS='' # folders

check_pass() {
	CHECK_PASSED=$((CHECK_PASSED + 1))
	say "PASS: $*"
}

check_fail() {
	CHECK_FAILED=$((CHECK_FAILED + 1))
	CHECK_FAILURES+=("$*")
	say "FAIL: $*"
}

check_skip() {
	CHECK_SKIPPED=$((CHECK_SKIPPED + 1))
	say "SKIP: $*"
}

# check_one NAME CMD...: a test that is one command.
check_one() {
	local name=$1
	shift
	if logged "$CHECK_LOG/check-$name.log" "$@"; then
		check_pass "$name"
	else
		check_fail "$name"
	fi
}

# check_native NAME CONFIGURE-ARG...: `make check` of one configuration on this machine.
check_native() {
	local name=$1 log=$CHECK_LOG/build-$1-check.log suite=$LAB_DIR/build/$1/test-suite.log line
	shift
	attempt build_tree "$name" all "$@" --enable-werror --enable-sanitizers
	if ((ATTEMPT)); then
		check_fail "$name: build"
		return
	fi
	say "$name: make check"
	make -C "$LAB_DIR/build/$name" -k -j "$(nproc)" check \
		LOG_COMPILER="timeout -k 10 $CHECK_UNIT_SECONDS" >"$log" 2>&1 </dev/null || true
	# The harness prints one line a test, and its totals only if all test programs could be built.
	if ! grep -q '^# TOTAL:' "$log"; then
		tail -n 40 "$log"
		check_fail "$name: building the tests"
		return
	fi
	while IFS= read -r line; do
		case $line in
		PASS:* | XFAIL:*) CHECK_PASSED=$((CHECK_PASSED + 1)) ;;
		SKIP:*) check_skip "$name: ${line#*: }" ;;
		*) check_fail "$name: ${line#*: }" ;;
		esac
	done < <(grep -E '^(PASS|XFAIL|SKIP|FAIL|XPASS|ERROR): ' "$log")
	grep -qE '^# (FAIL|ERROR): +[1-9]' "$log" && tail -n 200 "$suite"
	say "$name: $(sed -n 's/^# \(TOTAL\|PASS\|SKIP\|FAIL\): */\1 /p' "$log" | paste -sd, -)"
}

# check_fuzz: replay each corpus, then fuzz each target for a while.
check_fuzz() {
	local log=$CHECK_LOG/build-fuzz-fuzz.log line
	attempt build_tree fuzz all CC=clang --enable-fuzz
	if ((ATTEMPT)); then
		check_fail "fuzz: build"
		return
	fi
	say "fuzz: $CHECK_FUZZ_SECONDS s a target"
	while IFS= read -r line; do
		case $line in
		PASS:*) check_pass "${line#*: }" ;;
		FAIL:*) check_fail "${line#*: }" ;;
		esac
	done < <(make -C "$LAB_DIR/build/fuzz" -j "$(nproc)" fuzz FUZZ_SECONDS="$CHECK_FUZZ_SECONDS" \
		</dev/null 2>&1 | tee "$log")
	if ! grep -qE '^PASS: ' "$log" || grep -q '^FAIL: ' "$log"; then
		tail -n 60 "$log"
		grep -qE '^(PASS|FAIL): ' "$log" || check_fail "fuzz: building the targets"
	fi
}

# check_payloads: the bare-metal payloads under QEMU's emulation. What they demand of a machine is to be what
# machines do, and not what hvd happens to do.
check_payloads() {
	qemu_get
	PATH=$REPLY:$PATH make -C "$LAB_DIR/src/tests/guest" O="$LAB_DIR/payloads" check
}

# check_kvm_units: the unit tests that need KVM, cross-built and run on the server.
check_kvm_units() {
	local dir=/usr/local/lib/hvd-tests rc=0 log=$CHECK_LOG/test-vmm.log
	lab_exec env LD_LIBRARY_PATH="$dir" timeout -k 30 "$CHECK_E2E_SECONDS" "$dir/test-vmm" \
		</dev/null >"$log" 2>&1 || rc=$?
	if ((rc == 0)); then
		check_pass "server: tests/unit/test-vmm"
	else
		tail -n 60 "$log"
		check_fail "server: tests/unit/test-vmm (status $rc)"
	fi
}

# check_parts: build what tests need on a server beside hvd, into CHECK_PARTS: the bare-metal payloads, and
# unit tests with their library, which nothing else there wants.
check_parts() {
	rm -rf "$CHECK_PARTS"
	mkdir -p "$CHECK_PARTS/guest"
	sysroot_get
	make -C "$LAB_DIR/src/tests/guest" O="$CHECK_PARTS/guest"
	make -C "$LAB_DIR/build/cross" tests/unit/test-vmm tests/unit/test-hotplug
	cp "$LAB_DIR"/build/cross/tests/unit/test-{vmm,hotplug} "$CHECK_PARTS"
	cp "$(realpath "$REPLY"/root/usr/lib/*/libcmocka.so.0)" "$CHECK_PARTS/libcmocka.so.0"
}

# check_equip: put the tests and their parts onto the server.
check_equip() {
	lab_exec rm -rf /root/e2e </dev/null
	lab_exec mkdir -p /usr/local/lib/hvd-tests </dev/null
	lab_put "$LAB_HERE/e2e" /root/e2e
	tar -C "$CHECK_PARTS" -c . | lab_exec tar -C /usr/local/lib/hvd-tests -x
}

# check_take END: REPLY is the test at that end (head, tail) of the list of those that nobody has taken yet;
# fails when there is none.
check_take() {
	local queue=$CHECK_LOG/e2e.queue lock
	exec {lock}>"$queue.lock"
	flock "$lock"
	REPLY=$("$1" -n 1 "$queue")
	if [[ $1 == head ]]; then
		sed -i 1d "$queue"
	else
		sed -i '$d' "$queue"
	fi
	exec {lock}>&-
	[[ $REPLY ]]
}

# check_e2e_test TEST [NOTE]: one of them, on the server of LAB_DIR; NOTE is a word on what is special of that.
check_e2e_test() {
	local name=$1${2:+ $2} log=$CHECK_LOG/e2e-$1${2:+-$2}.log rc=0 t0=$SECONDS
	lab_exec timeout -k 30 "$CHECK_E2E_SECONDS" bash "/root/e2e/$1.sh" \
		</dev/null >"$log" 2>&1 || rc=$?
	case $rc in
	0) check_pass "e2e $name ($((SECONDS - t0)) s)" ;;
	77) check_skip "e2e $name: $(tail -n 1 "$log")" ;;
	*)
		tail -n 100 "$log"
		((rc != 124)) || rc="124, the limit of $CHECK_E2E_SECONDS s"
		check_fail "e2e $name (status $rc, $((SECONDS - t0)) s)"
		;;
	esac
}

# check_e2e END: tests from that end of the list.
check_e2e() {
	while check_take "$1"; do
		check_e2e_test "$REPLY"
	done
}

first_up() {
	lab_up
	logged "$CHECK_LOG/build-parts.log" check_parts
	check_equip
}

# check_first_server: every tests/lab/e2e/NN-*.sh, less what the second server takes. The list is empty when
# this server cannot do any.
check_first_server() {
	attempt first_up
	if ((ATTEMPT)); then
		: >"$CHECK_LOG/e2e.queue"
		check_fail "the server does not come up with hvd running and what tests need"
		return
	fi
	(cd "$LAB_HERE/e2e" && printf '%s\n' [0-9]*.sh | sed 's/\.sh$//') >"$CHECK_LOG/e2e.queue.new"
	mv "$CHECK_LOG/e2e.queue.new" "$CHECK_LOG/e2e.queue"
	check_kvm_units
	check_e2e head
}

second_up() {
	local dest=$LAB_DIR/dest
	LAB_DIR=$LAB_DIR/second
	lab_up --bare --flavour ceph
	server_install "$dest"
	check_equip
}

# check_second_server: when the first has installed hvd and made the list. It has Ceph beside.
check_second_server() {
	until [[ -e $CHECK_LOG/e2e.queue ]]; do
		kill -0 $$ || return 0
		sleep 1
	done
	attempt second_up
	if ((ATTEMPT)); then
		check_fail "the second server does not come up with hvd running and what tests need"
		return
	fi
	LAB_DIR=$LAB_DIR/second
	check_e2e_test 43-ceph cluster
	check_e2e tail
}

check_beside() {
	renice -n 19 -p "$BASHPID" >/dev/null
	check_native gcc CC=gcc
	check_native clang CC=clang
	check_fuzz
	check_one payloads check_payloads
	renice -n 0 -p "$BASHPID" >/dev/null
	check_second_server
}

# check_aside CMD...: run CMD beside what follows; its output is kept.
CHECK_ASIDE=
# shellcheck disable=SC2030 # the sums go through a file
check_aside() {
	(
		CHECK_PASSED=0 CHECK_FAILED=0 CHECK_SKIPPED=0 CHECK_FAILURES=()
		"$@"
		printf 'CHECK_PASSED=%d CHECK_FAILED=%d CHECK_SKIPPED=%d CHECK_FAILURES=(%s)\n' "$CHECK_PASSED" \
			"$CHECK_FAILED" "$CHECK_SKIPPED" "${CHECK_FAILURES[*]@Q}" >"$CHECK_LOG/aside.sums"
	) >"$CHECK_LOG/aside.log" 2>&1 &
	CHECK_ASIDE=$!
}

# check_join: wait for it, show what it said, and add its sums.
# shellcheck disable=SC2031
check_join() {
	local passed=$CHECK_PASSED failed=$CHECK_FAILED skipped=$CHECK_SKIPPED failures=("${CHECK_FAILURES[@]}")
	wait "$CHECK_ASIDE" || true
	cat "$CHECK_LOG/aside.log"
	# shellcheck source=/dev/null
	if ! . "$CHECK_LOG/aside.sums"; then
		check_fail "the native tests, or those of the second server, did not come to their end"
		return
	fi
	CHECK_PASSED=$((CHECK_PASSED + passed)) CHECK_FAILED=$((CHECK_FAILED + failed))
	CHECK_SKIPPED=$((CHECK_SKIPPED + skipped))
	CHECK_FAILURES=("${failures[@]}" "${CHECK_FAILURES[@]}")
}

lab_check() {
	local failure
	(($# == 0)) || usage
	# One stream, so that the last line is the last.
	exec 2>&1
	packages_need LAB BUILD CHECK
	CHECK_LOG=$LAB_DIR/log CHECK_PARTS=$LAB_DIR/parts
	rm -f "$LAB_DIR"/log/{aside.sums,e2e.queue}
	mkdir -p "$LAB_DIR/log"
	build_source
	# The folders only: the scripts name each other by variables.
	check_one shellcheck bash -c 'shellcheck -x -e SC1090,SC1091 "$@"' - \
		"$LAB_HERE/lab" "$LAB_HERE"/lib/*.sh "$LAB_HERE"/{server,guest}/customize "$LAB_HERE/tiny/init"
	check_aside check_beside
	check_first_server
	check_join
	lab_down
	for failure in "${CHECK_FAILURES[@]}"; do
		say "failed: $failure"
	done
	echo "$CHECK_PASSED passed, $CHECK_FAILED failed, $CHECK_SKIPPED skipped"
	((CHECK_FAILED == 0))
}
