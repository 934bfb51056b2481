#!/usr/bin/env bash
# Debian 12's Open MPI (4.1.4): btl_tcp_if_include with the prefix of a single address, such as
# 127.0.0.1/32, selects *every* card of the machine, whoever has the address.
#
# Guess before the run: ADDRESS/32 selects the card that has the address, and an address that no
# card has selects none and is warned about, as other networks without a card are.
# Seen: 127.0.0.1/32 becomes "lo,eth0" on a machine of these two cards, and so does 203.0.113.9/32,
# which neither has; 127.0.0.1/31 becomes "lo". A warning never comes. The mask of a /32 seems to be
# empty, so that all addresses are equal under it. Between hosts such a job ends with "Unable to
# connect to the peer ...: Invalid argument": one end is bound to the loopback. IPv6 networks are
# "An invalid value".
# What follows: name the card ("eth0") or give the subnet's own prefix.
#
# Needs root or the packages gcc, openmpi-bin and libopenmpi-dev. Fails when that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for package in gcc openmpi-bin libopenmpi-dev; do
  dpkg -s "$package" >/dev/null 2>&1 ||
    apt-get -qq install -y --no-install-recommends "$package" >/dev/null
done
cat >"$folder/cards.c" <<'C'
// Prints which cards Open MPI has made of btl_tcp_if_include.
#include <mpi/mpi.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char** argv) {
  int provided, rank, index, count;
  char cards[4096] = "";
  MPI_T_cvar_handle handle;
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_T_init_thread(MPI_THREAD_SINGLE, &provided);
  MPI_T_cvar_get_index("btl_tcp_if_include", &index);
  MPI_T_cvar_handle_alloc(index, NULL, &handle, &count);
  MPI_T_cvar_read(handle, cards);
  if (rank == 0) printf("cards: %s\n", cards);
  MPI_T_finalize();
  return MPI_Finalize();
}
C
gcc -w "$folder/cards.c" -o "$folder/cards" -lmpi
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
mpirun=$(command -v mpirun.openmpi || command -v mpirun)
cards_of() {
  "$mpirun" --oversubscribe --mca btl self,tcp --mca btl_tcp_if_include "$1" -n 2 \
    "$folder/cards" 2>"$folder/warnings" | sed -n 's/^cards: //p'
  ! grep -q "No matching\|invalid value" "$folder/warnings" || echo "(with a warning)"
}
echo "openmpi-bin $(dpkg-query -W -f='${Version}' openmpi-bin);" \
  "cards of this machine: $(ls /sys/class/net | tr '\n' ' ')"
loopback=$(cards_of 127.0.0.1/32) stranger=$(cards_of 203.0.113.9/32) wider=$(cards_of 127.0.0.1/31)
echo "127.0.0.1/32 is \"$loopback\", 203.0.113.9/32 is \"$stranger\", 127.0.0.1/31 is \"$wider\""
[[ $stranger == *lo* && $stranger == "$loopback" && $wider == lo ]] ||
  { echo "changed: a /32 no longer selects every card"; exit 1; }
