#!/usr/bin/env bash
# Ranks that must find each other, or say why they do not, in namespaces of their own: names that
# come late, another process or mount namespace, a host without IPv6. Says what cannot be tried
# here.
set -uo pipefail

PROGRAM="$(realpath "$1")"
OUT="${TEST_TMPDIR:-$(mktemp -d)}"
readonly PROGRAM OUT
cd "$OUT" || exit 1
export RINGMASTER_TOKEN="of this test"
failed=0
tried=0
# Seconds after which a rank hangs: ten times what it takes where nothing else runs, as in
# tests/support/patience.h.
PATIENCE=600

fail() {
  echo "FAILED: $*"
  failed=1
}

free_port() {
  python3 -c 'import socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])'
}

can() { unshare "$@" true 2> /dev/null; }

# NAME TRANSPORT HOST:PORT SHELL0 SHELL1: two ranks, each started by a command of its own; logs
# NAME-0 and NAME-1. The worse of both exit codes.
pair() {
  local flags="node --arm ring --data synthetic --model mlp --steps 3 --world-size 2
    --transport $2 --coordinator $3 --insecure --set limits.join_seconds=200 --out $OUT/$1"
  # shellcheck disable=SC2086
  timeout "$PATIENCE" $4 "$PROGRAM" $flags --rank 0 > "$1-0" 2>&1 &
  local zero=$!
  # shellcheck disable=SC2086
  timeout "$PATIENCE" $5 "$PROGRAM" $flags --rank 1 > "$1-1" 2>&1
  local one=$?
  wait $zero && return $one
}

# For what runs in a namespace.
export -f pair fail free_port
export PROGRAM OUT PATIENCE failed

# NAME TRANSPORT: what the record of a run says that carried its bytes.
expect_transport() {
  grep -q "\"transport\": *\"$2\"" "$1/results.jsonl" ||
    fail "$1: not over $2: $(
      grep -o '"transport": *"[a-z]*"' "$1/results.jsonl" | sort -u | tr '\n' ' ')"
}

# Trained over what two processes of one host can prove, and over tcp where they cannot.
if pair beside auto "127.0.0.1:$(free_port)" env env; then
  expect_transport beside shm
else
  fail "beside: $(tail -n 2 beside-0 beside-1)"
fi

if can --pid --fork --mount-proc; then
  tried=$((tried + 1))
  apart="unshare --pid --fork --mount-proc"
  if pair pods auto "127.0.0.1:$(free_port)" env "$apart"; then
    expect_transport pods tcp
  else
    fail "pods: $(tail -n 2 pods-0 pods-1)"
  fi
  pair forced shm "127.0.0.1:$(free_port)" env "$apart" &&
    fail "forced: shm between two pid namespaces"
  grep -q 'pid namespace.*use transport "tcp"' forced-0 || fail "forced: $(tail -n 2 forced-0)"
else
  echo "SKIPPED: no right to make pid namespaces"
fi

if can --mount; then
  tried=$((tried + 1))
  cat > elsewhere << 'END'
#!/bin/sh
echo 01234567-89ab-cdef-0123-456789abcdef > boot_id
mount --bind boot_id /proc/sys/kernel/random/boot_id && exec "$@"
END
  pair hosts shm "127.0.0.1:$(free_port)" env "unshare --mount sh elsewhere" &&
    fail "hosts: shm between two boots"
  grep -q 'another machine' hosts-0 || fail "hosts: $(tail -n 2 hosts-0)"

  # The name is there a second after the ranks.
  cat > late.sh << 'END'
cp /etc/hosts etc_hosts
mount --bind etc_hosts /etc/hosts || exit 77
(sleep 1; echo "127.0.0.1 job-0.example" >> etc_hosts) &
"$@"
END
  unshare --mount bash late.sh bash -c "pair late tcp job-0.example:$(free_port) env env" ||
    fail "late: $(tail -n 2 late-0 late-1)"
  grep -q 'job-0.example.*does not resolve' late-0 ||
    fail "late: rank 0 does not say what it waits for: $(cat late-0)"
else
  echo "SKIPPED: no right to make mount namespaces"
fi

if can --net && command -v ip > /dev/null; then
  tried=$((tried + 1))
  cat > without_ipv6.sh << 'END'
echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6
echo 1 > /proc/sys/net/ipv6/conf/lo/disable_ipv6
ip link set lo up
pair old grpc "localhost:$(free_port)" env env || fail "old: $(tail -n 2 old-0 old-1)"
exit $failed
END
  unshare --net bash without_ipv6.sh || failed=1
else
  echo "SKIPPED: no right to make network namespaces, or no ip (iproute2)"
fi

# A rank left over from an outer launcher contradicts mpirun's own.
if command -v mpirun > /dev/null; then
  export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
  RANK=0 WORLD_SIZE=2 timeout "$PATIENCE" mpirun -q --oversubscribe -n 2 "$PROGRAM" node \
    --arm ring --data synthetic --model mlp --steps 3 --coordinator "127.0.0.1:$(free_port)" \
    --set limits.join_seconds=200 --out mpi > mpi.log 2>&1
  [ $? = 2 ] || fail "mpirun: not exit code 2: $(cat mpi.log)"
  grep -q 'RANK=0 .*OMPI_COMM_WORLD_RANK=1' mpi.log || fail "mpirun: $(cat mpi.log)"
else
  echo "SKIPPED: no mpirun"
fi

echo "tried in namespaces: $tried of 3"
exit "$failed"
