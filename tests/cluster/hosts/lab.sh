# shellcheck shell=bash
# Hosts of this machine: network namespaces, each with a card, addresses and a name of its own, and
# one switch between them. For tests that run as root and may make namespaces; others are told why
# not by `lab_is_possible`.
LAB=rm$$ # of the namespaces' names
LAB_HOSTS=0
LAB_FOLDER=

# The reason why this machine can have no hosts; nothing where it can.
why_no_lab() {
  [ "$(id -u)" = 0 ] || { echo "network namespaces need root" && return; }
  command -v ip >/dev/null && command -v tc >/dev/null || {
    echo "iproute2 is not installed: apt-get install iproute2" && return
  }
  ip netns add "$LAB-try" 2>&1 && ip netns delete "$LAB-try"
}

# make_hosts COUNT FOLDER [KILOBITS]: host 0 to COUNT-1, called host-0, host-1, ..., at 10.78.0.1,
# 10.78.0.2, ... and fd78::1, fd78::2, ... What a host sends and what it is sent is held to KILOBITS
# a second each.
make_hosts() {
  LAB_HOSTS=$1 LAB_FOLDER=$2
  ip netns add "$LAB-switch"
  ip -n "$LAB-switch" link add bridge type bridge
  ip -n "$LAB-switch" link set bridge up
  echo "127.0.0.1 localhost" >"$LAB_FOLDER/hosts"
  local i
  for ((i = 0; i < LAB_HOSTS; ++i)); do
    ip netns add "$LAB-$i"
    ip -n "$LAB-switch" link add "port$i" type veth peer name eth0 netns "$LAB-$i"
    ip -n "$LAB-switch" link set "port$i" master bridge up
    ip -n "$LAB-$i" addr add "$(v4 "$i")/24" dev eth0
    ip -n "$LAB-$i" addr add "$(v6 "$i")/64" dev eth0 nodad
    ip -n "$LAB-$i" link set eth0 up
    ip -n "$LAB-$i" link set lo up
    printf '%s host-%s\n%s host-%s\n' "$(v4 "$i")" "$i" "$(v6 "$i")" "$i" >>"$LAB_FOLDER/hosts"
    [ -z "${3-}" ] && continue
    tc -n "$LAB-$i" qdisc add dev eth0 root tbf rate "${3}kbit" burst 256kb latency 400ms
    tc -n "$LAB-switch" qdisc add dev "port$i" root tbf rate "${3}kbit" burst 256kb latency 400ms
  done
}
v4() { echo "10.78.0.$(($1 + 1))"; }
v6() { echo "fd78::$(($1 + 1))"; }

# on_host HOST COMMAND...: there, where host-N are names and the machine's own name is host-HOST.
on_host() {
  local host=$1
  shift
  ip netns exec "$LAB-$host" unshare --mount --uts bash -c '
    mount --bind "$0" /etc/hosts && hostname "$1" && shift && exec "$@"' \
    "$LAB_FOLDER/hosts" "host-$host" "$@"
}

remove_hosts() {
  local i
  for ((i = 0; i < LAB_HOSTS; ++i)); do ip netns delete "$LAB-$i" 2>/dev/null || true; done
  ip netns delete "$LAB-switch" 2>/dev/null || true
}

fail() {
  echo "FAILED: $*" >&2
  tail -n 20 "$OUT"/*.log >&2 || true
  exit 1
}

# open_lab PROGRAM WITHOUT HOSTS [KILOBITS]: sets PROGRAM and the folder OUT, and makes the hosts;
# they and OUT are gone when the test ends. WITHOUT: what a test does where there can be no hosts,
# "skip" (it passes, and says so) or "fail".
open_lab() {
  PROGRAM=$(realpath "$1")
  OUT=$(mktemp -d /tmp/ringmaster-hosts-XXXXXX) # short: sockets have their paths in it
  readonly PROGRAM OUT
  trap 'remove_hosts; rm -rf "$OUT"' EXIT
  local why
  why=$(why_no_lab)
  if [ -n "$why" ]; then
    [ "$2" = skip ] || fail "$why"
    echo "SKIPPED: $why"
    exit 0
  fi
  make_hosts "$3" "$OUT" ${4:+"$4"}
}
