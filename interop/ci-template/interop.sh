#!/usr/bin/env bash
# Real AnyEvent::MP nodes and aemp nodes against each other, in a CI of your own: copy this file and
# say below, or by environment variables, what there is. Arguments go to aemp-interop.
#
# Exit status: 0 if each of the releases was played and nothing failed, 1 if a cell failed, 2 if
# something could not be played. The report is JUnit XML, in which what was not run is "skipped".
set -euo pipefail

# Where a checkout of aemp is: the version that your programs use.
: "${AEMP_SOURCE:?say where a checkout of aemp is}"
# The releases of AnyEvent::MP that your nodes run, separated by commas.
RELEASES=${RELEASES:-2.02}
# Where they are, a folder each; those that are not there are installed from CPAN.
AEMP_PERL_PEERS=${AEMP_PERL_PEERS:-$PWD/aemp-peers}
# Where the harness is installed. Worth keeping from run to run, as the folder above.
INTEROP_ROOT=${INTEROP_ROOT:-$PWD/aemp-interop}
REPORT=${REPORT:-$PWD/interop.xml}

cargo install --quiet --locked --path "$AEMP_SOURCE/interop" --root "$INTEROP_ROOT"
# The command, for the cells in which Perl's and ours ask each other's nodes.
cargo install --quiet --locked --path "$AEMP_SOURCE/cli" --root "$INTEROP_ROOT"
# The programs of the tutorial, for the cells of the chat.
cargo install --quiet --locked --path "$AEMP_SOURCE" --root "$INTEROP_ROOT" --features log-subscriber \
    --example chat_server --example chat_client --example chat_server2 --example chat_client2

for release in ${RELEASES//,/ }; do
    [ -d "$AEMP_PERL_PEERS/$release" ] && continue
    cpanm --quiet --notest --local-lib "$AEMP_PERL_PEERS/$release" "AnyEvent::MP@$release"
done

exec "$INTEROP_ROOT/bin/aemp-interop" --peers "$AEMP_PERL_PEERS" --releases "$RELEASES" \
    --require "$RELEASES" --report "$REPORT" "$@"
