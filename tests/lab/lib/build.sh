# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Building this tree: a private copy of the sources, so that neither root's files nor generated ones
# turn up in the checkout, one build folder for each configuration, and the arm64 sysroot.
#
# In LAB_DIR: src (the copy), build/NAME, log/build-NAME-*.log.

# sysroot_get: REPLY is a folder with the arm64 headers and libraries in root/.
sysroot_get() {
	local words
	read -r -a words < <(package_words "$LAB_HERE/dev-packages")
	words=("${words[@]%%|*}")
	cache_get sysroot "$(hash_text "$DEBIAN_SUITE" "${words[@]}" "$(declare -f sysroot_make)")" \
		sysroot_make "${words[@]}"
}

sysroot_make() {
	local out=${*: -1} link
	debian_tree "$LAB_CACHE/log/sysroot.log" "$out/root" "$DEBIAN_SUITE" arm64 extract \
		"$(debian_list "${@:1:$#-1}")"
	# The linker would follow an absolute link out of the sysroot.
	find "$out/root/usr/lib" "$out/root/lib" -lname '/*' -printf '%p\n' |
		while IFS= read -r link; do
			ln -sfn "$(realpath -m --relative-to="${link%/*}" "$out/root$(readlink "$link")")" "$link"
		done
}

# build_source: bring LAB_DIR/src up to date with the checkout, and `configure` with its inputs.
# Every .gitignore rules what is not copied, and thereby what is kept of the last time.
build_source() {
	local src=$LAB_DIR/src inputs
	mkdir -p "$src"
	rsync -a --delete --filter=':- .gitignore' --exclude=/.git "$LAB_TOP/" "$src/"
	inputs=$(cd "$src" && find . -name .git -prune -o \
		\( -name configure.ac -o -name '*.am' -o -name '*.m4' ! -name aclocal.m4 \) -print0 |
		LC_ALL=C sort -z | xargs -0 sha256sum | hash_stdin)
	if [[ ! -e $src/configure || $(cat "$LAB_DIR/autoreconf.stamp" 2>/dev/null) != "$inputs" ]]; then
		say "build: autoreconf"
		(cd "$src" && logged "$LAB_DIR/log/autoreconf.log" autoreconf -fi)
		# Makefiles of another configure.ac are of no use.
		rm -rf "$LAB_DIR/build"
		echo "$inputs" >"$LAB_DIR/autoreconf.stamp"
	fi
}

# build_tree NAME TARGET CONFIGURE-ARG...: configure LAB_DIR/build/NAME unless it is, and make TARGET.
build_tree() {
	local name=$1 target=$2 dir=$LAB_DIR/build/$1
	shift 2
	mkdir -p "$dir"
	if [[ ! -e $dir/Makefile || $(cat "$dir/.configured" 2>/dev/null) != "$*" ]]; then
		say "build: configure ($name)"
		(cd "$dir" && logged "$LAB_DIR/log/build-$name-configure.log" \
			../../src/configure "$@")
		echo "$*" >"$dir/.configured"
	fi
	say "build: make $target ($name)"
	logged "$LAB_DIR/log/build-$name-make.log" make -C "$dir" -j "$(nproc)" "$target"
}

# build_cross: build for the server; REPLY is the folder of what `make install` installs.
build_cross() {
	local root dest=$LAB_DIR/dest
	sysroot_get
	root=$REPLY/root
	build_source
	export PKG_CONFIG_SYSROOT_DIR=$root PKG_CONFIG_PATH=
	export PKG_CONFIG_LIBDIR=$root/usr/lib/aarch64-linux-gnu/pkgconfig:$root/usr/share/pkgconfig
	build_tree cross all --host=aarch64-linux-gnu --prefix=/usr --sysconfdir=/etc --localstatedir=/var \
		CC="aarch64-linux-gnu-gcc --sysroot=$root" CFLAGS="-O2 -g"
	rm -rf "$dest"
	logged "$LAB_DIR/log/build-cross-install.log" make -C "$LAB_DIR/build/cross" install DESTDIR="$dest"
	unset PKG_CONFIG_SYSROOT_DIR PKG_CONFIG_PATH PKG_CONFIG_LIBDIR
	REPLY=$dest
}

# build_install: build, and make the server run the result. A daemon that runs is restarted, which
# leaves its guests alone.
build_install() {
	build_cross
	server_install "$REPLY"
}

# server_install DEST: make the server run the hvd that is in DEST.
server_install() {
	say "install: hvd onto the server"
	# --keep-directory-symlink: /lib is a link to /usr/lib there, and stays one.
	tar -C "$1" --owner=0 --group=0 -c . |
		lab_exec tar -C / --warning=no-timestamp --keep-directory-symlink --no-overwrite-dir -x
	# D-Bus has a limit of its own, of 25 s.
	logged "$LAB_DIR/log/install.log" lab_exec env SYSTEMD_BUS_TIMEOUT=600 sh -e -c '
		ldconfig
		systemd-sysusers
		systemd-tmpfiles --create
		systemctl daemon-reload
		systemctl reload dbus
		systemctl enable --quiet hvd
		systemctl restart hvd'
	lab_exec systemctl is-active --quiet hvd </dev/null ||
		die "hvd does not run: tests/lab/lab exec journalctl -u hvd"
}
